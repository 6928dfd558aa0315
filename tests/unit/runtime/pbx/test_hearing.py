"""Each gap is stated exactly once, whatever dies in between, and never one that was none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from ari_recorder.evidence.chain import Chain
from ari_recorder.model.recording import State
from ari_recorder.model.statement import Entry
from ari_recorder.runtime.pbx import hearing as room
from ari_recorder.runtime.pbx.hearing import Hearing
from ari_recorder.spool.folders import RecordingFolder, Spool

BEGIN = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Killed(BaseException):
    """The process ended there."""


@dataclass
class Life:
    """One process' hearing on a clock of its own."""

    folder: Path
    now: datetime = BEGIN
    heard: datetime | None = None
    submitted: list[RecordingFolder] = field(default_factory=list)

    @asynccontextmanager
    async def lives(self) -> AsyncIterator[Hearing]:
        (self.folder / "state").mkdir(exist_ok=True)
        with Spool(self.folder / "spool") as spool, Chain(self.folder / "state" / "chain") as chain:
            hearing = Hearing(
                self.folder / "state", spool, chain, lambda: ("archive",), self.submitted.append, self.clock
            )
            hearing.remember({"main": None})
            running = asyncio.create_task(hearing.run())
            yield hearing
            running.cancel()
            with suppress(asyncio.CancelledError, Killed):
                await running

    def clock(self) -> datetime:
        return self.now

    def after(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def entries(self) -> list[Entry]:
        return [
            entry for _, recording in Spool(self.folder / "spool").journals() for entry in recording.statement
        ]

    async def noted(self, what: str) -> None:
        path = self.folder / "state" / "hearing.json"
        await self.until(lambda: path.exists() and what in path.read_text(encoding="utf-8"))

    async def until(self, reached: object) -> None:
        assert callable(reached)
        async with asyncio.timeout(10):
            while not reached():
                await asyncio.sleep(0.01)


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


async def test_a_first_start_misses_nothing(life: Life) -> None:
    async with life.lives() as hearing:
        hearing.lost("main", None, "not there yet")
        life.after(60)
        hearing.connected("main", lambda: life.heard)
        await life.noted("12:01:00")
    assert life.entries() == []


async def test_a_lost_connection_is_stated_from_the_last_word_heard(life: Life) -> None:
    async with life.lives() as hearing:
        hearing.connected("main", lambda: life.heard)
        life.after(100)
        hearing.lost("main", BEGIN + timedelta(seconds=93), "reset by peer")
        assert hearing.deaf_since("main") == BEGIN + timedelta(seconds=93)
        life.after(20)
        hearing.lost("main", None, "refused")
        hearing.connected("main", lambda: life.heard)
        await life.until(lambda: life.submitted)
    (gap,) = life.entries()
    assert (gap.pbx, gap.reason) == ("main", "connection-lost")
    assert (gap.at, gap.until) == (BEGIN + timedelta(seconds=93), BEGIN + timedelta(seconds=120))
    assert "reset by peer" in gap.detail
    (folder,) = life.submitted
    recording = folder.load()
    assert recording.state is State.ASSEMBLED
    assert [delivery.target for delivery in recording.deliveries] == ["archive"]


async def test_a_dead_recorders_gap_begins_with_what_it_heard_last(life: Life) -> None:
    async with life.lives() as hearing:
        life.heard = BEGIN + timedelta(seconds=5)
        hearing.connected("main", lambda: life.heard)
        await life.noted("12:00:05")
    life.after(3600)
    async with life.lives() as hearing:
        hearing.connected("main", lambda: life.heard)
        await life.until(lambda: life.submitted)
    (gap,) = life.entries()
    assert (gap.reason, gap.at) == ("recorder-away", BEGIN + timedelta(seconds=5))
    assert gap.until == BEGIN + timedelta(hours=1)


async def test_a_connection_that_flaps_makes_one_statement_of_many_gaps(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with life.lives() as hearing:
        hearing.connected("main", lambda: life.heard)
        hearing.lost("main", None, "flap")
        hearing.connected("main", lambda: life.heard)
        await life.until(lambda: life.submitted)
        for _ in range(50):
            life.after(1)
            hearing.lost("main", None, "flap")
            life.after(1)
            hearing.connected("main", lambda: life.heard)
        await life.noted("12:01:40")
        assert len(life.submitted) == 1
    monkeypatch.setattr(room, "APART", 0.0)
    async with life.lives() as hearing:
        await life.until(lambda: len(life.submitted) == 2)
    assert len(life.entries()) == 51


@pytest.mark.parametrize("step", range(1, 7))
async def test_killed_between_any_two_writes_each_gap_is_stated_once(
    life: Life, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The process ends instead of the nth write to its memory or the spool."""
    async with life.lives() as hearing:
        life.heard = BEGIN
        hearing.connected("main", lambda: life.heard)
        await life.noted("12:00:00")
    life.after(60)
    left = [step]
    write, create = room._write, Spool.create

    def deadly(work: object) -> object:
        def done(*args: object) -> object:
            left[0] -= 1
            if left[0] <= 0:
                raise Killed
            return work(*args)  # type: ignore[operator]

        return done

    with monkeypatch.context() as patched:
        patched.setattr(room, "_write", deadly(write))
        patched.setattr(Spool, "create", deadly(create))
        async with life.lives() as hearing:
            hearing.connected("main", lambda: life.heard)
            await life.until(lambda: left[0] <= 0)
    life.after(60)
    async with life.lives() as hearing:
        hearing.connected("main", lambda: life.heard)
        await life.until(lambda: life.entries())
        await life.noted('"outgoing": null')
    covered = {(entry.at, entry.until) for entry in life.entries()}
    assert len(covered) == len(life.entries()), "a gap was stated twice"
    assert min(entry.at for entry in life.entries()) == BEGIN
    assert max(e.until for e in life.entries() if e.until) >= BEGIN + timedelta(seconds=60)


async def test_a_damaged_memory_is_told_and_forgotten(life: Life) -> None:
    (life.folder / "state").mkdir()
    (life.folder / "state" / "hearing.json").write_text("{", encoding="ascii")
    async with life.lives() as hearing:
        hearing.connected("main", lambda: life.heard)
        await life.noted('"heard"')
    assert life.entries() == []


async def test_gaps_that_cannot_be_stated_are_bounded_and_cover_what_was_not_heard(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spool that takes nothing for days, and a connection that comes and goes."""
    monkeypatch.setattr(Hearing, "_state_gaps", Hearing._note)
    async with life.lives() as hearing:
        hearing.connected("main", lambda: life.heard)
        for number in range(room.MOST_GAPS + 50):
            life.after(10 + number)  # the first ones lie closest
            hearing.lost("main", life.now, "reset by peer")
            life.after(1)
            hearing.connected("main", lambda: life.heard)
        gaps = hearing._memory.gaps
    assert len(gaps) == room.MOST_GAPS
    assert gaps[0].at == BEGIN + timedelta(seconds=10)
    assert gaps[0].detail.startswith("nothing of this PBX was heard for most or some of this time")
    assert gaps[-1].until == life.now
    assert "reset by peer" in gaps[-1].detail
    assert all(before.until <= after.at for before, after in pairwise(gaps) if before.until)
