"""smbprotocol's connection with what it lacks: a time limit on everything, any stream below it, no leniency.

Three things of smbprotocol 1.17 are bent here:

- It makes a TCP socket by itself; `SmbConnection` gives it a `Wire` instead, whose stream may be a tunnel's.
- It waits for answers without limit (its own limit is for the connection, 600 s, from the environment).
- It checks the signature of an answer only when the answer says that it has one, and takes answers that are
  not encrypted in an encrypted session ([MS-SMB2] 3.2.5.1.1 and 3.2.5.1.3 forbid both): anybody on the way
  could say "stored" in the server's stead. Here such an answer ends the connection.
"""

from __future__ import annotations

import logging
import struct
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.exceptions import InvalidTag
from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBConnectionClosed, SMBException
from smbprotocol.header import Commands, NtStatus, Smb2Flags

from ...model.errors import RecorderError
from ..ssh.tunnel import Dial, Stream

LARGEST = 0x00FFFFFF
"""Bytes of one message: its length has three bytes ([MS-SMB2] 2.1)."""

GLANCE = 1.0
"""Seconds after which a waiting thread looks whether the connection still stands."""

# Every failure reaches the admin as one of our errors; smbprotocol would log a traceback besides.
logging.getLogger("smbprotocol").setLevel(logging.CRITICAL + 1)
logging.getLogger("spnego").setLevel(logging.CRITICAL + 1)


class Silent(SMBException):  # type: ignore[misc]
    """The server did not answer, or take, anything for the time limit."""


class Insecure(SMBException):  # type: ignore[misc]
    """An answer was not encrypted or signed as this session demands, or was changed on the way."""


class OldProtocol(SMBException):  # type: ignore[misc]
    """The server answered in SMB 1."""


class Garbage(SMBException):  # type: ignore[misc]
    """What came is no SMB message, or one that cannot be read."""


@contextmanager
def readable() -> Iterator[None]:
    """Whatever a broken or hostile answer makes smbprotocol raise becomes `Garbage`."""
    try:
        yield
    except (SMBException, RecorderError, OSError):
        raise
    except Exception as error:
        raise Garbage(f"an answer could not be read: {type(error).__name__}") from error


class Wire:
    """What smbprotocol calls a transport: messages with a length before them, over a stream."""

    def __init__(self, dial: Dial, host: str, port: int) -> None:
        self._dial = dial
        self._address = (host, port)
        self._stream: Stream | None = None
        self._sending = threading.Lock()
        self.connected = False
        self.heard = 0.0
        """When the last whole message came (time.monotonic)."""

    @property
    def ended(self) -> bool:
        """Closed by either side; also when smbprotocol's thread has not come to see it yet."""
        return not self.connected or self._stream is None or self._stream.ended

    def connect(self) -> None:
        self._stream = self._dial(*self._address)
        self.connected = True

    def close(self) -> None:
        self.connected = False
        if self._stream is not None:
            self._stream.close()

    def send(self, message: Any) -> None:
        parts = (message,) if isinstance(message, bytes) else _parts(message)
        length = struct.pack(">L", sum(map(len, parts)))
        with self._sending:
            if self._stream is None or not self.connected:
                raise SMBConnectionClosed("the connection is closed")
            try:
                self._stream.write(length, *parts)
            except TimeoutError as error:
                self.close()
                raise Silent("the server takes nothing") from error
            except OSError as error:
                self.close()
                raise SMBConnectionClosed(str(error)) from error

    def recv(self, _timeout: float) -> bytes:
        """The next message; empty at the end of the connection. Called by smbprotocol's own thread."""
        stream = self._stream
        if stream is None:
            return b""
        try:
            head = stream.read(4)
            size = struct.unpack(">L", head)[0] if len(head) == 4 else 0
            if size > LARGEST:
                raise Garbage("this is no SMB server")
            message = bytes(stream.read(size))
        except OSError:
            message, size = b"", 0
        if not size or len(message) < size:
            self.close()
            return b""
        if message[:4] == b"\xffSMB":
            raise OldProtocol("the server answers in SMB 1")
        self.heard = time.monotonic()
        return message


def _parts(message: Any) -> tuple[bytes, bytes]:
    """An encrypted message as its head and its body: packed in one piece, a megabyte is copied thrice."""
    head = b"".join(field.pack() for name, field in message.fields.items() if name != "data")
    return head, message["data"].get_value()


class SmbConnection(Connection):  # type: ignore[misc]
    """A connection whose every wait ends after `seconds` without a whole message from the server."""

    def __init__(self, server: str, port: int, *, dial: Dial, seconds: float) -> None:
        self._wire: Wire | None = None
        self._dial = dial
        self._seconds = seconds
        super().__init__(uuid.uuid4(), server, port, require_signing=True)

    @property
    def transport(self) -> Wire | None:
        return self._wire

    @transport.setter
    def transport(self, made: object) -> None:
        """smbprotocol's `connect` puts a TCP transport here; it gets ours."""
        self._wire = None if made is None else Wire(self._dial, self.server_name, self.port)

    @property
    def alive(self) -> bool:
        return self._wire is not None and self._wire.connected and self._t_exc is None

    @property
    def reusable(self) -> bool:
        """May serve a further call: a server that went away meanwhile has not closed it."""
        return self.alive and self._wire is not None and not self._wire.ended

    def receive(self, request: Any, wait: bool = True, **_more: Any) -> Any:
        """The answer to a request. Links are not followed: a path that leads over one is refused."""
        self._await(request, wait=wait)
        return super().receive(request, wait=wait, resolve_symlinks=False)

    def verify_signature(self, header: Any, session_id: Any, force: bool = False) -> None:
        """Called for every answer that came unencrypted."""
        session = self.session_table.get(session_id)
        if session is not None and not force:
            if session.encrypt_data:
                raise Insecure("an answer came unencrypted")
            interim = header["status"].get_value() == NtStatus.STATUS_PENDING
            setup = header["command"].get_value() == Commands.SMB2_SESSION_SETUP
            signed = header["flags"].has_flag(Smb2Flags.SMB2_FLAGS_SIGNED)
            if session.signing_required and not (signed or interim or setup):
                raise Insecure("an answer came without a signature")
        try:
            super().verify_signature(header, session_id, force=force)
        except SMBException as error:
            raise Insecure("an answer's signature is wrong") from error

    def _decrypt(self, message: Any) -> Any:
        try:
            return super()._decrypt(message)
        except InvalidTag as error:
            raise Insecure("an answer was changed on the way") from error

    def cut(self) -> None:
        """Close at once, without a word to the server. Whoever waits on the connection gets an error."""
        if self._wire is not None:
            self._wire.close()

    def _await(self, request: Any, *, wait: bool) -> None:
        """Until the answer is there, or the connection's end."""
        begun = time.monotonic()
        while self.alive and self._wire is not None:
            left = max(begun, self._wire.heard) + self._seconds - time.monotonic()
            if left <= 0:
                self.cut()
                raise Silent("the server does not answer")
            if not request.response_event.wait(min(left, GLANCE)):
                continue
            with request.response_event_lock:
                response = request.response
                if not wait or response is None:
                    return
                if response["status"].get_value() != NtStatus.STATUS_PENDING:
                    return
                request.response_event.clear()

    def _check_worker_running(self) -> None:
        """Called by smbprotocol before every send and receive; it would raise whatever its thread met."""
        error = self._t_exc
        if error is not None:
            self.cut()
            if isinstance(error, SMBException):
                raise error
            raise Garbage(f"an answer could not be read: {type(error).__name__}") from error
        if not self.alive:
            raise SMBConnectionClosed("the connection is closed")
