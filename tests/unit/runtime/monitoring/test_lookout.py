"""The census of the spool, beside a disk that hangs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ari_recorder.disk.space import Space
from ari_recorder.disk.space import space as real
from ari_recorder.runtime.monitoring import lookout as lookouts
from ari_recorder.runtime.monitoring.lookout import Lookout
from ari_recorder.spool.places import Spools
from ari_recorder.spool.waits import leave_out
from tests.unit.spool.recordings import sealed


@pytest.fixture
def spools(tmp_path: Path) -> Iterator[Spools]:
    with Spools(tmp_path / "first", state=tmp_path, second=tmp_path / "second") as made:
        yield made


def test_the_census_touches_no_folder_that_hangs(spools: Spools, monkeypatch: pytest.MonkeyPatch) -> None:
    lookout = cast(Any, Lookout.__new__(Lookout))
    lookout._base = SimpleNamespace(spool=spools)
    first, second = spools.places
    sealed(spools, "r-1")
    sealed(spools, "r-2")
    spools.move("r-2", second)
    asked: list[Path] = []

    def space(path: Path) -> Space:
        asked.append(path)
        return real(path)

    monkeypatch.setattr(lookouts, "space", space)
    states, free = lookout._counted()
    assert states == {"sealed": 2}
    assert free is not None
    leave_out(first)
    assert lookout._counted() == ({"sealed": 1}, None)
    assert asked == [first.root]
