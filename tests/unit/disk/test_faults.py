"""The moments at which the crash tests kill: each is listed, each exists, none is a misspelling."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ari_recorder
from ari_recorder.disk import faults
from ari_recorder.runtime.pbx import link

PACKAGE = Path(ari_recorder.__file__).parent
SPOOL_AND_TARGETS = ("disk", "spool", "targets")


def points_in(*rooms: Path) -> set[str]:
    found = (path.read_text(encoding="utf-8") for room in rooms for path in room.rglob("*.py"))
    return {name for text in found for name in re.findall(r'fault_point\("([^"]+)"\)', text)}


def test_every_fault_point_is_listed_once_and_every_listed_one_exists() -> None:
    assert points_in(*(PACKAGE / room for room in SPOOL_AND_TARGETS)) - faults.TOOLS.keys() == set(
        faults.FAULT_POINTS
    )
    listed = [*faults.FAULT_POINTS, *faults.SEAMS, *faults.TOOLS]
    assert len(listed) == len(set(listed))
    assert points_in(PACKAGE) | set(link._SEAMS.values()) == set(listed)


def test_an_unknown_fault_point_is_refused() -> None:
    with pytest.raises(ValueError, match="not a fault point"):
        faults._killer("no.such:1")
