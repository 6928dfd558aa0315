"""Free ports on loopback, without races between runs on one machine.

Ports are taken in rows of blocks below the range from which the kernel serves `bind(0)`. A block is held by
a file lock, which ends with the process that holds it, however it ends; every port is bind-tested before
use, so that a block still used by something else is passed over.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from ..model.errors import TransientError

HOST = "127.0.0.1"
FIRST, LAST, BLOCK = 10_000, 32_000, 100


class Ports:
    """A row of free ports, taken at once and held until `close`."""

    def __init__(self, count: int = BLOCK, *, folder: Path | None = None) -> None:
        """At least `count` ports; `folder` holds the lock files, the default serves all runs of this user."""
        self._folder = folder or Path(tempfile.gettempdir()) / f"ari-recorder-ports-{os.getuid()}"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._locks: list[int] = []
        size = -(-count // BLOCK) * BLOCK
        for first in range(FIRST, LAST - size + 1, BLOCK):
            if self._take(range(first, first + size, BLOCK)):
                self._next, self._end = first, first + size
                return
        raise TransientError(
            "lab.failed",
            f"There are no {size} free ports in a row between {FIRST} and {LAST} on {HOST}.",
            remedy="End other runs of the demo or the tests.",
        )

    def _take(self, blocks: range) -> bool:
        for first in blocks:
            lock = self._lock(first)
            if lock is None:
                self.close()
                return False
            self._locks.append(lock)
        return True

    def _lock(self, first: int) -> int | None:
        lock = os.open(self._folder / f"{first}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = all(free(port) for port in range(first, first + BLOCK))
        except BlockingIOError:
            taken = False
        if not taken:
            os.close(lock)
        return lock if taken else None

    def one(self) -> int:
        """A port free for TCP and UDP, given out once."""
        return self.range(1)[0]

    def range(self, count: int) -> tuple[int, int]:
        """First and last of `count` ports in a row; the first one is even, as RTP wants it."""
        first = self._next + (self._next % 2 if count > 1 else 0)
        if first + count > self._end:
            raise TransientError("lab.failed", f"This row of ports cannot give {count} more.")
        self._next = first + count
        return first, first + count - 1

    def close(self) -> None:
        """Give the ports back."""
        while self._locks:
            os.close(self._locks.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def free(port: int) -> bool:
    """Nothing listens on the port, neither TCP nor UDP (connections in TIME_WAIT do not count)."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True
