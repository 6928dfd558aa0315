"""The spool moves while the recorder works: what is finished goes, what runs is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ari_recorder.disk.space import Space, space
from ari_recorder.model.errors import PermanentError, TransientError
from ari_recorder.model.recording import State
from ari_recorder.runtime import spool_mover
from ari_recorder.runtime.requests import Answer, Outcome, Request
from ari_recorder.runtime.spool_mover import STOP, SpoolMover
from ari_recorder.spool import place as place_module
from ari_recorder.spool.maintenance import Maintenance
from ari_recorder.spool.places import Spools
from ari_recorder.spool.waits import hanging
from tests.unit.spool.recordings import recording, sealed

GB = 10**9


class Told:
    """What the recorder said meanwhile; waits until it says what a test expects."""

    def __init__(self) -> None:
        self.words: list[Answer] = []
        self._news = asyncio.Condition()

    async def __call__(self, word: Answer) -> None:
        async with self._news:
            self.words.append(word)
            self._news.notify_all()

    async def until(self, text: str) -> Answer:
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(lambda: any(text in word.sentence for word in self.words))
        return next(word for word in reversed(self.words) if text in word.sentence)


def request(*words: str) -> Request:
    return Request("a", spool_mover.KIND, words, datetime.now(UTC))


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    told: dict[str, int] = {}
    monkeypatch.setattr(place_module, "space", lambda path: _space(path, told.get(path.name, 50 * GB)))
    monkeypatch.setattr(spool_mover, "AGAIN", 0.01)
    monkeypatch.setattr(spool_mover, "TELL", 0.0)
    monkeypatch.setattr(spool_mover, "HOME", 0.01)
    return told


def _space(path: Path, free: int) -> Space:
    return replace(space(path), free=free)


@pytest.fixture
def spools(tmp_path: Path, free: dict[str, int]) -> Iterator[Spools]:
    (tmp_path / "state").mkdir()
    with Spools(
        tmp_path / "first", state=tmp_path / "state", second=tmp_path / "second", stop_at_free=200_000_000
    ) as made:
        yield made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("r-"))


async def test_all_of_it_moves_and_the_old_folder_is_let_go_of(spools: Spools, tmp_path: Path) -> None:
    for number in range(5):
        sealed(spools, f"r-{number}")
    told = Told()
    answer = await SpoolMover(spools).answer(request("second"), told)
    assert (answer.outcome, answer.done) == (Outcome.DONE, 5)
    assert f"{tmp_path / 'first'} is no longer used" in answer.sentence
    assert (names(tmp_path / "first"), len(names(tmp_path / "second"))) == ([], 5)
    assert [(word.done, word.total) for word in told.words[:3]] == [(1, 5), (2, 5), (3, 5)]
    assert not spools.places[0].ready
    assert not (tmp_path / "first" / ".reserve").exists()


async def test_what_runs_or_is_worked_on_is_waited_for(spools: Spools, tmp_path: Path) -> None:
    running = spools.create(recording("r-1"))
    busy = sealed(spools, "r-2")
    told = Told()
    mover = SpoolMover(spools)
    with busy.held():
        task = asyncio.create_task(mover.answer(request("second"), told))
        await told.until("1 still recorded, 1 being completed or delivered")
        spools.create(recording("r-3"))
        assert names(tmp_path / "second") == ["r-3"]
    await told.until("1 still recorded")
    running.save(recording("r-1", state=State.CAPTURED))
    answer = await asyncio.wait_for(task, 20)
    assert answer.outcome is Outcome.DONE
    assert names(tmp_path / "second") == ["r-1", "r-2", "r-3"]


async def test_what_hangs_in_a_target_is_not_waited_for_for_ever(spools: Spools, tmp_path: Path) -> None:
    busy = sealed(spools, "r-1")
    sealed(spools, "r-2")
    told, hung = Told(), dict[str, str]()
    mover = SpoolMover(spools, hung=lambda: hung)
    with busy.held():
        task = asyncio.create_task(mover.answer(request("second"), told))
        await told.until("1 being completed or delivered")
        hung["r-1"] = "nas"
        with pytest.raises(TransientError, match='r-1 is being delivered to target "nas"') as caught:
            await asyncio.wait_for(task, 20)
    assert caught.value.code == "target.unreachable"
    assert (names(tmp_path / "first"), names(tmp_path / "second")) == (["r-1"], ["r-2"])
    spools.create(recording("r-3"))
    assert names(tmp_path / "first") == ["r-1", "r-3"]


async def test_a_destination_that_is_full_ends_the_move_and_nothing_else(
    spools: Spools, free: dict[str, int], tmp_path: Path
) -> None:
    sealed(spools, "r-1")
    free["second"] = GB // 10
    with pytest.raises(TransientError) as caught:
        await SpoolMover(spools).answer(request("second"), Told())
    assert caught.value.code == "spool.full"
    spools.create(recording("r-2"))
    assert names(tmp_path / "first") == ["r-1", "r-2"]


async def test_a_folder_that_hangs_is_not_left(spools: Spools, tmp_path: Path) -> None:
    sealed(spools, "r-1")
    primary = spools.places[0]
    primary.hang(hanging(primary))
    with pytest.raises(TransientError, match="does not answer"):
        await SpoolMover(spools).answer(request("second"), Told())
    primary.answers()
    assert [folder.id for folder in spools.all()] == ["r-1"]
    placement = spools.ledger.placement
    assert (placement.begin_in, placement.leaving, placement.left) == (None, (), ())


async def test_a_folder_that_hangs_at_last_is_not_left(
    spools: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    primary, end = spools.places[0], Maintenance.end

    def hung(self: Maintenance) -> tuple[Path, ...]:
        primary.hang(hanging(primary))
        return end(self)

    monkeypatch.setattr(Maintenance, "end", hung)
    with pytest.raises(TransientError, match="does not answer"):
        await SpoolMover(spools).answer(request("second"), Told())
    placement = spools.ledger.placement
    assert (placement.begin_in, placement.leaving, placement.left) == (None, (), ())


async def test_a_destination_that_hangs_ends_the_move(spools: Spools, tmp_path: Path) -> None:
    spools.create(recording("r-1"))
    told, second = Told(), spools.places[1]
    task = asyncio.create_task(SpoolMover(spools).answer(request("second"), told))
    await told.until("1 still recorded")
    second.hang(hanging(second))
    with pytest.raises(TransientError, match="second does not answer"):
        await asyncio.wait_for(task, 20)
    with pytest.raises(TransientError, match="second does not answer"):
        await SpoolMover(spools).answer(request("second"), told)
    spools.create(recording("r-2"))
    assert names(tmp_path / "first") == ["r-1", "r-2"]


async def test_a_move_can_be_stopped(spools: Spools, tmp_path: Path) -> None:
    spools.create(recording("r-1"))
    told = Told()
    mover = SpoolMover(spools)
    assert (await mover.answer(request(STOP), told)).outcome is Outcome.REFUSED
    task = asyncio.create_task(mover.answer(request("second"), told))
    await told.until("1 still recorded")
    assert (await mover.answer(request(STOP), told)).outcome is Outcome.DONE
    assert (await asyncio.wait_for(task, 20)).outcome is Outcome.REFUSED
    spools.create(recording("r-2"))
    assert names(tmp_path / "first") == ["r-1", "r-2"]


async def test_a_move_that_a_restart_interrupts_goes_on(spools: Spools, tmp_path: Path) -> None:
    running = spools.create(recording("r-1"))
    sealed(spools, "r-2")
    told = Told()
    task = asyncio.create_task(SpoolMover(spools).answer(request("second"), told))
    await told.until("1 still recorded")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    running.save(recording("r-1", state=State.CAPTURED))
    spools.close()
    second = Spools(tmp_path / "first", state=tmp_path / "state", second=tmp_path / "second")
    with second:
        assert [folder.id for folder in second.all()] == ["r-1", "r-2"]
        answer = await SpoolMover(second).answer(request("second"), Told())
        assert answer.outcome is Outcome.DONE
        assert names(tmp_path / "second") == ["r-1", "r-2"]
        assert names(tmp_path / "first") == []


async def test_what_began_on_a_ram_disk_is_brought_home_when_there_is_room(
    spools: Spools, free: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place_module.Place, "volatile", property(lambda self: self.name == "second"))
    free["first"] = 0
    sealed(spools, "r-1")
    spools.create(recording("r-2"))
    assert names(tmp_path / "second") == ["r-1", "r-2"]
    task = asyncio.create_task(SpoolMover(spools).run())
    free["first"] = 50 * GB
    async with asyncio.timeout(20):
        while (names(tmp_path / "first"), names(tmp_path / "second")) != (["r-1"], ["r-2"]):
            await asyncio.sleep(0.01)
    folder = spools.get("r-2")
    assert folder is not None
    folder.save(recording("r-2", state=State.CAPTURED))
    async with asyncio.timeout(20):
        while names(tmp_path / "first") != ["r-1", "r-2"]:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("words", [(), ("second", "first"), ("nowhere",)])
async def test_an_order_that_makes_no_sense_is_refused(spools: Spools, words: tuple[str, ...]) -> None:
    with pytest.raises(PermanentError):
        await SpoolMover(spools).answer(request(*words), Told())


async def test_a_folder_inside_the_spool_is_refused(spools: Spools, tmp_path: Path) -> None:
    for path in (tmp_path / "first" / "new", tmp_path):
        with pytest.raises(PermanentError, match="one in the other"):
            await SpoolMover(spools).answer(request(str(path)), Told())
