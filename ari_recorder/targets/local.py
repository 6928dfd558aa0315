"""A folder on this machine, or one that is mounted here."""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ..config import targets as config
from ..disk import durable
from ..disk.faults import fault_point
from ..model.delivery import Receipt
from ..model.errors import PermanentError, RecorderError, TransientError
from .archive_root import FOLDER_MODE, ArchiveRoot
from .base import (
    Confirms,
    Properties,
    Stat,
    adopted,
    checked,
    chunks,
    digest_back,
    mismatch,
    open_source,
    part_name,
    receipt,
    taken_away,
)
from .steps import Step, at

FILE_MODE = 0o640

_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP}
_UNFIT = {
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.EFBIG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.EILSEQ,
}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}


class LocalTarget:
    """Stores below `folder`. Synced to the disk before anything is confirmed.

    A folder on a network mount that hangs holds the calling thread; nothing in user space can end that.
    """

    properties = Properties(atomic_rename=True, server_side_hash=False, confirms=Confirms.READ_BACK)

    def __init__(self, settings: config.LocalTarget) -> None:
        self.name: str = settings.name
        self.path_template: str = settings.path
        self._root = ArchiveRoot(settings)

    def prepare(self) -> None:
        with self._classified(PurePosixPath(".")):
            self._root.prepare()

    def put(self, source: Path, path: PurePosixPath, *, sha256: str, size: int) -> Receipt:
        path = checked(path)
        with self._inside(path) as root:
            part = root / path.parent / part_name(path.name, sha256)
            _make_folders(root, path.parent)
            if found := self._adopted(root, path, part, sha256=sha256, size=size):
                return found
            with open_source(source, sha256=sha256, size=size) as stream:
                at(Step.WRITE)
                _fill(part, stream, size)
            fault_point("local.synced")
            at(Step.READ_BACK)
            final = root / path
            if not _finished(part, final, sha256=sha256, size=size):
                if not os.path.lexists(final) and part.exists():
                    part.unlink(missing_ok=True)
                    raise mismatch(self.name, path)
                if found := self._adopted(root, path, part, sha256=sha256, size=size):
                    return found  # another writer was faster
                raise taken_away(self, path)
            _sync(root, path)
        return receipt(path, sha256=sha256, size=size)

    def stat(self, path: PurePosixPath) -> Stat | None:
        with self._inside(path) as root:
            try:
                found = (root / checked(path)).lstat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        changed = datetime.fromtimestamp(found.st_mtime, UTC)
        return Stat(bytes=found.st_size, modified_at=changed, regular=modes.S_ISREG(found.st_mode))

    def open(self, path: PurePosixPath) -> BinaryIO:
        with self._inside(path) as root:
            try:
                return (root / checked(path)).open("rb")
            except (FileNotFoundError, NotADirectoryError) as error:
                raise PermanentError(
                    "target.missing", f'There is no file {path} in target "{self.name}".'
                ) from error

    def delete(self, path: PurePosixPath) -> bool:
        with self._inside(path) as root:
            try:
                (root / checked(path)).unlink()
            except (FileNotFoundError, NotADirectoryError):
                return False
            durable.sync_folder((root / path).parent)
        return True

    def close(self) -> None:
        """Nothing is kept open between calls."""

    def _adopted(
        self, root: Path, path: PurePosixPath, part: Path, *, sha256: str, size: int
    ) -> Receipt | None:
        """The receipt of the very file that stands there already; what is left of a part file goes."""
        found = adopted(self, path, sha256=sha256, size=size)
        if found is not None:
            part.unlink(missing_ok=True)
            _sync(root, path)
        return found

    @contextmanager
    def _inside(self, path: PurePosixPath) -> Iterator[Path]:
        """The root for work on `path`, with errors told in our words."""
        with self._classified(path), self._root.entered() as root:
            yield root

    @contextmanager
    def _classified(self, path: PurePosixPath) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._explained(error, path) from error

    def _explained(self, error: OSError, path: PurePosixPath) -> RecorderError:
        why = error.strerror or str(error)
        where = f'in {self._root.path} (target "{self.name}")'
        if error.errno in durable.FULL:
            return PermanentError(
                "target.full",
                f"No space is left {where}.",
                remedy="Free space, or enlarge the disk or quota.",
            )
        if error.errno in _DENIED:
            return PermanentError(
                "target.denied",
                f"{path} cannot be used {where}: {why}.",
                remedy="Give the recorder's user the right to read and write there.",
            )
        if error.errno == errno.ENOENT:
            return TransientError("target.torn", f"{path} was taken away {where} while it was at work on.")
        if error.errno in _UNFIT:
            return PermanentError(
                "target.denied",
                f"{path} cannot stand {where}: {why}.",
                remedy="Choose another folder or path template for the target.",
            )
        return TransientError("target.unreachable", f"{path} cannot be reached {where}: {why}.")


def _make_folders(root: Path, relative: PurePosixPath) -> None:
    place = root
    for part in relative.parts:
        place = place / part
        with suppress(FileExistsError):
            place.mkdir(mode=FOLDER_MODE)


def _fill(part: Path, stream: BinaryIO, size: int) -> None:
    """Write the part file, from where it differs from what an earlier attempt left of it, and sync it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(part, flags, FILE_MODE)
    try:
        fault_point("local.opened")
        same, offset = True, 0
        for chunk in chunks(stream):
            if same and not (same := os.read(descriptor, len(chunk)) == chunk):
                os.lseek(descriptor, offset, os.SEEK_SET)
            if not same:
                durable.write_all(descriptor, chunk)
                fault_point("local.chunk")
            offset += len(chunk)
        if os.fstat(descriptor).st_size > size:
            os.ftruncate(descriptor, size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _finished(part: Path, final: Path, *, sha256: str, size: int) -> bool:
    """Read the part file back and give it its final name; False when that was not to be."""
    try:
        with part.open("rb") as stream:
            # Asks the disk, not the memory that the bytes were just written to.
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if digest_back(stream) != (sha256, size):
                return False
    except FileNotFoundError:
        return False
    fault_point("local.checked")
    at(Step.RENAME)
    return _publish(part, final)


def _publish(part: Path, final: Path) -> bool:
    """Give the final name without overwriting; False when another writer was faster."""
    try:
        os.link(part, final, follow_symlinks=False)
    except (FileExistsError, FileNotFoundError):
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _renamed(part, final)
    fault_point("local.linked")
    part.unlink(missing_ok=True)
    fault_point("local.unlinked")
    return True


def _sync(root: Path, path: PurePosixPath) -> None:
    """Make every name from the file up to the root durable, also those that were there before."""
    for parent in path.parents:
        durable.sync_folder(root / parent)


def _renamed(part: Path, final: Path) -> bool:
    """For file systems without hard links (FAT, many network mounts): look, then rename."""
    if os.path.lexists(final):
        return False
    try:
        part.rename(final)
    except FileNotFoundError:
        return False
    fault_point("local.unlinked")
    return True
