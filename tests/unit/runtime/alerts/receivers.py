"""Real servers that take alerts: SMTP (aiosmtpd) and HTTP(S) (http.server), on loopback, with TLS."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.graph_peer.tls import make

USER, PASSWORD = "recorder", "geheim-4711"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Certified:
    """A server's certificate for the address 127.0.0.1, and the authority that a client must trust."""

    authority: Path
    chain: Path

    @staticmethod
    def made(folder: Path) -> Certified:
        return Certified(*make(folder))

    @property
    def context(self) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.chain)
        return made


@dataclass
class Mailbox:
    """What a mail server took. `answers` are what it says to DATA, one after the other; then it takes all."""

    answers: list[str] = field(default_factory=list)
    refused: frozenset[str] = frozenset()
    raw: list[bytes] = field(default_factory=list)
    port: int = 0

    @property
    def mails(self) -> list[EmailMessage]:
        parsed = (email.message_from_bytes(one, policy=email.policy.default) for one in list(self.raw))
        return [one for one in parsed if isinstance(one, EmailMessage)]

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    @property
    def texts(self) -> list[str]:
        return [mail.get_content() for mail in self.mails]

    async def handle_RCPT(self, _s: Any, _x: Any, envelope: Any, address: str, _o: Any) -> str:  # noqa: N802
        if address in self.refused:
            return "550 No such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        self.raw.append(envelope.content)
        return "250 OK"


def _logs_in(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (
        USER.encode(),
        PASSWORD.encode(),
    )
    return AuthResult(success=known, handled=known)


@contextmanager
def mail_server(mailbox: Mailbox, *, tls: Certified | None = None, direct: bool = False) -> Iterator[Mailbox]:
    """On the mailbox's port, or a free one. With `tls` it wants STARTTLS (or TLS at once) and a login."""
    how: dict[str, Any] = {"hostname": "sink.example.org"}
    context = tls.context if tls is not None else None
    if context is not None:
        how |= {"authenticator": _logs_in, "auth_required": True}
        how |= {"auth_require_tls": False} if direct else {"tls_context": context, "require_starttls": True}
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="mail server", daemon=True)
    thread.start()

    async def listen() -> asyncio.Server:
        return await loop.create_server(
            lambda: SMTP(mailbox, loop=loop, **how), HOST, mailbox.port, ssl=context if direct else None
        )

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(5)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        asyncio.run_coroutine_threadsafe(_closed(server), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _closed(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@dataclass
class Inbox:
    """What an HTTP receiver got. `answers` are statuses or (status, headers), one a request; then 204."""

    answers: list[int | tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0


@contextmanager
def http_receiver(inbox: Inbox, tls: Certified | None = None) -> Iterator[Inbox]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            inbox.requests.append((self.path, dict(self.headers), body))
            answer = inbox.answers.pop(0) if inbox.answers else 204
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            """What a redirection that is followed would become."""
            self.do_POST()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Silent."""

    server = ThreadingHTTPServer((HOST, inbox.port), Handler)
    if tls is not None:
        server.socket = tls.context.wrap_socket(server.socket, server_side=True)
    inbox.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield inbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
