"""What is loaded for good is not walked again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from ari_recorder.runtime import heap


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.unfreeze()


class Loaded:
    """Something that the collector tracks."""


def test_the_collector_no_longer_walks_what_is_there() -> None:
    loaded = Loaded()
    assert any(each is loaded for each in gc.get_objects())
    heap.set_apart()
    assert not any(each is loaded for each in gc.get_objects())


def test_cycles_that_come_later_are_still_collected() -> None:
    heap.set_apart()
    loop: list[object] = []
    loop.append(loop)
    del loop
    assert gc.collect() >= 1
