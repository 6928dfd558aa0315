"""The only doors through which sealing touches the disk: each returns once the disk has it.

Tests put a crash before, inside and after every one of them. All raise OSError.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..model.errors import TransientError

BLOCK = 1 << 20


def _nothing(_moment: str) -> None:
    """In the field nobody stands at the doors."""


watch: Callable[[str], None] = _nothing
"""Hears `seal.write`, `seal.append` and `seal.rename` before the disk is touched: whole-process crash tests
die there (`pipeline.py` connects it with their fault points)."""


def write_new(path: Path, data: bytes, mode: int = 0o640) -> None:
    """A file that did not exist before; its name is durable only after `sync_folder`."""
    watch("seal.write")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags, mode)
    try:
        _write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)


def append(handle: int, data: bytes) -> None:
    """Bytes at the end of a file opened with O_APPEND."""
    watch("seal.append")
    _write_all(handle, data)
    os.fsync(handle)


def cut(handle: int, size: int) -> None:
    os.ftruncate(handle, size)
    os.fsync(handle)


def rename(source: Path, destination: Path) -> None:
    watch("seal.rename")
    source.rename(destination)


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    _sync(path, os.O_RDONLY)


def digest(path: Path) -> tuple[str, int]:
    """SHA-256 in hexadecimal and size in bytes, streamed."""
    seen = hashlib.sha256()
    size = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            seen.update(block)
            size += len(block)
    return seen.hexdigest(), size


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn an OSError into a TransientError that a person can read: the step is tried again later."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise TransientError(
            "spool.full" if full else "spool.unusable",
            f"{doing} failed: {error.strerror or error}{f' ({error.filename})' if error.filename else ''}.",
            remedy="Free some space." if full else "Look at the disk, and at who owns the folder.",
        ) from error


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
