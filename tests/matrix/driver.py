"""Kills a scene at every moment there is, lets the next life take up what is left, and has both looked at."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

from ari_recorder.lab.progress import spoken

from .lives import Parent
from .table import KILLED_IN

MANY = 24
"""A point that is passed more often than that, such as each block of a file, is met five times."""


class Case(ABC):
    """What is done before, looked at between and demanded after the lives of one scene."""

    scene: str

    @property
    def row(self) -> str:
        """Its row in the table."""
        return self.scene

    @abstractmethod
    def prepare(self, folder: Path) -> None:
        """What the first life finds; `folder` is empty."""

    def died(self, folder: Path, moment: str) -> None:  # noqa: B027 - nothing is wrong with most corpses
        """What must hold of that which a killed life left."""

    @abstractmethod
    def settled(self, folder: Path, moment: str) -> None:
        """What must hold after the next life, or after one (`moment` is empty) that nobody killed."""

    def clear(self, folder: Path) -> None:
        shutil.rmtree(folder)


def every_moment(parent: Parent, case: Case, base: Path) -> int:
    """How many moments they were."""
    passed = _undisturbed(parent, case, base)
    wanted = KILLED_IN[case.row]
    moments = [f"{point}:{time}" for point in sorted(wanted) for time in _times(passed.get(point, 0))]
    missed = wanted - {moment.partition(":")[0] for moment in moments}
    assert not missed, f"{case.row} does not pass {sorted(missed)}: correct tests/matrix/table.py"
    for moment in moments:
        _met(parent, case, base, moment)
    spoken(f"{case.row}: {len(moments)} moments at {len(wanted)} points")
    return len(moments)


def _undisturbed(parent: Parent, case: Case, base: Path) -> dict[str, int]:
    folder = _fresh(case, base)
    life = parent.live(case.scene, folder)
    case.settled(folder, "")
    case.clear(folder)
    return life.passed


def _met(parent: Parent, case: Case, base: Path, moment: str) -> None:
    folder = _fresh(case, base)
    try:
        assert parent.live(case.scene, folder, moment).killed, "it was never reached"
        case.died(folder, moment)
        assert not parent.live(case.scene, folder).killed
        case.settled(folder, moment)
    except AssertionError as error:
        error.add_note(f"{case.row}, killed at {moment}")
        raise
    case.clear(folder)


def _fresh(case: Case, base: Path) -> Path:
    folder = base / "life"
    folder.mkdir()
    case.prepare(folder)
    return folder


def _times(count: int) -> Iterable[int]:
    if count <= MANY:
        return range(1, count + 1)
    return (1, 2, count // 2, count - 1, count)
