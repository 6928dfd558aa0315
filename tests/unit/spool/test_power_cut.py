"""The power fails at every moment of a journal's writing, a move and a delivery: nothing that counts is lost.

The work is done once on a disk that remembers what was synced (`tests/unit/disk/power.py`); then each state
in which a power cut could have left that disk is put in its place and opened by the next life.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ari_recorder.disk import faults
from ari_recorder.disk.reserve import Reserve
from ari_recorder.model.delivery import DeliveryState
from ari_recorder.model.recording import Recording, State
from ari_recorder.spool.attempt import Attempt, Terms
from ari_recorder.spool.folders import RecordingFolder, Spool
from tests.unit.disk.power import Disk, Tree

from .recordings import contents, local_target, recording, sealed, stored
from .relocating import spools as two

OWN = "r-1"


class Cuts:
    """Each state that a power cut would leave, with what had been promised by then."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.promised = 0
        self.seen: list[tuple[int, Tree]] = []

    def fsync(self, handle: int) -> None:
        self.look("before a sync")
        self.disk.fsync(handle)
        self.look("after it")

    def look(self, _moment: str) -> None:
        for names_early in (False, True):
            seen = (self.promised, self.disk.cut(names_early=names_early))
            if seen not in self.seen[-8:]:
                self.seen.append(seen)

    def promise(self, number: int) -> None:
        """The work has got so far, and said so."""
        self.promised = number
        self.look("promised")

    def each(self) -> Iterator[int]:
        """With that state on the disk: what had been promised."""
        for promised, tree in self.seen:
            self.disk.restore(tree)
            yield promised


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Reserve, "hold", lambda _: True)  # holds nothing that counts
    made = tmp_path / "disk"
    made.mkdir()
    return made


Watching = Callable[[], AbstractContextManager[Cuts]]


@pytest.fixture
def watching(base: Path) -> Iterator[Watching]:
    """Everything is durable as it is now; from here on each moment is looked at."""
    disks: list[Disk] = []

    class _Watching:
        def __enter__(self) -> Cuts:
            disks.append(Disk(base))
            cuts = Cuts(disks[-1])
            self._patch = pytest.MonkeyPatch()
            self._patch.setattr(os, "fsync", cuts.fsync)
            self._patch.setattr(faults, "hook", cuts.look)
            cuts.look("begin")
            return cuts

        def __exit__(self, *_: object) -> None:
            self._patch.undo()

    yield _Watching
    for disk in disks:
        disk.close()


def test_a_journal(base: Path, watching: Watching) -> None:
    states = [State.DECIDED, State.CAPTURING, State.CAPTURED]
    with watching() as cuts, Spool(base / "deep" / "spool") as spool:
        folder = spool.create(recording(OWN))
        cuts.promise(1)
        for number, state in enumerate(states[1:], 2):
            folder.save(recording(OWN, state=state))
            cuts.promise(number)
        folder.remove()
        cuts.promise(4)
    for promised in cuts.each():
        with Spool(base / "deep" / "spool") as spool:
            found = [states.index(one.state) + 1 for _, one in spool.journals()]
            assert spool.damaged == {}
            reached = found[0] if found else 4 if promised >= 3 else 0
            assert promised <= reached <= promised + 1
    assert len(cuts.seen) > 20


def test_a_move(base: Path, watching: Watching) -> None:
    with two(base) as both:
        sealed(both, OWN)
    with watching() as cuts, two(base) as both:
        both.move(OWN, both.places[1])
        cuts.promise(1)
        both.move(OWN, both.places[0])
        cuts.promise(2)
    for promised in cuts.each():
        with two(base) as both:
            assert [folder.id for folder in both.all()] == [OWN]
            assert both.damaged == {}
            (folder,) = both.all()
            assert folder.load().state is State.SEALED
            assert {n: (folder.path / n).read_bytes() for n in contents(OWN)} == contents(OWN)
            if promised == 2:
                assert folder.path.parent.name == "first"
    assert len(cuts.seen) > 40


def test_a_delivery_to_two_folders(base: Path, watching: Watching) -> None:
    with Spool(base / "spool") as spool:
        sealed(spool, OWN, "a", "b")
    targets = {name: local_target(base / name, name) for name in "ab"}
    with watching() as cuts, Spool(base / "spool") as spool:
        for number, target in enumerate(targets.values(), 1):
            (folder,) = spool.all()
            Attempt(folder, target, Terms()).run()
            cuts.promise(number)
    for _ in cuts.each():
        with Spool(base / "spool") as spool:
            left = list(spool.journals())
            assert spool.damaged == {}
            for name in targets:
                _demand_arrived(base / name, name, left)
    assert len(cuts.seen) > 40


def _demand_arrived(archive: Path, target: str, left: list[tuple[RecordingFolder, Recording]]) -> None:
    """Whole or not there; all of it where the journal says so, or where there is none any more."""
    found = {Path(path).name: content for path, content in stored(archive).items()}
    found = {name: content for name, content in found.items() if not name.endswith(".part")}
    assert {name: contents(OWN)[name] for name in found} == found
    arrived = not left
    for folder, _ in left:
        assert {n: (folder.path / n).read_bytes() for n in contents(OWN)} == contents(OWN)
        delivery = folder.load().delivery(target)
        arrived = delivery is not None and delivery.state is DeliveryState.DELIVERED
    if arrived:
        assert found == contents(OWN)
