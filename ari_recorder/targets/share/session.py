"""What the target asks of a share, in SMB's own requests, several of them ahead of their answers.

smbprotocol's high-level `smbclient` is not used: its cache of connections and DFS referrals is one for the
whole process, and it waits for each answer before it asks on. Source of the facts: [MS-SMB2], [MS-FSCC].
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, Any, TypeAlias

from smbprotocol import MAX_PAYLOAD_SIZE
from smbprotocol.exceptions import SMBException, SMBResponseException
from smbprotocol.file_info import FileAttributes, FileEndOfFileInformation, FileRenameInformation
from smbprotocol.header import NtStatus
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
    SMB2SetInfoRequest,
)
from smbprotocol.tree import TreeConnect

from ...disk import durable
from ...disk.faults import fault_point
from ...model.errors import RecorderError
from .. import pace
from ..base import Stat
from .wire import Garbage, Silent, SmbConnection, readable

BLOCK = 1024 * 1024
"""Bytes of one read or write request, where the server takes so many."""

DEPTH = 4
"""Requests under way at a time."""

CREDITS = 128
"""How many credits (of 64 KiB each) the server is asked for: enough for `DEPTH` blocks and more."""

SYNC_EVERY = 32 * 1024 * 1024
"""Bytes after which the server is asked to sync, so that no single sync takes long."""

WIRE_ERRORS = (SMBException, OSError)
"""What a server that refuses or a connection that breaks makes of a call here."""

ABSENT = frozenset(
    {
        NtStatus.STATUS_OBJECT_NAME_NOT_FOUND,
        NtStatus.STATUS_OBJECT_PATH_NOT_FOUND,
        NtStatus.STATUS_NO_SUCH_FILE,
        NtStatus.STATUS_NOT_FOUND,
    }
)
"""Nothing stands under the name, or a folder on the way to it is not there."""

TAKEN = frozenset({NtStatus.STATUS_OBJECT_NAME_COLLISION})
"""Something stands under the name."""

DELETING = NtStatus.STATUS_DELETE_PENDING
"""The file was deleted and still stands there because somebody has it open: nobody may open it any more."""

Explain: TypeAlias = Callable[[Exception], RecorderError]

_ANYONE = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
_SEQUENTIAL = CreateOptions.FILE_NON_DIRECTORY_FILE | CreateOptions.FILE_SEQUENTIAL_ONLY
# FILE_OPEN_REPARSE_POINT is used nowhere: it would show the stub instead of the file where a Windows server
# deduplicates or tiers its disks. A symbolic link is refused all the same, for SMB leaves it to the client.
_Right = FilePipePrinterAccessMask


class Session:
    """A connection that is logged in and stands in one share; used by one thread at a time.

    Paths here are those of the share, with backslashes; empty means the share itself. Every method raises
    `WIRE_ERRORS`; a status that is not success is an SMBResponseException.
    """

    def __init__(self, connection: SmbConnection, tree: TreeConnect, root: str) -> None:
        self._connection = connection
        self._tree = tree
        self.root = root
        """The target's folder, as a path of this share: DFS may have led elsewhere than the settings say."""

    @property
    def alive(self) -> bool:
        return self._connection.alive

    def answers(self) -> bool:
        """Ask the server whether an idle session may serve a further call; `Silent` when it says nothing."""
        if not self._connection.reusable:
            return False
        try:
            with readable():
                self._connection.echo(sid=self._tree.session.session_id)
        except Silent:
            raise
        except WIRE_ERRORS:
            return False
        return True

    def close(self) -> None:
        self._connection.cut()

    def stat(self, path: str) -> Stat | None:
        """What stands under a path; None when nothing does."""
        try:
            found = self._open(path, _Right.FILE_READ_ATTRIBUTES, CreateDisposition.FILE_OPEN, 0)
        except SMBResponseException as error:
            if error.status in ABSENT:
                return None
            raise
        self._close(found)
        return Stat(
            bytes=int(found.end_of_file),
            modified_at=_utc(found.last_write_time),
            regular=not found.file_attributes & FileAttributes.FILE_ATTRIBUTE_DIRECTORY,
        )

    def is_folder(self, path: str) -> bool:
        """Whether a folder stands there; a link to one will do."""
        options = CreateOptions.FILE_DIRECTORY_FILE
        try:
            found = self._open(path, _Right.FILE_READ_ATTRIBUTES, CreateDisposition.FILE_OPEN, options)
        except SMBResponseException as error:
            if error.status in ABSENT or error.status == NtStatus.STATUS_NOT_A_DIRECTORY:
                return False
            raise
        self._close(found)
        return True

    def make_folder(self, path: str) -> None:
        """Make a folder where there is none."""
        made = self._open(
            path,
            _Right.FILE_READ_ATTRIBUTES,
            CreateDisposition.FILE_OPEN_IF,
            CreateOptions.FILE_DIRECTORY_FILE,
        )
        self._close(made)

    def write(self, path: str, stream: IO[bytes], size: int, *, resume: bool) -> int:
        """Write a file, over whatever it holds, never emptying it; sync it. Where the writing began.

        With `resume` that is the end of what stands there already: whoever calls must compare it all.
        """
        rights = _Right.FILE_WRITE_DATA | _Right.FILE_APPEND_DATA | _Right.FILE_READ_ATTRIBUTES
        file = self._open(path, rights, CreateDisposition.FILE_OPEN_IF, _SEQUENTIAL)
        fault_point("smb.opened")
        begin = int(file.end_of_file) if resume and file.end_of_file <= size else 0
        try:
            stream.seek(begin)
            self._send_all(file, stream, begin)
            if file.end_of_file > size:
                end = FileEndOfFileInformation()
                end["end_of_file"] = size
                self._set(file, end)
            file.flush()
        finally:
            self._close(file)
        fault_point("smb.written")
        return begin

    def reader(self, path: str, explain: Explain, done: Callable[[], None]) -> io.BufferedReader:
        """A file for reading; `done` is called when it is closed."""
        file = self._open(path, _Right.FILE_READ_DATA, CreateDisposition.FILE_OPEN, _SEQUENTIAL)
        return io.BufferedReader(_Reader(self, file, explain, done), durable.BLOCK)

    def rename(self, path: str, final: str) -> None:
        """Give a file another name in this share, in one step that overwrites nothing (status in `TAKEN`)."""
        rights = _Right.DELETE | _Right.FILE_READ_ATTRIBUTES
        file = self._open(path, rights, CreateDisposition.FILE_OPEN, 0)
        try:
            name = FileRenameInformation()
            name["replace_if_exists"] = False
            name["file_name"] = final
            self._set(file, name)
        finally:
            self._close(file)

    def remove(self, path: str) -> bool:
        """Delete a file; False when it is not there, or somebody else is deleting it."""
        options = CreateOptions.FILE_NON_DIRECTORY_FILE | CreateOptions.FILE_DELETE_ON_CLOSE
        try:
            # Closing deletes: Samba says there, too, that somebody was faster.
            self._close(self._open(path, _Right.DELETE, CreateDisposition.FILE_OPEN, options))
        except SMBResponseException as error:
            if error.status in ABSENT or error.status == DELETING:
                return False
            raise
        return True

    def _send_all(self, file: Open, stream: IO[bytes], begin: int) -> None:
        ahead = Ahead(self._connection, self._tree)
        written = synced = begin
        piece = pace.piece(stream)
        while block := stream.read(min(ahead.wait_for_room(self._connection.max_write_size), piece)):
            message, unpack = file.write(block, written, send=False)
            ahead.send(message, unpack)
            written += len(block)
            fault_point("smb.block")
            if written - synced >= SYNC_EVERY:
                synced = written
                ahead.wait_for_room(1)
                ahead.send(*file.flush(send=False))
        ahead.settle(0)

    def _open(self, path: str, rights: int, disposition: int, options: int) -> Open:
        name = self._wire_name(path)
        file = Open(self._tree, name)
        with readable():
            file.create(
                ImpersonationLevel.Impersonation,
                rights | _Right.SYNCHRONIZE,
                FileAttributes.FILE_ATTRIBUTE_NORMAL
                if not options & CreateOptions.FILE_DIRECTORY_FILE
                else 0,
                _ANYONE,
                disposition,
                options,
            )
        return file

    def _wire_name(self, path: str) -> str:
        """In a DFS share names begin with server and share ([MS-SMB2] 3.2.4.3)."""
        if not self._tree.is_dfs_share:
            return path
        share: str = self._tree.share_name.strip("\\")
        return f"{share}\\{path}" if path else share

    def _set(self, file: Open, value: Any) -> None:
        message = SMB2SetInfoRequest()
        message["info_type"] = value.INFO_TYPE
        message["file_info_class"] = value.INFO_CLASS
        message["file_id"] = file.file_id
        message["buffer"] = value
        tree = self._tree
        request = self._connection.send(message, tree.session.session_id, tree.tree_connect_id)
        with readable():
            self._connection.receive(request)

    def _close(self, file: Open) -> None:
        """A connection that is broken closes its files by itself."""
        if self.alive:
            with readable():
                file.close()


class Ahead:
    """Requests in the order sent, whose answers are taken in that order."""

    def __init__(self, connection: SmbConnection, tree: TreeConnect) -> None:
        self._connection = connection
        self._tree = tree
        self._sent: deque[tuple[Any, Callable[[Any], Any]]] = deque()

    def __len__(self) -> int:
        return len(self._sent)

    def room(self, most: int) -> int:
        """Bytes that the next request may carry, 0 while it should rather wait for an answer.

        `most` is what the server takes or gives at a time.
        """
        allowed: int = min(BLOCK, most, self._credits() * MAX_PAYLOAD_SIZE)
        if self._sent:
            return allowed if len(self._sent) < DEPTH and allowed >= min(BLOCK, most) else 0
        if allowed <= 0:
            raise Garbage("the server grants no credits")
        return allowed

    def wait_for_room(self, most: int) -> int:
        """`room`, after as many answers as that takes; their results are dropped."""
        while not (room := self.room(most)):
            self.receive()
        return room

    def send(self, message: Any, unpack: Callable[[Any], Any]) -> None:
        """Send a request for which there is room; `unpack` makes the result of its answer."""
        charge: int = self._connection._calculate_credit_charge(message)
        more = max(0, CREDITS - self._credits())
        session, tree = self._tree.session.session_id, self._tree.tree_connect_id
        with readable():
            request = self._connection.send(message, session, tree, credit_request=max(charge, 1) + more)
        self._sent.append((request, unpack))

    def receive(self) -> Any:
        """The result of the oldest request."""
        request, unpack = self._sent.popleft()
        with readable():
            return unpack(request)

    def settle(self, depth: int) -> None:
        """Take answers until at most `depth` requests are under way."""
        while len(self._sent) > depth:
            self.receive()

    def _credits(self) -> int:
        window = self._connection.sequence_window
        return int(window["high"] - window["low"])


class _Reader(io.RawIOBase):
    """A file on the share, read ahead. What goes wrong is told in the words of `explain`."""

    def __init__(self, session: Session, file: Open, explain: Explain, done: Callable[[], None]) -> None:
        self._session = session
        self._file = file
        self._explain = explain
        self._done = done
        self._ahead = Ahead(session._connection, session._tree)
        self._wanted: deque[tuple[int, int]] = deque()
        self._asked = 0
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the file goes."""
        filled = 0
        try:
            while filled < len(buffer):
                self._rest = self._rest or memoryview(self._next())
                if not self._rest:
                    break
                count = min(len(buffer) - filled, len(self._rest))
                buffer[filled : filled + count] = self._rest[:count]
                self._rest = self._rest[count:]
                filled += count
        except WIRE_ERRORS as error:
            explained = self._explain(error)
            self._session.close()
            raise explained from error
        return filled

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        try:
            if self._session.alive:
                self._ahead.settle(0)
                self._session._close(self._file)
        except WIRE_ERRORS:
            self._session.close()  # everything was read that was asked for
        finally:
            self._done()

    def _next(self) -> bytes:
        most = self._session._connection.max_read_size
        while self._asked < self._file.end_of_file and (room := self._ahead.room(most)):
            count = min(room, self._file.end_of_file - self._asked)
            self._ahead.send(*self._file.read(self._asked, count, send=False))
            self._wanted.append((self._asked, count))
            self._asked += count
        if not self._wanted:
            return b""
        offset, count = self._wanted.popleft()
        data: bytes = self._ahead.receive()
        while len(data) < count:  # a server may give less than it was asked for
            with readable():
                rest: bytes = self._file.read(offset + len(data), min(MAX_PAYLOAD_SIZE, count - len(data)))
            if not rest:
                raise Garbage("an answer to a read holds no data")
            data += rest
        return data


def _utc(moment: datetime | None) -> datetime | None:
    """FILETIME as smbprotocol gives it: at the end of time it forgets the zone."""
    if moment is None or moment.year in (1601, 9999):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
