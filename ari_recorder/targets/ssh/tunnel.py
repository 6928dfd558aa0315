"""A byte stream to a TCP server: directly, or through an SSH jump host.

Through the jump host the server's bytes come by a channel of our own SSH connection. No port is opened on
this machine, so nothing else here can use the tunnel, and the jump host is asked for that server only.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Protocol

import paramiko

from ...config import targets as config
from ...model.errors import PermanentError, TransientError
from .connection import Connection, Login, readable

KEEPALIVE = 30
"""Seconds after which an idle connection shows signs of life, for firewalls on the way."""


PIECE = 32 * 1024
"""Bytes given to a channel at a time: one SSH packet."""


class Stream(Protocol):
    """A connection. One thread may read while another writes; `close` may come from any."""

    def read(self, size: int) -> bytearray:
        """Exactly that many bytes, however long they take; fewer only when the connection has ended."""

    def write(self, *parts: bytes) -> None:
        """Send everything, in this order; OSError. TimeoutError when nothing is taken for the time limit."""

    @property
    def ended(self) -> bool:
        """The other side has closed it, as far as is known here now."""

    def close(self) -> None:
        """At once. Whoever reads or writes meanwhile gets the end or an OSError."""


class Dial(Protocol):
    """How to get a stream to a server."""

    def __call__(self, host: str, port: int) -> Stream:
        """A new connection. TransientError `target.unreachable`, or what the jump host's login raises."""


class Direct:
    """Over the network, without any help."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, host: str, port: int) -> Stream:
        try:
            wire = socket.create_connection((host, port), timeout=self._seconds)
        except OSError as error:
            why = "it was silent for too long" if isinstance(error, TimeoutError) else error.strerror or error
            raise unreachable(f"{host}:{port}", str(why)) from error
        return TcpStream(wire, self._seconds)


class TcpStream:
    def __init__(self, wire: socket.socket, seconds: float) -> None:
        self._wire = wire
        wire.settimeout(None)  # an idle connection may wait for ever; only sending has a limit
        whole, part = divmod(seconds, 1)
        wire.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(whole), int(part * 1e6))
        )
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE)

    def read(self, size: int) -> bytearray:
        buffer = bytearray(size)
        rest = memoryview(buffer)
        while rest and (count := self._wire.recv_into(rest)):
            rest = rest[count:]
        missing = len(rest)
        rest.release()
        del buffer[size - missing :]
        return buffer

    def write(self, *parts: bytes) -> None:
        try:
            for part in parts[:-1]:
                self._wire.sendall(part, socket.MSG_MORE)
            self._wire.sendall(parts[-1])
        except BlockingIOError as error:  # what SO_SNDTIMEO makes of it
            raise TimeoutError(str(error)) from error

    @property
    def ended(self) -> bool:
        try:
            return not self._wire.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)
        self._wire.close()


class Tunnelled:
    """Through a jump host; each stream has an SSH connection of its own, and ends with it."""

    def __init__(self, settings: config.Tunnel) -> None:
        self._login = Login(settings)
        self._settings = settings

    def __call__(self, host: str, port: int) -> Stream:
        connection = self._login.connect()
        try:
            with connection.watchdog.armed(), readable():
                channel = connection.transport.open_channel(
                    "direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=self._settings.timeout
                )
        except (paramiko.SSHException, OSError, EOFError) as error:
            silent = connection.watchdog.bit
            connection.close()
            raise self._explained(error, f"{host}:{port}", silent=silent) from error
        return ChannelStream(connection, channel)

    def _explained(self, error: Exception, where: str, *, silent: bool) -> TransientError | PermanentError:
        jump = self._settings.where
        refused = (
            isinstance(error, paramiko.ChannelException) and error.code == 1
        )  # RFC 4254, 5.1: prohibited
        if refused:
            return PermanentError(
                "target.denied",
                f'The jump host {jump} does not forward TCP to {where} for user "{self._settings.user}".',
                remedy="Allow it in its sshd_config: AllowTcpForwarding, and PermitOpen for that address.",
            )
        if isinstance(error, paramiko.ChannelException):
            return unreachable(where, f"the jump host {jump} cannot connect to it")
        why = "was silent for too long" if silent or "imeout" in str(error) else "broke the connection off"
        return unreachable(where, f"the jump host {jump} {why}")


class ChannelStream:
    def __init__(self, connection: Connection, channel: paramiko.Channel) -> None:
        self._connection = connection
        self._channel = channel
        channel.settimeout(None)

    def read(self, size: int) -> bytearray:
        buffer = bytearray()
        while len(buffer) < size and (data := self._channel.recv(size - len(buffer))):
            buffer += data
        return buffer

    def write(self, *parts: bytes) -> None:
        """The watchdog cuts the connection when the jump host takes nothing for its time limit."""
        data, sent = b"".join(parts), 0
        try:
            with self._connection.watchdog.armed():
                while sent < len(data):
                    sent += self._channel.send(data[sent : sent + PIECE])
                    self._connection.watchdog.progress()
        except (paramiko.SSHException, EOFError, OSError) as error:
            if self._connection.watchdog.bit:
                raise TimeoutError("the jump host takes nothing") from error
            raise ConnectionResetError(str(error)) from error

    @property
    def ended(self) -> bool:
        return not self._connection.alive or bool(self._channel.closed or self._channel.eof_received)

    def close(self) -> None:
        self._connection.close()


def unreachable(where: str, why: str) -> TransientError:
    return TransientError(
        "target.unreachable",
        f"The server {where} does not answer: {why}.",
        remedy="Check the address, the network, and that the server runs.",
    )
