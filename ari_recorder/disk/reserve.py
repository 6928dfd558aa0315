"""A little space kept back, so that on a full disk the journals of running calls can still be written.

A folder with one preallocated file and some empty ones (a disk may as well run out of inodes). When a
journal meets a full disk the reserve is given up, once, and made again when there is room. A second, tiny
file is given up for deliveries only: each frees far more than its journal needs, so that a disk on which
nothing else is left still empties itself.
"""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

from .faults import fault_point

NAME = ".reserve"
SIZE = 4 << 20
"""Bytes: some hundred journals."""
LAST = 64 << 10
"""Bytes of the tiny one: a journal and a note."""
FILES = 32
"""Inodes: each journal needs one for a moment, a new recording's folder four."""


class Reserve:
    """May be used from any thread. Never raises: a disk that cannot hold a reserve works without one."""

    def __init__(self, root: Path, size: int = SIZE) -> None:
        self.path = root / NAME
        self._space, self._last = self.path / "space", self.path / "last"
        self._size = size
        self._turn = threading.Lock()

    @property
    def held(self) -> bool:
        """All of it."""
        return self._whole(self._space, self._size) and self._whole(self._last, LAST)

    def hold(self) -> bool:
        """Make what is missing, where the disk has room for twice as much; whether all of it is there."""
        with self._turn:
            try:
                self.path.mkdir(mode=0o700, exist_ok=True)
                self._make(self._last, LAST, 4)
                self._make(self._space, self._size, FILES)
            except OSError:
                with suppress(OSError):
                    self.path.rmdir()  # where nothing of it could be made
            return self.held

    def release(self, *, last: bool = False) -> bool:
        """Give it up; whether there was anything to give. `last`: the tiny one, too, when it is the last."""
        with self._turn:
            for name in [self._space, self._last] if last else [self._space]:
                if name.exists():
                    self._give(name)
                    return True
            return False

    def remove(self) -> None:
        """Leave nothing behind."""
        with self._turn:
            shutil.rmtree(self.path, ignore_errors=True)

    def _give(self, name: Path) -> None:
        with suppress(OSError):
            # Cut first: on some file systems a full disk cannot even unlink.
            os.truncate(name, 0)
        fault_point("reserve.cut")
        for path in (name, *self.path.glob(f"{name.name}-*")):
            with suppress(OSError):
                path.unlink()
            fault_point("reserve.unlinked")

    def _whole(self, name: Path, size: int) -> bool:
        """A process that died while it gave this up has left the name, and nothing behind it."""
        try:
            return name.stat().st_size >= size
        except OSError:
            return False

    def _make(self, name: Path, size: int, files: int) -> None:
        if self._whole(name, size):
            return
        facts = os.statvfs(self.path)
        if facts.f_bavail * facts.f_frsize < 2 * size:
            raise OSError
        coming = self.path / f".{name.name}"
        try:
            for number in range(files):
                (self.path / f"{name.name}-{number}").touch()
            handle = os.open(coming, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, size)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError:
            self._give(name)
            coming.unlink(missing_ok=True)
            raise
        fault_point("reserve.made")
        coming.rename(name)
        fault_point("reserve.held")
