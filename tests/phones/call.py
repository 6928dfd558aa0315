"""One call leg as a test uses it. Made by `Phone.call` and `Phone.ring`.

Every method that waits has a deadline in seconds and raises `OverdueError` or `RejectedError` with the
phone's name, what it waited for, and the messages exchanged so far.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Callable

from .dialog import WAIT, CallState, Dialog
from .errors import PhoneError, RejectedError
from .message import address, escape, parameter, request
from .payload import Payload, frames
from .rtp import Packet
from .sdp import Codec
from .transport import ServerTransaction

LINGER = 0.1
"""Seconds between a phone's last packet and its BYE, so that Asterisk has read the one before the other."""

PAUSE = 0.3
"""Seconds between picking up and the first word: what is said before Asterisk has joined the two legs is
heard by nobody (measured: the first packet of one call in fifty)."""


class Call(Dialog):
    def __repr__(self) -> str:
        return f"<Call of phone {self.phone.name}: {self.state} {self.ended_by}>"

    # What went over the wire -------------------------------------------------------------------------

    @property
    def sent(self) -> bytes:
        """Audio bytes in the order in which they left."""
        return bytes(self.stream.sent.audio)

    @property
    def sent_at(self) -> list[float]:
        """Unix seconds at which each packet left; the same moments by the monotonic clock, and how late
        each was, are in `stream.sent.monotonic` and `stream.sent.lateness`."""
        return list(self.stream.sent.wall)

    @property
    def received(self) -> bytes:
        """Audio bytes in the order in which they arrived, telephone events left out."""
        return bytes(self.stream.received.audio)

    @property
    def packets(self) -> list[Packet]:
        """Everything received, with numbers and the kernel's time of arrival."""
        return self.stream.received.packets()

    # Caller ------------------------------------------------------------------------------------------

    async def progress(self, *statuses: int, timeout: float = WAIT) -> int:
        """Wait for one of these provisional statuses, any of 180..189 if none is named."""
        wanted = statuses or tuple(range(180, 190))

        def seen() -> list[int]:
            return [status for status in self.provisional if status in wanted]

        await self.until(lambda: bool(seen()) or self.state is CallState.ENDED, f"hear {wanted[0]}", timeout)
        if not seen():
            sentence = f"phone {self.phone.name} heard no {wanted[0]} but {self.ended_by}"
            raise RejectedError(sentence, self._refusal())
        return seen()[0]

    async def answered(self, timeout: float = WAIT) -> None:
        """Wait until the call is up: for the caller after 200, for the callee after the ACK."""
        await self.until(lambda: self.was_answered or self.state is CallState.ENDED, "get an answer", timeout)
        if not self.was_answered:
            sentence = f"the call of phone {self.phone.name} was not answered: {self.ended_by}"
            raise RejectedError(sentence, self._refusal())

    async def cancel(self, timeout: float = WAIT) -> None:
        """Give up a call that was not answered yet, and wait for the end of it."""
        if self._begun is None or self.state is CallState.ANSWERED:
            raise PhoneError(f"phone {self.phone.name} cannot cancel: the call is {self.state}")
        begun = self._begun
        await self.until(lambda: bool(self.provisional) or self.state is CallState.ENDED, "hear 100", timeout)
        if self.state is CallState.ENDED:
            return
        headers = [(name, begun.message.need(name)) for name in ("Via", "From", "To", "Call-ID")]
        headers += [("Max-Forwards", "70"), ("CSeq", f"{begun.message.cseq[0]} CANCEL")]
        await self.phone.wire.transact(request("CANCEL", self.target, headers), timeout)
        await self.hung_up(timeout)

    # Callee ------------------------------------------------------------------------------------------

    async def ringing(self) -> None:
        """Say 180."""
        self.respond(self._call(), 180)

    async def early_media(
        self, payload: Payload | None = None, codecs: tuple[Codec, ...] | None = None
    ) -> None:
        """Say 183 with a description and start to talk before the answer."""
        body = self.agree(codecs)
        self.payload = payload
        self.respond(self._call(), 183, body)
        self.begin()

    async def answer(
        self,
        payload: Payload | None = None,
        codecs: tuple[Codec, ...] | None = None,
        *,
        pause: float = PAUSE,
        timeout: float = WAIT,
    ) -> None:
        """Say 200, wait for the ACK and, `pause` seconds later, begin to talk (in the background).

        `codecs` go into the answer as far as they were offered, and the first is spoken; default: the first
        one offered that the phone knows. `payload` defaults to noise (`payload.noise`) of the call's own.
        """
        body = self.agree(codecs)
        self.pause = pause
        self.payload = self.payload if payload is None else payload
        self.respond(self._call(), 200, body)
        await self.until(lambda: self.was_answered, "get the ACK", timeout)

    async def reject(self, status: int = 486) -> None:
        """Refuse an incoming call."""
        self.respond(self._call(), status)
        self.end("us")

    # Talking -----------------------------------------------------------------------------------------

    async def talk(self, seconds: float, timeout: float | None = None) -> None:
        """Wait until that many more seconds of packets were sent."""
        sent = self.stream.sent.frames
        goal = len(sent) + round(seconds * 50)
        await self._media(lambda: len(sent) >= goal, f"sending {seconds:g} s of audio", seconds, timeout)
        if len(sent) < goal:
            raise PhoneError(f"phone {self.phone.name} stopped talking: its payload or its call has ended")

    async def talk_to_end(self, timeout: float = 60) -> None:
        """Wait until the whole payload was sent."""
        await self._media(lambda: False, "sending the whole payload", 0, timeout)

    async def hear(self, seconds: float, timeout: float | None = None) -> None:
        """Wait until that many more seconds of audio packets were received."""
        got = self.stream.received
        goal = got.audio_packets + round(seconds * 50)
        what = f"phone {self.phone.name} hearing {seconds:g} s of audio"
        await self.stream.until(lambda: got.audio_packets >= goal, what, timeout or seconds + WAIT)

    async def hush(self) -> None:
        """Say nothing more, and wait until what was said is through. The call stays up."""
        self.phone.pacer.pause(self.stream)
        await asyncio.sleep(LINGER)

    async def speak_up(self) -> None:
        """Go on talking after `hush`, with the next frame."""
        self.phone.pacer.resume(self.stream)

    async def _media(
        self, reached: Callable[[], bool], what: str, seconds: float, timeout: float | None
    ) -> None:
        def over() -> bool:
            return self.stream.finished or reached()

        await self.stream.until(over, f"phone {self.phone.name} {what}", timeout or seconds + WAIT)

    # In the call -------------------------------------------------------------------------------------

    async def hold(
        self, direction: str = "sendonly", *, keep_talking: bool = False, timeout: float = WAIT
    ) -> None:
        """Put the other side on hold by re-INVITE; like a desk phone, send nothing meanwhile."""
        await self.reinvite(direction, self._same_codecs(), timeout)
        if not keep_talking:
            self.phone.pacer.pause(self.stream)

    async def unhold(self, timeout: float = WAIT) -> None:
        await self.reinvite("sendrecv", self._same_codecs(), timeout)
        self.phone.pacer.resume(self.stream)

    async def switch(
        self, codecs: tuple[Codec, ...], payload: Payload | None = None, timeout: float = WAIT
    ) -> None:
        """Offer other codecs by re-INVITE; `payload`, where given, takes over from its first frame."""
        await self.reinvite(self.direction, codecs, timeout)
        if payload is not None:
            feed, first = frames(payload), self.stream.frame
            self.stream.payload = lambda number: feed(max(number - first, 0))

    async def refer(self, number: str, timeout: float = WAIT) -> str:
        """Blind transfer; returns the final status heard by NOTIFY.

        On `200 OK` the phone hangs up, as phones do: Asterisk leaves the BYE to the transferer (none came
        from Asterisk 22 within 10 s).
        """
        host, port = self.phone.wire.peer
        return await self._refer(f"<sip:{escape(number)}@{host}:{port}>", timeout)

    async def refer_to(self, other: Call, timeout: float = WAIT) -> str:
        """Attended transfer: whom we talk to here is to take our place in `other`; ends as `refer`."""
        theirs, ours = parameter(other.remote, "tag"), parameter(other.local, "tag")
        replaces = urllib.parse.quote(f"{other.call_id};to-tag={theirs};from-tag={ours}", safe="")
        return await self._refer(f"<{address(other.remote)}?Replaces={replaces}>", timeout)

    async def _refer(self, target: str, timeout: float) -> str:
        heard = len(self.notified)
        referrer = f"<{address(self.local)}>"
        message = self.build("REFER", [("Refer-To", target), ("Referred-By", referrer)])
        final = await self.phone.wire.transact(message, timeout)
        if final.status >= 300:
            raise RejectedError(f"phone {self.phone.name}: REFER was refused: {final.reason}", final.status)

        def decided() -> bool:
            return any(not line.startswith("1") for line in self.notified[heard:])

        await self.until(decided, "hear of its transfer", timeout)
        if self.notified[-1].startswith("200"):
            await self.hang_up(timeout)
        return self.notified[-1]

    async def hang_up(self, timeout: float = WAIT) -> None:
        """BYE, CANCEL or 603, as the call's state asks; nothing when it has ended already."""
        if self.state is CallState.ENDED:
            return
        if self.state is not CallState.ANSWERED:
            await (self.reject(603) if self._incoming is not None else self.cancel(timeout))
            return
        await self.hush()
        if self.state is CallState.ANSWERED:
            bye = self.build("BYE")
            self.end("us")
            await self.phone.wire.transact(bye, timeout)

    async def hung_up(self, timeout: float = WAIT) -> None:
        """Wait until the call has ended, whoever ended it, and every packet that arrived is taken in."""
        await self.until(lambda: self.state is CallState.ENDED, "see the end of its call", timeout)
        await self.stream.until(lambda: self.stream.finished, "closing the stream", timeout)

    def _same_codecs(self) -> tuple[Codec, ...]:
        """An offer that leaves the codec as it is."""
        assert self.codec is not None, "the call was never answered"
        return (self.codec, *(codec for codec in self.codecs if codec != self.codec))

    def _call(self) -> ServerTransaction:
        if self._incoming is None or self._incoming.answered:
            raise PhoneError(f"phone {self.phone.name} has no call to answer: it is {self.state}")
        return self._incoming

    def _refusal(self) -> int:
        return int(self.ended_by[:3]) if self.ended_by[:3].isdigit() else 0
