"""A disk that fails or hangs under the journal: told as such, left out where another can do its work."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ari_recorder.capture.events import CommandFailed
from ari_recorder.disk import durable
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.recording import Call, Chosen, Recording, State
from ari_recorder.runtime import journal as journals
from ari_recorder.runtime.conditions import Conditions, Severity
from ari_recorder.runtime.journal import KEY, POLLS, Journal
from ari_recorder.spool.folders import RecordingFolder, Spool
from ari_recorder.spool.ledger import Ledger, Move
from ari_recorder.spool.places import Spools
from ari_recorder.spool.waits import hanging as waiting_for


def decided(own: str) -> Recording:
    call = Call("pbx", f"channel-{own}", Direction.INBOUND, Party(), Party())
    return Recording(own, State.DECIDED, datetime.now(UTC), call, Chosen("all", "r1"))


async def test_a_disk_that_answers_no_question_fails_the_recording_and_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As XFS after it shut down: EIO from every call, also from a mere look for a folder."""

    def dead(self: Spools, recording_id: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    recording = decided("r1")
    with Spools(tmp_path / "spool", state=tmp_path) as spool:
        journal = Journal(spool)
        with monkeypatch.context() as patched:
            patched.setattr(Spools, "get", dead)
            (failed,) = await journal.told(recording)
            assert not await journal.save(recording)
        assert isinstance(failed, CommandFailed)
        assert failed.code == "spool.unusable"
        assert await journal.save(recording)
        journal.close()


class Recorder:
    """A journal over two spool folders, of which the first hangs as long as `answers` is not set."""

    def __init__(self, spools: Spools) -> None:
        self.spools = spools
        self.conditions = Conditions()
        self.journal = Journal(spools, conditions=self.conditions)
        self.answers = threading.Event()
        self.answers.set()

    def where(self, own: str) -> list[str]:
        return [place.name for place in self.spools.places if (place.root / own).exists()]

    async def saved(self, recording: Recording) -> None:
        async with asyncio.timeout(10):
            while not await self.journal.save(recording):
                await asyncio.sleep(0.005)


@asynccontextmanager
async def hanging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, second: bool = True
) -> AsyncIterator[Recorder]:
    spools = Spools(tmp_path / "first", state=tmp_path, second=tmp_path / "second" if second else None)
    with spools:
        made = Recorder(spools)
        really = durable.write_atomically

        def write(path: Path, data: bytes, *, mode: int = 0o600) -> None:
            if "first" in path.parts:
                made.answers.wait(20)
            really(path, data, mode=mode)

        monkeypatch.setattr(durable, "write_atomically", write)
        monkeypatch.setattr(journals, "PATIENCE", 20.0)
        try:
            yield made
        finally:
            made.answers.set()
            made.journal.close()


async def test_a_folder_that_hangs_is_left_out_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hanging(tmp_path, monkeypatch) as recorder:
        running = decided("running")
        assert await recorder.journal.save(running)
        recorder.answers.clear()
        monkeypatch.setattr(journals, "PATIENCE", 0.2)
        burst = [decided(f"burst-{number}") for number in range(journals.WRITERS)]
        fine = await asyncio.gather(*(recorder.journal.save(each) for each in burst))
        stuck = [each for each, saved in zip(burst, fine, strict=True) if not saved]
        told = recorder.conditions.get(KEY)
        assert told is not None
        assert told.severity is Severity.CRITICAL
        assert told.sentence.endswith("Recordings begin in another one.")
        monkeypatch.setattr(journals, "PATIENCE", 20.0)
        new, running = decided("new"), running.moved(State.CAPTURING)
        assert await recorder.journal.save(new)
        assert await recorder.journal.save(running)
        assert recorder.where("new") == ["second"]
        assert not await recorder.journal.save(stuck[0]), "nothing is written past what hangs"
        assert recorder.spools.look_again() == [], "a look must not hang as well"
        recorder.answers.set()
        await recorder.saved(replace(stuck[0], state=State.CAPTURING))
        async with asyncio.timeout(10):
            while recorder.conditions.get(KEY) is not None:
                await asyncio.sleep(0.005)
        back = {folder.id for folder in recorder.spools.look_again()}
        assert back == {each.id for each in stuck}
        assert recorder.where("running") == ["second"]
        assert recorder.where(stuck[0].id) == ["primary"]
        states = {one.id: one.state for _, one in recorder.spools.journals()}
        assert states["running"] is State.CAPTURING
        assert not recorder.spools.damaged


async def test_the_only_folder_fails_at_once_while_it_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hanging(tmp_path, monkeypatch, second=False) as recorder:
        recorder.answers.clear()
        monkeypatch.setattr(journals, "PATIENCE", 0.05)
        assert not await recorder.journal.save(decided("a"))
        told = recorder.conditions.get(KEY)
        assert told is not None
        assert told.sentence.endswith("No recording can be journalled.")
        monkeypatch.setattr(journals, "PATIENCE", 60.0)
        async with asyncio.timeout(5):
            assert not await recorder.journal.save(decided("b"))
        recorder.answers.set()
        await recorder.saved(decided("b"))


async def test_a_state_disk_that_hangs_leaves_out_no_spool_folder_and_no_other_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the first folder is out of reach, the ledger there is told that a copy in the second counts."""
    async with hanging(tmp_path, monkeypatch) as recorder:
        first, second = recorder.spools.places
        answers, decide = threading.Event(), Ledger.decide

        def waits(self: Ledger, move: Move) -> None:
            answers.wait(20)
            decide(self, move)

        monkeypatch.setattr(Ledger, "decide", waits)
        monkeypatch.setattr(journals, "PATIENCE", 0.05)
        first.hang(waiting_for(first))
        running = replace(decided("running"), state=State.CAPTURING)
        assert not await recorder.journal.save(running)
        told = recorder.conditions.get(KEY)
        assert told is not None
        assert told.sentence == "A disk did not write a journal within 0 s. Other recordings go on."
        assert second.ready
        monkeypatch.setattr(journals, "PATIENCE", 20.0)
        assert await recorder.journal.save(decided("new"))
        answers.set()
        await recorder.saved(running)
        assert recorder.conditions.get(KEY) is None


async def test_what_hangs_is_named_until_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spools = Spools(tmp_path / "first", state=tmp_path, second=tmp_path / "second")
    gates = {place.root: threading.Event() for place in spools.places}
    write = Spool.create

    def waits(self: Spool, recording: Recording) -> RecordingFolder:
        gates[self.root].wait(20)
        return write(self, recording)

    monkeypatch.setattr(Spool, "create", waits)
    monkeypatch.setattr(journals, "PATIENCE", 0.05)
    with spools:
        recorder = Recorder(spools)
        for place, own in zip(spools.places, ("a", "b"), strict=True):
            assert not await recorder.journal.save(decided(own))
            told = recorder.conditions.get(KEY)
            assert told is not None
            assert str(place.root) in told.sentence
        first, second = gates
        gates[second].set()
        async with asyncio.timeout(10):
            while str(first) not in (told := recorder.conditions.active()[0]).sentence:
                await asyncio.sleep(0.005)
        assert told.sentence.endswith("Recordings begin in another one.")
        gates[first].set()
        async with asyncio.timeout(10):
            while recorder.conditions.active():
                await asyncio.sleep(0.005)
        recorder.journal.close()


async def test_polls_wait_for_a_disk_in_bounded_number_and_hold_up_no_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hanging(tmp_path, monkeypatch) as recorder:
        assert await recorder.journal.save(decided("a"))
        asked = threading.Event()

        def hangs(self: Journal, recording_id: str, sample: object) -> None:
            asked.set()
            recorder.answers.wait(20)

        monkeypatch.setattr(Journal, "_append", hangs)
        recorder.answers.clear()
        for number in range(2 * POLLS):
            recorder.journal.keep_poll("a", {"number": number})
        assert asked.wait(10)
        recorder.answers.set()
        assert await recorder.journal.save(decided("b"))


async def test_polls_are_kept_beside_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hanging(tmp_path, monkeypatch) as recorder:
        assert await recorder.journal.save(decided("a"))
        recorder.journal.keep_poll("a", {"number": 1})
        recorder.journal.keep_poll("gone", {"number": 2})
        recorder.journal.keep_poll("a", {"number": 3})
        recorder.journal.close()
        assert (tmp_path / "first/a/rtp.jsonl").read_text() == '{"number": 1}\n{"number": 3}\n'
