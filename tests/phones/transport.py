"""SIP over one UDP socket: retransmissions out and in (RFC 3261 17), nothing else."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Protocol

from .errors import OverdueError
from .message import Headers, MalformedError, Message, parse, request, response

T1 = 0.5
T2 = 4.0
Address = tuple[str, int]


class Listener(Protocol):
    def requested(self, message: Message) -> None:
        """A request that is no retransmission. ACK comes here too."""


class ClientTransaction:
    """One request on its way until its final response."""

    def __init__(self, wire: Wire, message: Message, provisional: Callable[[Message], None] | None) -> None:
        self.message = message
        self.final: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._wire = wire
        self._provisional = provisional
        self._pause = T1
        self._timer: asyncio.TimerHandle | None = None
        self._ack: bytes | None = None
        self._send()

    def _send(self) -> None:
        self._wire.send(self.message.encode())
        self._timer = asyncio.get_running_loop().call_later(self._pause, self._send)
        self._pause = min(self._pause * 2, T2)

    def acknowledged(self, ack: bytes) -> None:
        """The ACK to a 2xx, sent again whenever the 2xx comes again."""
        self._ack = ack
        self._wire.send(ack)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def received(self, message: Message) -> None:
        if message.status < 200:
            if self.message.method == "INVITE":
                self.stop()
            if self._provisional is not None and not self.final.done():
                self._provisional(message)
            return
        self.stop()
        if self.message.method == "INVITE" and message.status >= 300:
            self._wire.send(_refusal_ack(self.message, message))
        elif self._ack is not None:
            self._wire.send(self._ack)
        if not self.final.done():
            self.final.set_result(message)


class ServerTransaction:
    """One request of theirs and our last response to it."""

    def __init__(self, wire: Wire, message: Message) -> None:
        self.message = message
        self._wire = wire
        self._last: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._pause = T1
        self.answered = False

    def respond(self, status: int, *, tag: str, headers: Headers | None = None, body: bytes = b"") -> None:
        self._last = response(self.message, status, tag=tag, headers=headers or [], body=body).encode()
        self.answered = status >= 200
        self.again()
        if self.message.method == "INVITE" and status >= 200:
            self._repeat()

    def again(self) -> None:
        if self._last is not None:
            self._wire.send(self._last)

    def _repeat(self) -> None:
        """A final response to INVITE is repeated until the ACK comes."""
        self._timer = asyncio.get_running_loop().call_later(self._pause, self._expired)

    def _expired(self) -> None:
        self.again()
        self._pause = min(self._pause * 2, T2)
        self._repeat()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Wire(asyncio.DatagramProtocol):
    """A phone's SIP socket. Everything goes to, and is accepted from, one peer."""

    def __init__(self, peer: Address, listener: Listener) -> None:
        self.peer = peer
        self.host, self.port = "", 0
        self.trace: list[tuple[str, bytes]] = []
        """What went `>` out and `<` in, for failure messages."""
        self._listener = listener
        self._transport: asyncio.DatagramTransport | None = None
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._servers: dict[tuple[str, str], ServerTransaction] = {}

    async def open(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        self.host, self.port = self._transport.get_extra_info("sockname")[:2]

    def close(self) -> None:
        for client in self._clients.values():
            client.stop()
        for server in self._servers.values():
            server.stop()
        if self._transport is not None:
            self._transport.close()

    def send(self, data: bytes) -> None:
        self.trace.append((">", data))
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, self.peer)

    def via(self) -> tuple[str, str]:
        """A Via header with a branch of its own."""
        return "Via", f"SIP/2.0/UDP {self.host}:{self.port};rport;branch=z9hG4bK{secrets.token_hex(8)}"

    def start(
        self, message: Message, provisional: Callable[[Message], None] | None = None
    ) -> ClientTransaction:
        transaction = ClientTransaction(self, message, provisional)
        self._clients[message.branch, message.method] = transaction
        return transaction

    async def transact(self, message: Message, timeout: float) -> Message:
        """Send a request that is no INVITE and wait for its final response."""
        return await self.final(self.start(message), timeout)

    async def final(self, transaction: ClientTransaction, timeout: float) -> Message:
        try:
            return await asyncio.wait_for(asyncio.shield(transaction.final), timeout)
        except TimeoutError:
            transaction.stop()
            where = f"{self.peer[0]}:{self.peer[1]}"
            asked = transaction.message.start
            raise OverdueError(f"no answer from {where} to {asked!r} in {timeout:g} s") from None

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.trace.append(("<", data))
        try:
            message = parse(data)
            key = (message.branch, message.cseq[1])
        except MalformedError:
            return
        if not message.is_request:
            client = self._clients.get(key)
            if client is not None:
                client.received(message)
        elif message.method == "ACK":
            self._acknowledged(message)
        elif key in self._servers:
            self._servers[key].again()
        else:
            self._servers[key] = ServerTransaction(self, message)
            self._listener.requested(message)

    def error_received(self, exc: Exception) -> None:
        """The peer's port is closed (ICMP): the wait for its answer will say so."""

    def server(self, message: Message) -> ServerTransaction:
        return self._servers[message.branch, message.method]

    def _acknowledged(self, message: Message) -> None:
        for transaction in self._servers.values():
            theirs = transaction.message
            same_call = theirs.need("Call-ID") == message.need("Call-ID")
            if theirs.method == "INVITE" and same_call and theirs.cseq[0] == message.cseq[0]:
                transaction.stop()
        self._listener.requested(message)


def _refusal_ack(invite: Message, refusal: Message) -> bytes:
    headers = [("Via", invite.need("Via")), ("Max-Forwards", "70"), ("From", invite.need("From"))]
    headers += [("To", refusal.need("To")), ("Call-ID", invite.need("Call-ID"))]
    headers += [("CSeq", f"{invite.cseq[0]} ACK")]
    return request("ACK", invite.start.split(" ")[1], headers).encode()
