"""A sealed file while it is sent: when the spool's disk cannot read it, that is no fault of the target."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ..model.errors import IntegrityError
from . import progress


class SourceFile(io.RawIOBase):
    """Opened for reading. IntegrityError `evidence.missing` where another file raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise _unreadable(path, error) from error

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
        try:
            size = self._file.readinto(buffer) or 0
        except OSError as error:
            raise _unreadable(self._path, error) from error
        progress.moved()
        return size

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def opened(path: Path) -> io.BufferedReader:
    """The file for reading; errors as `SourceFile`."""
    return io.BufferedReader(SourceFile(path))


def _unreadable(path: Path, error: OSError) -> IntegrityError:
    missing = isinstance(error, FileNotFoundError)
    return IntegrityError(
        "evidence.missing",
        f"The sealed file {path.name} cannot be read in the spool: {error.strerror or error}.",
        remedy=f"Look for it in {path.parent}." if missing else f"Check the disk of {path.parent} (dmesg).",
    )
