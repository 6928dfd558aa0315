"""The peer on a loopback port, over TLS."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import tls
from .drives import Drive
from .entra import Entra
from .faults import FREEZE, Faults, Tear
from .graph import Graph
from .uploads import Uploads
from .wire import Answer, RefusedError, Request


class GraphPeer:
    """Entra and Graph together, with the drive in `home/drive`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.drive = Drive(home / "drive")
        self.drive.folder.mkdir(parents=True)
        self.entra = Entra()
        self.uploads = Uploads(home / "uploads")
        self.graph = Graph(self.entra, self.drive, self.uploads)
        self.faults = Faults()
        self.packs_always = False
        """Whether answers are compressed for everybody, not only for who says that he takes it."""
        self.log: list[tuple[str, int]] = []
        """Operation and status of every answer, in order."""
        self.thawed = threading.Event()
        self.thawed.set()
        self.ca_file, chain = tls.make(home / "tls")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(chain)
        self._server = _Server(self, self._context, 0)
        self.port: int = self._server.server_address[1]
        self.address = f"https://127.0.0.1:{self.port}"
        self.entra.base = self.graph.base = self.address
        self._thread: threading.Thread | None = None

    def count(self, operation: str) -> int:
        return sum(1 for each, _ in self.log if each == operation)

    def freeze(self) -> None:
        """From now on nothing is answered."""
        self.thawed.clear()

    def thaw(self) -> None:
        self.thawed.set()

    def answer(self, request: Request, operation: str) -> Answer:
        try:
            if request.path.startswith("/up/"):
                answer = self.uploads.answer(request, self.address)
            elif request.path.startswith("/download/"):
                answer = self.graph.download(request)
            elif request.path.startswith("/v1.0/"):
                answer = self.graph.answer(request)
            else:
                answer = self.entra.answer(request)
        except RefusedError as error:
            answer = error.answer
        self.log.append((operation, answer.status))
        return answer

    def start(self) -> None:
        """Listen, or listen again after `kill`: at the same port, and with all that it knew."""
        if self._thread is not None:
            return
        if self._server.closed:
            self._server = _Server(self, self._context, self.port)
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """Stop listening and cut every connection."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()
        self._server.cut()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.thaw()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, peer: GraphPeer, context: ssl.SSLContext, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.socket.settimeout(5)  # a client may be gone before it is accepted: nobody waits for the next
        self.peer = peer
        self.closed = False
        self._context = context
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()

    def server_close(self) -> None:
        self.closed = True
        super().server_close()

    def cut(self) -> None:
        with self._guard:
            connections = tuple(self._connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: a client that is slow to greet holds up nobody."""
        self.peer.thawed.wait(120)
        with suppress(OSError):
            request.settimeout(60)
            wrapped = self._context.wrap_socket(request, server_side=True)
            with self._guard:
                self._connections.add(wrapped)
            try:
                super().finish_request(wrapped, client_address)
            finally:
                with self._guard:
                    self._connections.discard(wrapped)
                wrapped.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece: two would wait for each other (Nagle)
    server: _Server

    def _handle(self) -> None:
        peer = self.server.peer
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        operation = peer.graph.operation(Request(self.command, path, query, headers, b""))
        fault = peer.faults.due(operation)
        length = int(headers.get("content-length", 0))
        if fault is Tear.BEFORE:
            self.rfile.read(length // 2)
            return self._cut()
        request = Request(self.command, path, query, headers, self.rfile.read(length))
        if fault == FREEZE:
            peer.freeze()
        peer.thawed.wait(120)
        if isinstance(fault, Answer):
            peer.log.append((operation, fault.status))
            return self._send(fault, headers)
        answer = peer.answer(request, operation)
        if fault is Tear.AFTER:
            return self._cut()
        return self._send(answer, headers)

    def _send(self, answer: Answer, wishes: dict[str, str]) -> None:
        content = answer.content
        packed = bool(content) and (
            self.server.peer.packs_always or "gzip" in wishes.get("accept-encoding", "")
        )
        if packed:
            content = gzip.compress(content, 1)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.document is not None:
            self.send_header("Content-Type", "application/json")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - as http.server wants them

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as http.server calls it
        """The log is `GraphPeer.log`."""
