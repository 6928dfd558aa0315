"""A spool folder whose disk hangs: what lies on it waits, and nothing else does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ari_recorder.model.recording import Recording
from ari_recorder.spool.attempt import Attempt, Outcome
from ari_recorder.spool.folders import RecordingFolder, Spool
from ari_recorder.spool.place import Place
from ari_recorder.spool.places import Spools
from ari_recorder.spool.waits import hanging

from .recordings import ToldTarget, sealed
from .test_delivery import delivering, eventually


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool") as made:
        yield made


def apart(spool: Spool, folder: Path, *ids: str) -> tuple[Place, list[RecordingFolder]]:
    """A second spool folder beside an empty first one, and recordings that lie in it."""
    spools = Spools(folder / "one", state=folder, second=folder / "two").open()
    second = spools.places[1]
    folders = [sealed(spools, own, "a") for own in ids]
    for own in ids:
        spools.move(own, second)
    return second, folders


async def test_the_intake_waits_for_no_spool_folder_that_hangs(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_recorder.spool.delivery.DISK", 0.05)
    answers = threading.Event()
    stuck, well = (sealed(spool, own, "a") for own in ("r-stuck", "r-well"))
    load = RecordingFolder.load

    def waits(self: RecordingFolder) -> Recording:
        if self.id == "r-stuck":
            answers.wait(20)
        return load(self)

    monkeypatch.setattr(RecordingFolder, "load", waits)
    async with delivering([ToldTarget("a")]) as (deliverer, watched):
        deliverer.submit(stuck)
        deliverer.submit(well)
        await watched.delivered("r-well")
        assert stuck.path.exists()
        answers.set()
        await watched.delivered("r-stuck")


async def test_what_lies_on_a_disk_that_hangs_is_put_off_untouched(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_recorder.spool.delivery.HANGING", 0.02)
    second, (stuck,) = apart(spool, tmp_path, "r-stuck")
    second.hang(hanging(second))
    read: list[str] = []
    load = RecordingFolder.load

    def noted(self: RecordingFolder) -> Recording:
        read.append(self.id)
        return load(self)

    monkeypatch.setattr(RecordingFolder, "load", noted)
    async with delivering([ToldTarget("a")]) as (deliverer, watched):
        deliverer.submit(stuck)
        deliverer.submit(sealed(spool, "r-well", "a"))
        await watched.delivered("r-well")
        assert "r-stuck" not in read
        second.answers()
        await watched.delivered("r-stuck")


async def test_attempts_that_hang_in_the_spool_leave_their_target_to_others(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_recorder.spool.lane.HANGING", 0.02)
    second, stuck = apart(spool, tmp_path, "r-0", "r-1", "r-2")
    answers, begun = threading.Event(), set[str]()
    run = Attempt.run

    def waits(self: Attempt) -> Outcome:
        begun.add(self._folder.id)
        if self._folder.path.parent == second.root:
            answers.wait(20)
        return run(self)

    monkeypatch.setattr(Attempt, "run", waits)
    async with delivering([ToldTarget("a")]) as (deliverer, watched):
        for folder in stuck:
            deliverer.submit(folder)
        await eventually(lambda: len(begun) == 2)
        second.hang(hanging(second))
        deliverer.submit(sealed(spool, "r-well", "a"))
        await watched.delivered("r-well")
        assert begun == {"r-0", "r-1", "r-well"}
        second.answers()
        answers.set()
        for folder in stuck:
            await watched.delivered(folder.id)
