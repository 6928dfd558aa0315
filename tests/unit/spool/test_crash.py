"""Killed (SIGKILL) at every fault point and started again: delivered once, whole, and only then gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ari_recorder.disk.faults import FAULT_POINTS, FAULT_VARIABLE
from ari_recorder.spool.folders import Spool
from ari_recorder.targets.base import is_part

from .crashing import OWN
from .recordings import CERTIFICATE, contents, stored

TIMES = {
    # How often a point is passed in one run (two targets, five files and a certificate each); each
    # first, a middle and the last time is a moment of its own.
    "write": (1, 2, 3, 5, 6),
    "create": (1,),
    "remove": (1,),
    "delivery": (1, 2),
    "local": (1, 2, 7, 12),
}
MORE = {"delivery.file": (1, 5, 10)}
LESS = {"delivery.complete": (1,)}
MOMENTS = [
    f"{point}:{time}"
    for point in FAULT_POINTS
    if not point.startswith(("move", "onedrive"))  # test_places.py, conformance/test_onedrive_uploads.py
    for time in (MORE | LESS).get(point, TIMES[point.partition(".")[0]])
]


def run(folder: Path, fault: str = "") -> int:
    environment = {k: v for k, v in os.environ.items() if k != FAULT_VARIABLE} | {"TZ": "UTC"}
    if fault:
        environment[FAULT_VARIABLE] = fault
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.spool.crashing", str(folder)],
        cwd=Path(__file__).parents[3],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def archive() -> dict[str, bytes]:
    files = {f"2026/11/21/{name}": content for name, content in contents(OWN).items()}
    return files | {f"ari-recorder-{CERTIFICATE[:16]}.crt": b"certificate"}


def finished(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in stored(folder).items() if not is_part(Path(name).name)}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at(moment: str, tmp_path: Path) -> None:
    assert run(tmp_path, moment) == -signal.SIGKILL, f"{moment} was never reached"

    for target in ("a", "b"):  # nothing torn stands under a final name, at any moment
        assert finished(tmp_path / target).items() <= archive().items()
    if Spool(tmp_path / "spool").get(OWN) is None and not moment.startswith(("create", "write")):
        # The local copy is gone, so everything must have arrived.
        assert finished(tmp_path / "a") == finished(tmp_path / "b") == archive()

    was_delivered = finished(tmp_path / "a") == finished(tmp_path / "b") == archive()
    inodes = {p: p.stat().st_ino for t in ("a", "b") for p in (tmp_path / t).rglob("*.*")}
    if not was_delivered or Spool(tmp_path / "spool").get(OWN) is not None:
        assert run(tmp_path) == 0
    with Spool(tmp_path / "spool"):  # every start clears the trash
        pass

    for target in ("a", "b"):
        assert stored(tmp_path / target) == archive()  # once, whole, and no part file is left
    for path, inode in inodes.items():
        if path.exists() and not is_part(path.name):
            assert path.stat().st_ino == inode  # what had arrived was not sent again
    assert [p.name for p in (tmp_path / "spool").iterdir()] == ["lock"]


def test_killed_again_and_again(tmp_path: Path) -> None:
    for moment in ("write.renamed:3", "local.chunk:2", "local.linked:4", "delivery.file:3", "remove.renamed"):
        run(tmp_path, moment)
    if Spool(tmp_path / "spool").get(OWN) is not None:
        assert run(tmp_path) == 0
    for target in ("a", "b"):
        assert stored(tmp_path / target) == archive()
