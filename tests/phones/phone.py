"""A phone, or a trunk: one SIP socket with its calls."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable

from .call import Call
from .dialog import ALLOW, WAIT, CallState
from .errors import RejectedError
from .message import Headers, Identity, Message, escape, request, user
from .pacer import Pacer
from .payload import Payload
from .rtp import Numbers, Stream
from .sdp import PCMA, Codec
from .transport import Address, Wire
from .watch import Watch
from .weather import Happening, Weather


class Phone:
    """Made by `Exchange.phone`. `name` is the user part of its address, and of From unless told otherwise."""

    def __init__(
        self, name: str, peer: Address, pacer: Pacer, codecs: tuple[Codec, ...], headers: Headers
    ) -> None:
        self.name = name
        self.pacer = pacer
        self.codecs = codecs
        self.headers = headers
        self.wire = Wire(peer, self)
        self.calls: dict[str, Call] = {}
        self._rung: list[Call] = []
        self._watch = Watch()

    @property
    def port(self) -> int:
        return self.wire.port

    @property
    def contact(self) -> str:
        return f"<sip:{escape(self.name)}@{self.wire.host}:{self.wire.port}>"

    async def register(self, expires: int = 3600, timeout: float = WAIT) -> None:
        """REGISTER without credentials at the peer; `expires=0` takes it back."""
        host, port = self.wire.peer
        who = f"<sip:{escape(self.name)}@{host}:{port}>"
        headers: Headers = [self.wire.via(), ("Max-Forwards", "70"), ("To", who)]
        headers += [("From", f"{who};tag={secrets.token_hex(6)}"), ("Call-ID", secrets.token_hex(12))]
        headers += [("CSeq", "1 REGISTER"), ("Contact", self.contact), ("Expires", str(expires))]
        headers += self.headers
        final = await self.wire.transact(request("REGISTER", f"sip:{host}:{port}", headers), timeout)
        if final.status != 200:
            raise RejectedError(f"phone {self.name} could not register: {final.reason}", final.status)

    async def call(
        self,
        number: str,
        payload: Payload | None = None,
        *,
        codecs: tuple[Codec, ...] = (PCMA,),
        caller: Identity | None = None,
        weather: Iterable[Happening] = (),
        numbers: Numbers | None = None,
        headers: Headers | None = None,
        early: bool = False,
    ) -> Call:
        """Send an INVITE to `number` at the exchange and return at once; then `await call.answered()`.

        `codecs` are offered in this order. `caller` is what From says (default: the phone's name).
        `early`: talk from 183 on, not only from 200.
        """
        call = self._leg(secrets.token_hex(12), codecs, weather, numbers)
        host, port = self.wire.peer
        identity = caller or Identity(self.name)
        call.local = f"{identity.header(f'{self.wire.host}:{self.port}')};tag={secrets.token_hex(6)}"
        call.target = f"sip:{escape(number)}@{host}:{port}"
        call.remote = f"<{call.target}>"
        call.payload = payload
        call.place(early, [*self.headers, *(headers or [])])
        return call

    async def ring(
        self,
        timeout: float = WAIT,
        *,
        caller: str | None = None,
        weather: Iterable[Happening] = (),
        numbers: Numbers | None = None,
    ) -> Call:
        """Wait for the next incoming call (from the number `caller`, where given) not yet taken."""

        def next_one() -> Call | None:
            return next((call for call in self._rung if caller in (None, user(call.remote))), None)

        def sorry() -> str:
            return f"phone {self.name} did not ring within {timeout:g} s"

        deadline = time.monotonic() + timeout
        while (call := next_one()) is None:  # another waiter may have been quicker
            await self._watch.until(lambda: next_one() is not None, sorry, deadline - time.monotonic())
        self._rung.remove(call)
        call.stream.weather = Weather(weather)
        call.stream.numbers = numbers or Numbers(ssrc=secrets.randbits(32))
        return call

    def _leg(
        self,
        call_id: str,
        codecs: tuple[Codec, ...],
        weather: Iterable[Happening] = (),
        numbers: Numbers | None = None,
    ) -> Call:
        first = numbers or Numbers(ssrc=secrets.randbits(32))
        call = Call(self, call_id, codecs, Stream(weather=Weather(weather), numbers=first))
        self.calls[call_id] = call
        self.pacer.add(call.stream)
        return call

    def requested(self, message: Message) -> None:
        """From the wire: a request that is no retransmission."""
        call = self.calls.get(message.need("Call-ID"))
        if message.method == "ACK":
            if call is not None:
                call.requested(message, None)
            return
        transaction = self.wire.server(message)
        if call is not None:
            call.requested(message, transaction)
        elif message.method == "INVITE":
            call = self._leg(message.need("Call-ID"), self.codecs)
            call.arrived(transaction)
            self._rung.append(call)
            self._watch.tell()
        else:
            alive = message.method in ("OPTIONS", "NOTIFY")
            allow: Headers = [("Allow", ALLOW)]
            transaction.respond(200 if alive else 481, tag=secrets.token_hex(6), headers=allow)

    def history(self, call_id: str, most: int = 12) -> str:
        """The first lines of the last messages of a call, for failure messages."""
        lines = []
        for arrow, data in self.wire.trace:
            if call_id.encode() in data:
                start, _, rest = data.decode("utf-8", "replace").partition("\r\n")
                cseq = next((line for line in rest.split("\r\n") if line.lower().startswith("cseq")), "")
                lines.append(f"  {arrow} {start}  ({cseq})")
        return "\n".join(lines[-most:])

    async def hang_up_all(self) -> None:
        """End what still goes on, as politely as two seconds allow."""
        for call in list(self.calls.values()):
            if call.state is not CallState.ENDED:
                try:
                    await call.hang_up(timeout=2)
                except Exception:
                    call.end("given up")
            call.forget()
