"""Whether work on a target goes on: it does while bytes are read, of what is sent or of what is given back.

A target with a server has time limits of its own. One on a dead mount has none: whoever calls it waits for
ever and is never told. So who calls follows the work, and can see that it stands still.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO


class Progress:
    """Of one piece of work. To be asked from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._moved_at = clock()

    @property
    def still(self) -> float:
        """Seconds since something moved."""
        return self._clock() - self._moved_at

    def moved(self) -> None:
        self._moved_at = self._clock()


_current: ContextVar[Progress | None] = ContextVar("progress", default=None)


@contextmanager
def followed(progress: Progress) -> Iterator[None]:
    """What moves in this thread meanwhile is told to `progress`."""
    before = _current.set(progress)
    try:
        yield
    finally:
        _current.reset(before)


def moved() -> None:
    """Say that the work of this thread goes on."""
    if (progress := _current.get()) is not None:
        progress.moved()


class Followed:
    """A stream of what a target gives back: each read is progress."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(size)
        moved()
        return block
