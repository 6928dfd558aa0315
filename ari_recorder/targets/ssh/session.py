"""The SFTP protocol below the target: one channel, and requests sent ahead of their answers.

paramiko sends writes ahead too, but tells of an error only by and by and of progress not at all; for reads
it starts a thread that nobody hears when it fails. `Ahead` uses the same two inner functions of paramiko
(`_async_request`, `_read_response`) and does both in the calling thread.
"""

from __future__ import annotations

import errno
import io
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, TypeAlias

import paramiko
from paramiko import sftp as protocol

from ...disk import durable
from ...disk.faults import fault_point
from ...model.errors import RecorderError
from .. import pace
from .connection import Connection, readable

BLOCK = 32 * 1024
"""Bytes of one read or write request: what every server takes."""

DEPTH = 64
"""Requests under way at a time: 2 MiB, enough for 40 MB/s at a distance of 50 ms."""

SYNC_EVERY = 32 * 1024 * 1024
"""Bytes after which the server is asked to sync, so that no single sync takes long."""

UNSURE = SYNC_EVERY + BLOCK * DEPTH
"""Bytes at the end of a torn upload that may not have reached the server's disk when its power failed."""

WIRE_ERRORS = (OSError, EOFError, paramiko.SSHException, protocol.SFTPError)
"""What paramiko raises for a server that refuses or a connection that breaks."""

Explain: TypeAlias = Callable[[Exception], RecorderError]

_ERRNO = {
    protocol.SFTP_NO_SUCH_FILE: errno.ENOENT,
    protocol.SFTP_PERMISSION_DENIED: errno.EACCES,
    protocol.SFTP_OP_UNSUPPORTED: errno.EOPNOTSUPP,
}


@dataclass(frozen=True, slots=True)
class Disk:
    free: int
    """Bytes."""
    read_only: bool


class Client(paramiko.SFTPClient):
    """paramiko's client, for which an answer that cannot be read is an SSHException, and Latin-1 is none."""

    def _read_response(self, waitfor: Any = None) -> Any:
        with readable():
            return super()._read_response(waitfor)  # type: ignore[misc]

    def _convert_status(self, msg: paramiko.Message) -> None:
        _demand_ok(msg)


class Session:
    """One SFTP channel on a connection of its own; used by one thread at a time."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self.connection = connection
        self._can_sync = True
        with connection.watchdog.armed(), readable():
            channel = connection.transport.open_session(timeout=seconds)
            channel.settimeout(seconds)
            channel.invoke_subsystem("sftp")
            self.sftp: Any = Client(channel)

    @property
    def alive(self) -> bool:
        return self.connection.alive

    def close(self) -> None:
        self.connection.close()

    def write(self, handle: bytes, stream: IO[bytes], offset: int = 0) -> int:
        """Write the rest of a stream to an open file at `offset`, sync it, and return where it ends."""
        ahead = Ahead(self)
        written = synced = offset
        size = min(BLOCK, pace.piece(stream))
        while block := self._read(stream, size):
            ahead.send(protocol.CMD_WRITE, handle, protocol.int64(written), block)
            written += len(block)
            if written - synced >= SYNC_EVERY:
                synced = written
                self._sync(ahead, handle)
            ahead.settle(DEPTH)
            fault_point("sftp.block")
        self._sync(ahead, handle)
        ahead.settle(0)
        return written

    def reader(
        self, path: str, explain: Explain, done: Callable[[], None], start: int = 0
    ) -> io.BufferedReader:
        """A remote file for reading from byte `start` on; `done` is called when it is closed."""
        return io.BufferedReader(_Reader(self, path, explain, done, start), durable.BLOCK)

    def disk(self, path: str) -> Disk | None:
        """The disk under a folder; None when the server does not tell (`statvfs@openssh.com`)."""
        try:
            kind, answer = self.sftp._request(protocol.CMD_EXTENDED, "statvfs@openssh.com", path)
        except WIRE_ERRORS:
            return None
        if kind != protocol.CMD_EXTENDED_REPLY:
            return None
        # f_bsize, f_frsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_favail, f_fsid, f_flag
        # (OpenSSH's PROTOCOL file, section 4.4)
        fields = [int(answer.get_int64()) for _ in range(10)]
        return Disk(free=fields[1] * fields[4], read_only=bool(fields[9] & 1))

    def _read(self, stream: IO[bytes], size: int) -> bytes:
        """Bytes to be sent; while they are awaited, for the target's pace, the server owes us nothing."""
        with self.connection.watchdog.resting():
            return stream.read(size)

    def _sync(self, ahead: Ahead, handle: bytes) -> None:
        """Ask the server to bring the file to its disk (`fsync@openssh.com`), where it can."""
        if self._can_sync:
            ahead.send(protocol.CMD_EXTENDED, b"fsync@openssh.com", handle, unsupported=self._cannot_sync)

    def _cannot_sync(self) -> None:
        self._can_sync = False


class Ahead:
    """Requests in the order sent, whose answers are taken in that order."""

    def __init__(self, session: Session) -> None:
        self._sftp = session.sftp
        self._progress = session.connection.watchdog.progress
        self._sent: deque[tuple[int, Callable[[], None] | None]] = deque()
        self._answers: dict[int, tuple[int, paramiko.Message]] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def send(self, command: int, *words: Any, unsupported: Callable[[], None] | None = None) -> None:
        """Send a request; `unsupported` is called when the server does not know it, else that is an error."""
        self._sent.append((self._sftp._async_request(self, command, *words), unsupported))
        self._progress()

    def receive(self) -> tuple[int, paramiko.Message]:
        """The answer to the oldest request: OSError or EOFError for a status that is not OK."""
        number, unsupported = self._sent.popleft()
        while number not in self._answers:
            self._sftp._read_response()
            self._progress()
        kind, message = self._answers.pop(number)
        if kind == protocol.CMD_STATUS:
            try:
                _demand_ok(message)
            except OSError as error:
                # An administrator may also have forbidden the request (sftp-server's -P).
                if unsupported is None or error.errno not in (errno.EOPNOTSUPP, errno.EACCES):
                    raise
                unsupported()
        return kind, message

    def settle(self, depth: int) -> None:
        """Take answers until at most `depth` requests are under way."""
        while len(self._sent) > depth:
            self.receive()

    def _async_response(self, kind: int, message: paramiko.Message, number: int) -> None:
        """Called by paramiko with each answer."""
        self._answers[number] = (kind, message)


class _Reader(io.RawIOBase):
    """A remote file, read ahead. What goes wrong is told in the words of `explain`."""

    def __init__(
        self, session: Session, path: str, explain: Explain, done: Callable[[], None], start: int
    ) -> None:
        self._session = session
        self._explain = explain
        self._done = done
        self._file = session.sftp.open(path, "r")
        self._size: int = self._file.stat().st_size or 0
        self._ahead = Ahead(session)
        self._wanted: deque[tuple[int, int]] = deque()
        self._asked = start
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the file goes."""
        filled = 0
        try:
            with self._session.connection.watchdog.armed():
                while filled < len(buffer):
                    self._rest = self._rest or self._next()
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
                with self._session.connection.watchdog.armed():
                    self._ahead.settle(0)
                    self._file.close()
        except WIRE_ERRORS:
            self._session.close()  # everything was read that was asked for
        finally:
            self._done()

    def _next(self) -> bytes:
        while len(self._ahead) < DEPTH and self._asked < self._size:
            count = min(BLOCK, self._size - self._asked)
            self._ahead.send(protocol.CMD_READ, self._file.handle, protocol.int64(self._asked), count)
            self._wanted.append((self._asked, count))
            self._asked += count
        if not self._wanted:
            return b""
        offset, count = self._wanted.popleft()
        data = _data(*self._ahead.receive())
        while len(data) < count:  # a server may give less than it was asked for
            position = protocol.int64(offset + len(data))
            rest = count - len(data)
            data += _data(*self._session.sftp._request(protocol.CMD_READ, self._file.handle, position, rest))
        return data


def _data(kind: int, message: paramiko.Message) -> bytes:
    data = message.get_string() if kind == protocol.CMD_DATA else b""
    if not data:
        raise protocol.SFTPError("an answer to a read holds no data")
    return data


def _demand_ok(message: paramiko.Message) -> None:
    code = message.get_int()
    text = message.get_string().decode("utf-8", "replace")  # some servers speak in Latin-1
    if code == protocol.SFTP_EOF:
        raise EOFError(text)
    if code != protocol.SFTP_OK:
        raise OSError(_ERRNO.get(code, errno.EREMOTEIO), text)
