"""A folder on an SFTP server, OpenSSH or another.

`ssh/connection.py` logs in, `ssh/session.py` speaks the protocol.
"""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from ..config import targets as config
from ..disk import durable
from ..disk.faults import fault_point
from ..model.delivery import Receipt
from ..model.errors import PermanentError, RecorderError, TransientError
from .base import (
    Confirms,
    Properties,
    Stat,
    adopted,
    checked,
    digest_back,
    mismatch,
    open_source,
    part_name,
    receipt,
    taken_away,
)
from .pool import Pool
from .ssh.connection import Login
from .ssh.session import UNSURE, WIRE_ERRORS, Session
from .steps import Step, at

OVERTAKEN = frozenset({errno.ENOENT, errno.EREMOTEIO})
"""What a server says of a name that is gone, and (SFTP has no word for it) of one that is taken."""

FOLDER_MODE = 0o750

SPARE_BYTES = 1024 * 1024
"""A server with less free space than this is full."""


class SftpTarget:
    """Stores below `folder` on the server; each thread that is at work has a connection of its own.

    The final name is given by SFTP's plain rename, which must not overwrite (draft-ietf-secsh-filexfer-02,
    6.5; OpenSSH makes a hard link and is free of races). `posix-rename@openssh.com`, which overwrites, serves
    only where the plain one fails although the name is free. Where the server knows `fsync@openssh.com`, a
    file is on its disk before it is confirmed; whether the name is too, is up to the server's file system.
    """

    properties = Properties(atomic_rename=True, server_side_hash=False, confirms=Confirms.READ_BACK)

    def __init__(self, settings: config.SftpTarget) -> None:
        self.name: str = settings.name
        self.path_template: str = settings.path
        self._settings = settings
        self._root = PurePosixPath(settings.folder)
        self._login = Login(settings)
        self._pool = Pool(settings.name, self._connected)

    def prepare(self) -> None:
        with self._session(PurePosixPath(".")) as session:
            for place in (*reversed(self._root.parents), self._root):
                if not _is_folder(session, place):
                    session.sftp.mkdir(str(place), FOLDER_MODE)

    def put(self, source: Path, path: PurePosixPath, *, sha256: str, size: int) -> Receipt:
        path = checked(path)
        final = self._root / path
        part = final.with_name(part_name(path.name, sha256))
        if found := self._adopted(path, part, sha256=sha256, size=size):
            return found
        with open_source(source, sha256=sha256, size=size) as stream, self._session(path, size) as session:
            try:
                if self._stored(session, stream, path, part, sha256=sha256, size=size):
                    return receipt(path, sha256=sha256, size=size)
            except OSError as error:
                # A faster writer gave the part file its name, or cleared it away, at a moment of ours.
                if error.errno not in OVERTAKEN or _lstat(session, final) is None:
                    raise
        if found := self._adopted(path, part, sha256=sha256, size=size):
            return found  # another writer was faster
        raise taken_away(self, path)

    def stat(self, path: PurePosixPath) -> Stat | None:
        with self._session(path) as session:
            found = _lstat(session, self._root / checked(path))
        if found is None:
            return None
        changed = None if found.st_mtime is None else datetime.fromtimestamp(found.st_mtime, UTC)
        return Stat(
            bytes=found.st_size or 0,
            modified_at=changed,
            regular=modes.S_ISREG(found.st_mode or modes.S_IFREG),
        )

    def open(self, path: PurePosixPath) -> BinaryIO:
        place = str(self._root / checked(path))
        session = self._pool.take()
        explain = partial(self._explained, session, path)
        try:
            with session.connection.watchdog.armed():
                return cast(BinaryIO, session.reader(place, explain, partial(self._pool.give_back, session)))
        except WIRE_ERRORS as error:
            explained = explain(error)
            self._pool.discard(session)
            if isinstance(error, OSError) and error.errno == errno.ENOENT:
                text = f'There is no file {path} in target "{self.name}".'
                raise PermanentError("target.missing", text) from error
            raise explained from error
        except BaseException:
            self._pool.discard(session)
            raise

    def delete(self, path: PurePosixPath) -> bool:
        with self._session(path) as session:
            try:
                session.sftp.remove(str(self._root / checked(path)))
            except FileNotFoundError:
                return False
        return True

    def close(self) -> None:
        self._pool.close()

    def _stored(
        self,
        session: Session,
        stream: BinaryIO,
        path: PurePosixPath,
        part: PurePosixPath,
        *,
        sha256: str,
        size: int,
    ) -> bool:
        """Send the file and give it its name; False when somebody else did, or took the part file away."""
        for resume in (True, False):
            at(Step.WRITE)
            resumed = self._upload(session, stream, path, part, size, resume=resume)
            at(Step.READ_BACK)
            if self._finished(session, path, part, sha256=sha256, size=size):
                return True
            if _lstat(session, self._root / path) is not None:
                return False
            if not resumed:
                break
        if _lstat(session, part) is None:
            return False
        session.sftp.remove(str(part))
        raise mismatch(self.name, path)

    def _upload(
        self,
        session: Session,
        stream: BinaryIO,
        path: PurePosixPath,
        part: PurePosixPath,
        size: int,
        *,
        resume: bool,
    ) -> bool:
        """Write the part file; True when only the rest was sent, behind what an earlier attempt left."""
        file = self._create(session, path, str(part))
        fault_point("sftp.opened")
        try:
            there = file.stat().st_size or 0
            kept = (
                there if resume and there <= size and self._agrees(session, path, part, stream, there) else 0
            )
            stream.seek(kept)
            self._write(session, file, stream, kept)
            if there > size:
                file.truncate(size)
        finally:
            file.close()
        fault_point("sftp.written")
        return kept > 0

    def _write(self, session: Session, file: Any, stream: BinaryIO, kept: int) -> None:
        try:
            session.write(file.handle, stream, kept)
        except OSError as error:
            if error.errno != errno.EREMOTEIO:
                raise
            # SFTP has no word for what a file may lack that could be opened for writing.
            raise OSError(errno.ENOSPC, error.strerror) from error

    def _agrees(
        self, session: Session, path: PurePosixPath, part: PurePosixPath, stream: BinaryIO, there: int
    ) -> bool:
        """Whether the last bytes of the `there` that stand in the part file are the source's.

        Only those that a failing server may not have written yet; the file is read back as a whole later.
        The source is read past its pace: nothing of it is sent here.
        """
        place = max(0, there - UNSURE)
        explain = partial(self._explained, session, path)
        with session.reader(str(part), explain, _nothing, place) as stored:
            while place < there:
                block = stored.read(min(there - place, durable.BLOCK))
                if not block or block != os.pread(stream.fileno(), len(block), place):
                    return False
                place += len(block)
        return True

    def _finished(
        self, session: Session, path: PurePosixPath, part: PurePosixPath, *, sha256: str, size: int
    ) -> bool:
        """Read the part file back and give it its final name; False when that was not to be."""
        explain = partial(self._explained, session, path)
        try:
            with session.reader(str(part), explain, _nothing) as stored:
                if digest_back(stored) != (sha256, size):
                    return False
        except FileNotFoundError:
            return False
        fault_point("sftp.checked")
        at(Step.RENAME)
        return _published(session, part, self._root / path)

    def _create(self, session: Session, path: PurePosixPath, part: str) -> Any:
        """Open the part file for writing; one that is there already is written over, never emptied."""
        for last in (False, False, True):
            try:
                return session.sftp.open(part, "wx")
            except FileNotFoundError:
                self._make_folders(session, path.parent)
            except PermissionError:
                raise
            except OSError as refused:  # it is there, or the server has another reason
                try:
                    return session.sftp.open(part, "r+")
                except FileNotFoundError:  # it was there, perhaps
                    if last or _lstat(session, self._root / path) is not None:
                        raise refused from None
        return session.sftp.open(part, "wx")

    def _make_folders(self, session: Session, relative: PurePosixPath) -> None:
        if not _is_folder(session, self._root):
            raise PermanentError(
                "target.missing",
                f'The folder {self._root} of target "{self.name}" does not exist on {self._settings.host}.',
                remedy="Create it there, or mount what belongs there.",
            )
        place = self._root
        for part in relative.parts:
            place = place / part
            try:
                session.sftp.mkdir(str(place), FOLDER_MODE)
            except OSError:
                if not _is_folder(session, place):
                    raise
            fault_point("sftp.folder")

    def _adopted(self, path: PurePosixPath, part: PurePosixPath, *, sha256: str, size: int) -> Receipt | None:
        """The receipt of the very file that stands there already; what is left of a part file goes."""
        found = adopted(self, path, sha256=sha256, size=size)
        if found is not None:
            with self._session(part) as session, suppress(FileNotFoundError):
                session.sftp.remove(str(part))
        return found

    @contextmanager
    def _session(self, path: PurePosixPath, needed: int = 0) -> Iterator[Session]:
        """A session of one's own, with errors told in our words; after an error it is not used again."""
        session = self._pool.take()
        try:
            with session.connection.watchdog.armed():
                yield session
        except WIRE_ERRORS as error:
            explained = self._explained(session, path, error, needed)
            self._pool.discard(session)
            raise explained from error
        except BaseException:
            self._pool.discard(session)
            raise
        self._pool.give_back(session)

    def _connected(self) -> Session:
        connection = self._login.connect()
        try:
            return Session(connection, self._settings.timeout)
        except WIRE_ERRORS as error:
            silent = connection.watchdog.bit or isinstance(error, TimeoutError)
            connection.close()
            why = "was silent for too long" if silent else "refused or broke off the SFTP session"
            raise TransientError(
                "target.unreachable",
                f'The server of target "{self.name}" {why} after the login.',
                remedy="Check that the server offers SFTP to this user.",
            ) from error

    def _explained(
        self, session: Session, path: PurePosixPath, error: Exception, needed: int = 0
    ) -> RecorderError:
        where = f'on {self._settings.host} (target "{self.name}")'
        if session.connection.watchdog.bit or isinstance(error, TimeoutError):
            return TransientError(
                "target.unreachable",
                f"The server was silent for over {self._settings.timeout:g} s {where}.",
                remedy="Check the network, and the load of the server.",
            )
        # What paramiko says of a channel that the server closed while its connection still stands.
        closed = str(error) == "Socket is closed"
        if (
            not session.alive
            or closed
            or not isinstance(error, OSError)
            or isinstance(error, ConnectionError)
        ):
            return TransientError("target.torn", f"The connection broke during work on {path} {where}.")
        if isinstance(error, FileNotFoundError):
            return TransientError("target.torn", f"{path} was taken away {where} while it was at work on.")
        if isinstance(error, PermissionError):
            return PermanentError(
                "target.denied",
                f"{path} may not be written, read or deleted {where}.",
                remedy=f'Give user "{self._settings.user}" the right to.',
            )
        if (told := self._of_disk(session, where, needed)) is not None:
            return told
        if error.errno == errno.ENOSPC:
            return PermanentError(
                "target.full",
                f"The server takes no more of {path}, though its disk has space {where}: a quota, perhaps.",
                remedy=f'Raise the quota of user "{self._settings.user}", or look into the server\'s log.',
            )
        return PermanentError(
            "target.denied",
            f"The server refused work on {path} {where}: {error.strerror or error}.",
            remedy="Look into the server's log; a folder of that name, a read-only disk?",
        )

    def _of_disk(self, session: Session, where: str, needed: int) -> PermanentError | None:
        """What is wrong with the disk, where the server tells; SFTP has no status for it."""
        with suppress(*WIRE_ERRORS), session.connection.watchdog.armed():
            disk = session.disk(str(self._root))
            if disk is not None and disk.read_only:
                return PermanentError(
                    "target.denied",
                    f"The disk is mounted read-only {where}.",
                    remedy="Mount it for writing; one that became read-only by itself may be failing.",
                )
            if disk is not None and disk.free < needed + SPARE_BYTES:
                return PermanentError(
                    "target.full",
                    f"No space is left {where}.",
                    remedy="Free space there, or enlarge the disk.",
                )
        return None


def _lstat(session: Session, path: PurePosixPath) -> Any:
    try:
        return session.sftp.lstat(str(path))
    except FileNotFoundError:
        return None


def _is_folder(session: Session, path: PurePosixPath) -> bool:
    try:
        return modes.S_ISDIR(session.sftp.stat(str(path)).st_mode or 0)
    except FileNotFoundError:
        return False


def _published(session: Session, part: PurePosixPath, final: PurePosixPath) -> bool:
    """Give the final name without overwriting; False when another writer was faster."""
    try:
        session.sftp.rename(str(part), str(final))
    except OSError:
        if _lstat(session, final) is not None or _lstat(session, part) is None:
            return False
        session.sftp.posix_rename(str(part), str(final))
    fault_point("sftp.renamed")
    return True


def _nothing() -> None:
    """The session goes on."""
