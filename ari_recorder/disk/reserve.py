"""A little space kept back, so that on a full disk the journals of running calls can still be written.

A folder with one preallocated file and some empty ones (a disk may as well run out of inodes). When a
journal meets a full disk the reserve is given up, once, and made again when there is room.
"""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

NAME = ".reserve"
SIZE = 4 << 20
"""Bytes: some hundred journals."""
FILES = 32
"""Inodes: each journal needs one for a moment, a new recording's folder four."""


class Reserve:
    """May be used from any thread. Never raises: a disk that cannot hold a reserve works without one."""

    def __init__(self, root: Path, size: int = SIZE) -> None:
        self.path = root / NAME
        self._size = size
        self._turn = threading.Lock()

    @property
    def held(self) -> bool:
        return (self.path / "space").exists()

    def hold(self) -> bool:
        """Make it where it is missing and the disk has room for twice as much; whether it is there."""
        with self._turn:
            if self.held:
                return True
            try:
                self._make()
            except OSError:
                shutil.rmtree(self.path, ignore_errors=True)
                return False
            return True

    def release(self) -> bool:
        """Give it up; whether there was anything to give."""
        with self._turn:
            if not self.path.exists():
                return False
            with suppress(OSError):
                # Cut first: on some file systems a full disk cannot even unlink.
                os.truncate(self.path / "space", 0)
            shutil.rmtree(self.path, ignore_errors=True)
            return True

    def _make(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(mode=0o700)
        facts = os.statvfs(self.path)
        if facts.f_bavail * facts.f_frsize < 2 * self._size:
            raise OSError
        for number in range(FILES):
            (self.path / f"inode-{number}").touch()
        handle = os.open(self.path / ".space", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, self._size)
            os.fsync(handle)
        finally:
            os.close(handle)
        (self.path / ".space").rename(self.path / "space")
