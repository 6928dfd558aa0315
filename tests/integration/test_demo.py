"""`ari-recorder demo` as a person runs it, and again: two sealed copies each time, and nothing else left."""

from __future__ import annotations

import json
import re
import shlex
import time
import tomllib
from pathlib import Path

import pytest

from ari_recorder.evidence.verify import verify
from ari_recorder.lab import images
from ari_recorder.lab.engine import Engine
from ari_recorder.lab.pbx import OWNER, RUN
from ari_recorder.lab.progress import spoken
from tests.unit.docs.pages import page

from .leavings import Ended, followed, python

LIMIT = 60.0
"""Seconds a demonstration may take once its image is there."""


@pytest.fixture(scope="module")
def stage(engine: Engine) -> Engine:
    """An engine that has an image for the demo, so that making one is not counted to it."""
    images.ensure(engine, _image(engine), progress=spoken)
    return engine


def _image(engine: Engine) -> str:
    return "asterisk22" if images.present(engine, "asterisk22") else "asterisk22-debian"


def demo(engine: Engine, *words: str) -> Ended:
    begun = time.monotonic()
    ended = followed(python("demo", *words), engine=engine, limit=2 * LIMIT)
    assert ended.status == 0, ended.out + ended.err
    assert time.monotonic() - begun < LIMIT
    assert (ended.processes, ended.containers) == ((), ())
    return ended


def recorded(folder: Path) -> str:
    """Two copies that are alike and intact, and servers that are gone; the recording's name."""
    archive, vault = folder / "archive", folder / "vault"
    certificate = folder / "recorder/state/seal/certificate.pem"
    for copies in (archive, vault):
        report = verify([copies], certificate=certificate, chain_log=folder / "recorder/state/chain.jsonl")
        assert (report.ok, report.intact) == (True, 1), report.findings
    (audio,), (copy,) = archive.rglob("*.wav"), vault.rglob("*.wav")
    assert audio.read_bytes() == copy.read_bytes()
    assert audio.stat().st_size > 2 * 8000 * 10  # ten seconds of talk, two channels of a byte
    settings = tomllib.loads((folder / "recorder/config.toml").read_text(encoding="utf-8"))
    assert not Path(settings["pbx"]["demo"]["recordings"]).exists()
    return audio.stem


@pytest.mark.timeout(240)
def test_twice_in_a_row_for_people_and_for_programs(stage: Engine) -> None:
    told = demo(stage).out
    found = re.search(r"^Everything +(\S+)", told, re.M)
    assert found is not None
    folder = Path(found[1])
    first = recorded(folder)
    assert f"{first}.wav" in told
    in_order(told)
    again = json.loads(demo(stage, "--json").out)
    assert again == {
        "ok": True,
        "folder": str(folder),
        "audio": again["audio"],
        "copy": again["copy"],
        "verified": True,
        "checked": True,
    }
    second = recorded(folder)
    assert second != first
    assert {Path(again[which]).stem for which in ("audio", "copy")} == {second}
    assert Path(again["audio"]).is_relative_to(folder / "archive")
    assert Path(again["copy"]).is_relative_to(folder / "vault")


def in_order(told: str) -> None:
    """All steps are shown, as they stand in the README but for times and sizes."""
    steps = re.findall(r"^✓ (.*?) [\d.]+ s$", told, re.M)
    assert [step.split()[0] for step in steps] == [
        "Looking", "Looking", "Preparing", "Starting", "Starting", "Starting", "Recording",
    ]  # fmt: skip
    (shown,) = page("README.md").examples("console")
    expected = [
        _plain(line) for line in shown.splitlines() if not re.match(r"  left| right|        0 ", line)
    ]
    assert len(expected) > 10
    rest = iter([_plain(line) for line in told.splitlines()])
    for line in expected:
        assert line in rest, f"{line!r} is missing, or stands elsewhere:\n{told}"


def _plain(line: str) -> str:
    return re.sub(r"\d+\.\d (s|MiB)", r"# \1", line).strip()


def test_what_is_left_is_seen(stage: Engine) -> None:
    """A check of the check: an orphan in a session of its own, and a container."""
    image = images.ensure(stage, _image(stage))
    create = stage.command(
        "create", "--label", f"{RUN}=probe", "--label", f"{OWNER}=PID.1.elsewhere", "--network", "none", image
    )
    made = shlex.join(create).replace("PID", "$$")
    ended = followed(["sh", "-c", f"{made}; setsid sleep 60 & exit 0"], engine=stage, limit=30)
    stage.docker("rm", "--force", *ended.containers)
    assert len(ended.containers) == 1
    assert [words.split()[-2:] for words in ended.processes] == [["sleep", "60"]]
