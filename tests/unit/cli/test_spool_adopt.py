"""Who is told of what `spool adopt` took over, also when it was killed or interrupted, or nobody runs."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from ari_recorder.cli import spool_adopt
from ari_recorder.runtime import requests
from ari_recorder.spool import adoption

from .spool_host import Host, until


def asked(host: Host) -> list[list[str]]:
    """The ids in each request that stands."""
    paths = sorted((host.folder / "state" / requests.FOLDER).glob("[!.]*.request.json"))
    return [json.loads(path.read_bytes())["words"] for path in paths]


def test_a_command_that_is_killed_after_the_source_is_gone_has_told_the_recorder(
    host: Host, dead: Host
) -> None:
    dead.sealed("r-1")
    host.archive.mkdir()
    with host.recorder():
        command = ("spool", "adopt", str(dead.spool.root), "--move")
        assert host.run_command(*command, fault="adopt.cleared").returncode == -signal.SIGKILL
        assert not (dead.spool.root / "r-1").exists()
        until(lambda: host.delivered() == {"r-1"}, host.log)


def test_a_recorder_that_does_not_run_now_is_told_in_few_words(
    host: Host, dead: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_adopt, "BATCH", 3)
    for number in range(5):
        dead.captured(f"r-{number}")
    host.told("spool", "adopt", str(dead.spool.root))
    assert asked(host) == [["r-0", "r-1", "r-2"], ["r-3", "r-4"]]


def test_who_interrupts_it_has_told_of_all_until_then(
    host: Host, dead: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        dead.captured(f"r-{number}")
    clear = adoption._clear

    def interrupted(source: Path) -> None:
        clear(source)
        if source.name == "r-2":
            raise KeyboardInterrupt

    monkeypatch.setattr(adoption, "_clear", interrupted)
    host.ask("spool", "adopt", str(dead.spool.root), "--move")
    assert host.ids() == ["r-0", "r-1", "r-2"]
    assert asked(host) == [["r-0", "r-1", "r-2"]]


def test_a_recorder_that_gives_no_answer_is_waited_for_and_not_for_ever(
    host: Host, dead: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead.captured("r-1")
    monkeypatch.setattr("ari_recorder.cli.spool_retry.PATIENCE", 0.0)
    monkeypatch.setattr(
        "ari_recorder.runtime.presence.read", lambda _state: type("A", (), {"alive": lambda *_: True})()
    )
    result = host.ask("spool", "adopt", str(dead.spool.root))
    assert result.exit_code == 0
    assert "has not answered yet" in result.output
    assert "1 recording(s) taken over" in result.output
    assert asked(host) == [["r-1"]]
