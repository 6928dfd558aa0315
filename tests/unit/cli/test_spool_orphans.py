"""`spool orphans`: recordings made of real legs whose journal is lost, and what must not be made one."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ari_recorder.evidence.verify import verify
from ari_recorder.model.call import Side
from ari_recorder.model.recording import ORPHANED, State
from ari_recorder.runtime.pbx.leg_stores import Leftovers

from .spool_host import LEG, Host, until

OWN = "20261121T225046123-7f3a9c1b"
BEGUN = "2026-11-21T22:50:46.123000Z"
CLOSED = datetime(2026, 11, 21, 22, 51, tzinfo=UTC)


def leave_legs(host: Host, own: str, *, segments: int = 1, at: float = CLOSED.timestamp()) -> list[Path]:
    """As Asterisk left them: segments of a second, one after the other, the last closed at `at`."""
    paths = []
    for number in range(1, segments + 1):
        for side in Side:
            path = host.folder / f"asterisk/ari-recorder/{own}/{number}-{side}.sln"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(LEG)
            closed = at - (segments - number)
            os.utime(path, (closed, closed))
            paths.append(path)
    return paths


def metadata(host: Host) -> dict[str, object]:
    (path,) = host.archive.rglob("*.json")
    content: dict[str, object] = json.loads(path.read_bytes())
    return content


def code(host: Host, own: str = OWN) -> str:
    refused = host.told("spool", "orphans", "--setting", "All", own, status=1)["refused"]
    return str(refused[own]).rpartition("[")[2].rstrip("]")


def test_legs_without_a_journal_become_a_recording_that_says_so(host: Host) -> None:
    paths = leave_legs(host, OWN, segments=2)
    host.archive.mkdir()
    with host.recorder():
        assert host.told("spool", "orphans", status=1)["orphans"] == [OWN]
        assert host.told("spool", "orphans", "--setting", "All", OWN)["taken_in"] == [OWN]
        until(lambda: host.delivered() == {OWN}, host.log)
        until(lambda: not host.ids(), host.log)
    assert not [path for path in paths if path.exists()], "sealed here, it need not lie there"
    report = verify([host.archive], chain_log=host.folder / "state/chain.jsonl")
    assert report.ok, report.findings
    told = metadata(host)
    call = told["call"]
    assert isinstance(call, dict)
    assert call["pbx"] == "pbx"
    for unknown in ("direction", "channel_name", "linkedid", "codec", "created_at", "answered_at", "trunk"):
        assert not call[unknown], unknown
    assert call["caller"] == call["callee"] == {"number": "", "name": ""}
    assert call["ended_at"] == "2026-11-21T22:51:00.000000Z"  # the last sample's
    assert told["recording"]["decided_at"] == BEGUN  # type: ignore[index]
    assert told["setting"]["name"] == "All"  # type: ignore[index]
    (note,) = [note for note in told["notes"] if note["what"] == ORPHANED]  # type: ignore[attr-defined]
    for words in ("the journal was lost", "not known", "a person chose the setting All", "in its id"):
        assert words in note["detail"], words
    assert [segment["why"] for segment in told["segments"]] == ["adopted"] * 2  # type: ignore[attr-defined]
    assembly = told["assembly"]
    assert isinstance(assembly, dict)
    assert assembly["begins_at"] == "2026-11-21T22:50:58.000000Z"
    assert assembly["seconds"] == 2.0
    text = next(host.archive.rglob("*_info.txt")).read_text(encoding="utf-8")
    assert "the journal was lost" in text
    assert host.told("spool", "orphans")["orphans"] == []


def test_it_waits_for_the_recorder_and_is_listed_as_what_it_is(host: Host) -> None:
    leave_legs(host, OWN)
    assert host.told("spool", "orphans", "--setting", "All", OWN)["taken_in"] == [OWN]
    folder = host.spool.get(OWN)
    assert folder is not None
    assert folder.load().state is State.CAPTURED
    assert "direction unknown" in host.ask("spool", "show", OWN).output
    assert host.told("spool", "list")["recordings"][0]["direction"] is None
    assert "?" in host.ask("spool", "list").output
    assert code(host) == "spool.clash"


def test_what_is_not_lost_is_not_made_a_second_time(host: Host) -> None:
    """A leg that grew after it was fetched stays on the PBX; legs of a refused call wait to be deleted."""
    sealed = host.sealed("r-1")
    shutil.rmtree(sealed.path)  # delivered
    leave_legs(host, "r-1")
    leave_legs(host, "r-2")
    Leftovers(host.folder / "state").add("pbx", ["ari-recorder/r-2/1-remote"])
    assert host.told("spool", "orphans")["orphans"] == []
    assert (code(host, "r-1"), code(host, "r-2")) == ("spool.clash", "spool.clash")
    assert code(host, "r-3") == "spool.no-recording"
    assert code(host, "../r-1") == "spool.no-recording"
    assert host.ids() == []


def test_what_was_kept_because_there_is_more_of_it_is_told(host: Host) -> None:
    """Not only in the log of the moment in which it was not deleted."""
    shutil.rmtree(host.sealed("r-1").path)  # delivered
    leave_legs(host, "r-1")
    with host.recorder():
        until(
            lambda: "orphans:pbx" in {c["key"] for c in host.told("status", status=1)["conditions"]}, host.log
        )


def test_legs_that_were_just_written_are_left_alone(host: Host) -> None:
    leave_legs(host, OWN, at=time.time())
    host.spool.root.mkdir()
    assert code(host) == "capture.no-legs"
    assert host.ids() == []


def test_while_a_spool_folder_is_away_nothing_is_taken_for_lost(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_legs(host, OWN)
    with host.recorder():
        pass
    shutil.rmtree(host.spool.root)
    host.spool.root.mkdir()
    monkeypatch.setattr("ari_recorder.spool.place.mount_of", lambda path: type("M", (), {"point": path})())
    assert host.told("spool", "orphans", status=4)["error"]["code"] == "spool.unusable"
    assert code(host) == "spool.unusable"


def test_what_is_meant_must_be_said(host: Host) -> None:
    assert host.ask("spool", "orphans", OWN).exit_code == 2
    assert host.ask("spool", "orphans", "--setting", "All").exit_code == 2
    for words in (("--pbx", "pbx2"), ("--setting", "Al", OWN)):
        assert host.told("spool", "orphans", *words, status=3)["error"]["code"] == "config.reference"
