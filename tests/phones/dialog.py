"""The machinery of one call leg: requests and responses in a dialog, offers and answers, its state.

What a test calls stands in `call.py`; here is what a phone does by itself.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import TYPE_CHECKING

from . import sdp
from .errors import PhoneError, RejectedError
from .message import Headers, Message, address, parameter, request
from .payload import Payload, frames, noise
from .rtp import HOST, Stream
from .sdp import MIRRORED, Codec, Session
from .transport import ClientTransaction, ServerTransaction
from .watch import Watch

if TYPE_CHECKING:
    from .phone import Phone

WAIT = 10.0
"""Seconds any wait may take unless the test says otherwise."""
ALLOW = "INVITE, ACK, CANCEL, BYE, UPDATE, OPTIONS, NOTIFY, REFER, INFO"
_PATIENCE = 180.0
_SDP: Headers = [("Content-Type", "application/sdp")]


class CallState(StrEnum):
    CALLING = "calling"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


class Dialog:
    def __init__(self, phone: Phone, call_id: str, codecs: tuple[Codec, ...], stream: Stream) -> None:
        self.phone = phone
        self.call_id = call_id
        self.codecs = codecs
        """What our offers hold, best first."""
        self.stream = stream
        self.state = CallState.CALLING
        self.was_answered = False
        self.local = ""
        """Our address with tag: From of our requests."""
        self.remote = ""
        """Their address, with tag as soon as there is one."""
        self.target = ""
        """Their Contact: where requests in the call go."""
        self.codec: Codec | None = None
        """What we send, once agreed."""
        self.direction = "sendrecv"
        """Which way audio is to go, as we wish."""
        self.theirs: Session | None = None
        """Their last description."""
        self.ended_by = ""
        """`us`, `them` or the refusal, such as `486 Busy Here`."""
        self.provisional: list[int] = []
        """Statuses below 200 heard, in order."""
        self.notified: list[str] = []
        """What NOTIFYs said of a transfer of ours, in order: `100 Trying`, `200 OK`, …"""
        self.updates: list[Message] = []
        """Their re-INVITEs and UPDATEs, in order."""
        self.payload: Payload | None = None
        self.pause = 0.0
        """Seconds between the call's coming up and our first packet."""
        self.watch = Watch()
        self.failure: BaseException | None = None
        self._begun: ClientTransaction | None = None
        self._incoming: ServerTransaction | None = None
        self._cseq = secrets.randbelow(10_000) + 1
        self._version = 1
        self._ident = secrets.randbelow(2**31)
        self._early = False
        self._busy = False
        self._tasks: set[asyncio.Task[None]] = set()

    # Requests ----------------------------------------------------------------------------------------

    def build(self, method: str, headers: Headers | None = None, body: bytes = b"") -> Message:
        """A request in this dialog."""
        if method != "ACK":
            self._cseq += 1
        wire = self.phone.wire
        base: Headers = [wire.via(), ("Max-Forwards", "70"), ("From", self.local), ("To", self.remote)]
        base += [("Call-ID", self.call_id), ("CSeq", f"{self._cseq} {method}")]
        base += [("Contact", self.phone.contact), ("Allow", ALLOW), ("User-Agent", "test phone")]
        return request(method, self.target, [*base, *(headers or [])], body)

    def place(self, early: bool, headers: Headers) -> None:
        """Send the first INVITE; the answer is taken in as it comes."""
        self._early = early
        message = self.build("INVITE", [*headers, *_SDP], self._describe(self.codecs, self.direction))
        self._begun = self.phone.wire.start(message, self._on_provisional)
        self._task(self._await_answer(self._begun))

    def _on_provisional(self, message: Message) -> None:
        self.provisional.append(message.status)
        if message.status > 100:
            self.state = CallState.RINGING
        if message.body and self.stream.started is None:
            self._take(sdp.parse(message.body), self.codecs)
            if self._early:
                self.begin()
        self.watch.tell()

    async def _await_answer(self, begun: ClientTransaction) -> None:
        final = await self.phone.wire.final(begun, _PATIENCE)
        if final.status >= 300:
            self.end(final.reason)
            return
        self.remote = final.need("To")
        self.target = address(final.need("Contact"))
        self._take(sdp.parse(final.body), self.codecs)
        self._acknowledge(begun)
        self._up()

    def _acknowledge(self, invite: ClientTransaction) -> None:
        ack = self.build("ACK")
        ack.headers = [(k, f"{invite.message.cseq[0]} ACK" if k == "CSeq" else v) for k, v in ack.headers]
        invite.acknowledged(ack.encode())

    def _up(self) -> None:
        self.state = CallState.ANSWERED
        self.was_answered = True
        self.begin()
        self.watch.tell()

    async def reinvite(self, direction: str, codecs: tuple[Codec, ...], timeout: float) -> None:
        """Offer anew; on 491 (both at once) try again a little later, as RFC 3261 14.1 says."""
        self.direction = direction
        for attempt in range(5):
            self._busy = True
            body = self._describe(codecs, direction)
            begun = self.phone.wire.start(self.build("INVITE", _SDP, body))
            final = await self.phone.wire.final(begun, timeout)
            self._busy = False
            if final.status != 491:
                break
            await asyncio.sleep(0.05 + 0.1 * attempt * secrets.randbelow(100) / 100)
        if final.status >= 300:
            raise RejectedError(
                f"phone {self.phone.name}: re-INVITE was refused: {final.reason}", final.status
            )
        self._acknowledge(begun)
        self._take(sdp.parse(final.body), codecs)

    # Offers and answers ------------------------------------------------------------------------------

    def _describe(self, codecs: tuple[Codec, ...], direction: str) -> bytes:
        self._version += 1
        events = self.theirs.events if self.theirs else sdp.EVENTS
        session = Session(HOST, self.stream.port, codecs, direction, events)
        return session.encode(self._ident, self._version)

    def _take(self, theirs: Session, among: tuple[Codec, ...]) -> None:
        """Their description holds from now on; we speak its first codec that is `among` ours."""
        self.theirs = theirs
        known = [codec for codec in theirs.codecs if codec in among]
        if not known:
            raise PhoneError(f"phone {self.phone.name}: no common codec in {theirs}")
        self.codec = known[0]
        self.stream.point(theirs.host, theirs.port, known[0])

    def agree(self, codecs: tuple[Codec, ...] | None) -> bytes:
        """The answer to the offer that came with the incoming call; the first codec in it is spoken."""
        assert self._incoming is not None
        body = self._incoming.message.body
        if not body:
            self.codecs = codecs or self.codecs
            return self._describe(self.codecs, self.direction)
        offer = sdp.parse(body)
        if codecs is None:
            codecs = tuple(codec for codec in offer.codecs if codec in self.codecs)[:1]
        shared = tuple(codec for codec in codecs if codec in offer.codecs)
        self._take(Session(offer.host, offer.port, shared, offer.direction, offer.events), shared)
        return self._describe(shared, meet(self.direction, offer.direction))

    def begin(self) -> None:
        """Start to talk, unless that has happened."""
        if self.stream.payload is not None or self.codec is None:
            return
        payload = self.payload or noise(f"{self.phone.name}/{self.call_id}", self.codec)
        self.stream.payload = frames(payload)
        self.phone.pacer.begin(self.stream, self.pause)

    # Their requests ----------------------------------------------------------------------------------

    def arrived(self, transaction: ServerTransaction) -> None:
        """An INVITE from outside any call."""
        message = transaction.message
        self._incoming = transaction
        self.remote = message.need("From")
        self.local = f"{message.need('To')};tag={secrets.token_hex(6)}"
        self.target = address(message.need("Contact"))
        self.state = CallState.RINGING
        self.respond(transaction, 100)

    def respond(self, transaction: ServerTransaction, status: int, body: bytes = b"") -> None:
        headers: Headers = [("Contact", self.phone.contact), ("Allow", ALLOW)]
        tag = parameter(self.local, "tag") or ""
        transaction.respond(status, tag=tag, headers=headers + (_SDP if body else []), body=body)

    def requested(self, message: Message, transaction: ServerTransaction | None) -> None:
        """A request inside this call; `transaction` is None for ACK."""
        if transaction is None:
            self._on_ack(message)
        elif message.method in ("INVITE", "UPDATE"):
            self._on_offer(message, transaction)
        elif message.method == "CANCEL":
            self._on_cancel(transaction)
        elif self.state is CallState.ENDED and message.method != "NOTIFY":
            self.respond(transaction, 481)
        else:
            self._on_other(message, transaction)
        self.watch.tell()

    def _on_ack(self, message: Message) -> None:
        if message.body:
            self._take(sdp.parse(message.body), self.codecs)
        answered = self._incoming is not None and self._incoming.answered
        if answered and self.state is CallState.RINGING:
            self._up()

    def _on_offer(self, message: Message, transaction: ServerTransaction) -> None:
        if self._busy and message.method == "INVITE":
            self.respond(transaction, 491)
            return
        self.updates.append(message)
        self.target = address(message.get("Contact") or f"<{self.target}>")
        if not message.body:
            offer = self._describe(self.codecs, self.direction) if message.method == "INVITE" else b""
            self.respond(transaction, 200, offer)
            return
        offered = sdp.parse(message.body)
        if not set(offered.codecs) & set(self.phone.codecs):
            self.respond(transaction, 488)
            return
        self._take(offered, self.phone.codecs)
        assert self.codec is not None
        direction = meet(self.direction, offered.direction)
        self.respond(transaction, 200, self._describe((self.codec,), direction))
        self._obey(offered.direction)

    def _obey(self, direction: str) -> None:
        """Do not talk to somebody who does not listen; talk again when he does."""
        if self.direction != "sendrecv":
            return
        if "recv" in direction:
            self.phone.pacer.resume(self.stream)
        else:
            self.phone.pacer.pause(self.stream)

    def _on_cancel(self, transaction: ServerTransaction) -> None:
        self.respond(transaction, 200)
        if self._incoming is not None and not self._incoming.answered:
            self.respond(self._incoming, 487)
            self.end("them")

    def _on_other(self, message: Message, transaction: ServerTransaction) -> None:
        if message.method == "BYE":
            self.respond(transaction, 200)
            self.end("them")
        elif message.method == "NOTIFY":
            fragment = message.body.decode("utf-8", "replace").partition("\r\n")[0].strip()
            self.notified.append(fragment.removeprefix("SIP/2.0 "))
            self.respond(transaction, 200)
        else:
            self.respond(transaction, 200 if message.method in ("INFO", "OPTIONS") else 405)

    # State -------------------------------------------------------------------------------------------

    def end(self, by: str) -> None:
        """The call is over: no packet leaves any more."""
        if self.state is CallState.ENDED:
            return
        self.state = CallState.ENDED
        self.ended_by = by
        self.phone.pacer.remove(self.stream)
        self.watch.tell()

    async def until(self, reached: Callable[[], bool], what: str, timeout: float) -> None:
        """Wait for a state of the call."""

        def sorry() -> str:
            words = f"phone {self.phone.name} did not {what} within {timeout:g} s; the call is {self.state}"
            return f"{words} {self.ended_by}\n{self.phone.history(self.call_id)}"

        await self.watch.until(lambda: self.failure is not None or reached(), sorry, timeout)
        if self.failure is not None:
            raise PhoneError(f"the call of phone {self.phone.name} broke: {self.failure}") from self.failure

    def _task(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failure = task.exception()
            self.end(f"failure: {self.failure}")

    def forget(self) -> None:
        """The phone is put away: wait for nothing any more."""
        for task in list(self._tasks):
            task.cancel()


def meet(wish: str, offered: str) -> str:
    """The direction to answer with: what we wish, as far as their offer allows."""
    mirrored = MIRRORED[offered]
    send = "send" in wish and "send" in mirrored
    receive = "recv" in wish and "recv" in mirrored
    return {(True, True): "sendrecv", (True, False): "sendonly", (False, True): "recvonly"}.get(
        (send, receive), "inactive"
    )
