"""A limit on how fast all uploads of one target together read what they send.

The limit sits where the bytes leave the spool: `base.open_source` gives out a paced file while a pace is in
force in its thread, and whatever a target then does with the bytes it does at that pace. What is sent again
after a torn connection counts again; what is read back from the target does not count.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, Any

from ..disk.durable import BLOCK
from ..model.errors import TransientError

BURST = 0.25
"""Seconds of sending that may be saved up while nothing is sent."""


class Pace:
    """A token bucket for any number of threads. `rate` is in bytes a second."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.taken = 0
        """Bytes so far."""
        self._clock = clock
        self._free_at = clock()
        self._guard = threading.Lock()
        self._ended = threading.Event()

    @property
    def piece(self) -> int:
        """Bytes that are best read at a time: none takes long enough to look like a frozen transfer."""
        return min(max(int(self.rate * BURST), 1), BLOCK)

    def take(self, size: int) -> None:
        """Wait until `size` bytes may have been sent. TransientError `target.torn` once it has ended."""
        with self._guard:
            now = self._clock()
            self._free_at = max(self._free_at, now - BURST) + size / self.rate
            self.taken += size
            pause = self._free_at - now
        if self._ended.is_set() or (pause > 0 and self._ended.wait(pause)):
            raise TransientError(
                "target.torn", "The upload was broken off because its target is being closed."
            )

    def end(self) -> None:
        """Let nobody wait any more."""
        self._ended.set()


_current: ContextVar[Pace | None] = ContextVar("pace", default=None)


@contextmanager
def paced(pace: Pace | None) -> Iterator[None]:
    """Every source opened in this thread meanwhile is read at that pace, in whatever thread it is read."""
    before = _current.set(pace)
    try:
        yield
    finally:
        _current.reset(before)


class _PacedFile(io.RawIOBase):
    """A file that is read no faster than its pace."""

    def __init__(self, file: io.RawIOBase, pace: Pace) -> None:
        self._file = file
        self._pace = pace

    @property
    def piece(self) -> int:
        return self._pace.piece

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        size = self._file.readinto(memoryview(buffer)[: self.piece]) or 0
        if size:
            self._pace.take(size)
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


def at_pace(stream: io.BufferedReader) -> io.BufferedReader:
    """The open file at the pace that is in force here; the file itself where none is."""
    pace = _current.get()
    if pace is None:
        return stream
    return io.BufferedReader(_PacedFile(stream.detach(), pace), pace.piece)


def piece(stream: IO[bytes]) -> int:
    """Bytes to read from a source at a time, so that a slow pace shows as progress and not as a stall."""
    return int(getattr(getattr(stream, "raw", None), "piece", BLOCK))
