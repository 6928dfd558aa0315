"""One parent of all lives of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .lives import Parent, parent


@pytest.fixture(scope="session", name="parent")
def parent_of_lives() -> Iterator[Parent]:
    with parent() as made:
        yield made
