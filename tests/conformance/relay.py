"""A wire with a pair of scissors: passes bytes on to a server and is cut, or freezes, after so many."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from ari_recorder.lab.ports import HOST

BLOCK = 64 * 1024


class Relay:
    """Listens at `port`; every connection leads to the server's port.

    `sent` and `received` count the bytes that went to the server and came from it. `cut_after` (bytes of both
    directions together, over all connections) makes it cut every connection at that very byte, once; then it
    passes on again.
    """

    def __init__(self, server: int, *, cut_after: int | None = None) -> None:
        self._server = server
        self.cut_after = cut_after
        self.cuts = 0
        self.sent = 0
        self.received = 0
        self._guard = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]

    @property
    def total(self) -> int:
        return self.sent + self.received

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def cut(self) -> None:
        """Every connection ends now, without a farewell."""
        with self._guard:
            pairs = tuple(self._pairs)
            self._pairs.clear()
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _start(self, work: object, *words: object) -> None:
        thread = threading.Thread(target=work, args=words, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection((HOST, self._server), timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            pair = (client, server)
            with self._guard:
                self._pairs.add(pair)
            self._start(self._pass_on, client, server, pair, True)
            self._start(self._pass_on, server, client, pair, False)

    def _pass_on(
        self,
        source: socket.socket,
        sink: socket.socket,
        pair: tuple[socket.socket, socket.socket],
        upward: bool,
    ) -> None:
        with suppress(OSError):
            while data := source.recv(BLOCK):
                data, snip = self._counted(data, upward)
                sink.sendall(data)
                if snip:
                    self.cut()
        for end in pair:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._guard:
            self._pairs.discard(pair)

    def _counted(self, data: bytes, upward: bool) -> tuple[bytes, bool]:
        """What may pass, and whether the wire is cut behind it."""
        with self._guard:
            snip = self.cut_after is not None and self.total + len(data) >= self.cut_after
            if snip:
                assert self.cut_after is not None
                data = data[: max(0, self.cut_after - self.total)]
                self.cut_after = None
                self.cuts += 1
            if upward:
                self.sent += len(data)
            else:
                self.received += len(data)
        return data, snip
