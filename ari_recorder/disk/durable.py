"""Writes that survive a power cut. All raise OSError; `explained` turns that into an error for people.

Whatever must outlive the process goes through these doors: journal, legs, sealed files, chain, keys and the
archive's files. Tests kill the process before, inside and after every one of them, and cut the power (by
dropping what was not synced) in the journal's writing, in a move, and in a delivery to a folder.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..model.errors import TransientError
from .faults import fault_point

BLOCK = 1 << 20
"""Bytes read or written at a time."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""No space is left, or none for this user."""


def write_all(handle: int, data: bytes) -> None:
    """Write every byte: `os.write` may write less."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def write_new(path: Path, data: bytes, mode: int = 0o640) -> None:
    """A file that did not exist before; its name is durable only after `sync_folder`."""
    fault_point("new.begin")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags, mode)
    try:
        write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    fault_point("new.synced")


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` by `data`: after a crash there is the old content or the new, never a mixture.

    Only one writer at a time may work on a path. Raises OSError; the old content then still stands.
    """
    fault_point("write.begin")
    temporary = path.with_name(f".{path.name}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(temporary, flags, mode)
    try:
        write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    fault_point("write.synced")
    rename(temporary, path)
    fault_point("write.renamed")
    sync_folder(path.parent)
    fault_point("write.done")


def copy(source: Path, destination: Path) -> int:
    """Copy a file over nothing or an earlier copy: whole and durable, or not at all. The number of bytes."""
    part = destination.with_name(destination.name + ".part")
    fault_point("copy.begin")
    try:
        with source.open("rb") as reader, part.open("wb") as writer:
            shutil.copyfileobj(reader, writer, BLOCK)
            writer.flush()
            os.fsync(writer.fileno())
            size = writer.tell()
    except OSError:
        # What came of it would take away the space that others need to end in order.
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    fault_point("copy.synced")
    publish(part, destination)
    return size


def append(handle: int, data: bytes) -> None:
    """Bytes at the end of a file opened with O_APPEND."""
    write_all(handle, data)
    os.fsync(handle)
    fault_point("append.done")


def cut(handle: int, size: int) -> None:
    fault_point("cut.begin")
    os.ftruncate(handle, size)
    os.fsync(handle)
    fault_point("cut.done")


def rename(source: Path, destination: Path) -> None:
    """Within one file system; the new name is durable only after `sync_folder`."""
    fault_point("rename.begin")
    source.rename(destination)
    fault_point("rename.done")


def publish(source: Path, destination: Path) -> None:
    """Rename within one file system, durably."""
    rename(source, destination)
    sync_folder(destination.parent)


def remove(path: Path) -> None:
    fault_point("unlink.begin")
    path.unlink(missing_ok=True)
    fault_point("unlink.done")


def make_folders(path: Path, mode: int = 0o700) -> None:
    """A folder, and the parents that it lacks (with the usual mode), by names that are durable; nothing where
    it is there."""
    if path.is_dir():
        return
    make_folders(path.parent, 0o777)
    path.mkdir(mode, exist_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a rename or a new file is not, until its folder is synced."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)
    fault_point("names.synced")


def sync_file(path: Path) -> None:
    _sync(path, os.O_RDONLY)


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn an OSError into a TransientError that a person can read: the step is tried again later."""
    try:
        yield
    except OSError as error:
        full = error.errno in FULL
        raise TransientError(
            "spool.full" if full else "spool.unusable",
            f"{doing} failed: {error.strerror or error}{f' ({error.filename})' if error.filename else ''}.",
            remedy="Free some space." if full else "Look at the disk, and at who owns the folder.",
        ) from error


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
