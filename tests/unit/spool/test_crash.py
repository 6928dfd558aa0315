"""Killed (SIGKILL) in one life after the other: delivered once, whole, and only then gone.

Every moment for itself is met in `tests/matrix`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from ari_recorder.disk.faults import FAULT_VARIABLE
from ari_recorder.spool.folders import Spool
from ari_recorder.targets.base import is_part

from .crashing import OWN
from .recordings import CERTIFICATE, contents, stored


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


def test_killed_again_and_again(tmp_path: Path) -> None:
    for moment in ("write.renamed:3", "local.chunk:2", "local.linked:4", "delivery.file:3", "remove.renamed"):
        run(tmp_path, moment)
    if Spool(tmp_path / "spool").get(OWN) is not None:
        assert run(tmp_path) == 0
    for target in ("a", "b"):
        assert stored(tmp_path / target) == archive()
