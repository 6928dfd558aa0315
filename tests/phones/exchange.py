"""All phones of one test, and the one thread that sends and receives for them."""

from __future__ import annotations

import asyncio
from types import TracebackType

from .message import Headers
from .pacer import Pacer
from .phone import Phone
from .rtp import HOST
from .sdp import CODECS, Codec
from .transport import Address


class Exchange:
    """`async with Exchange("127.0.0.1", 5060) as exchange:` – phones that talk to the Asterisk there.

    On the way out calls that are still up are hung up, and all ports are closed.
    """

    def __init__(self, sip_host: str, sip_port: int) -> None:
        self.peer = (sip_host, sip_port)
        self.pacer = Pacer()
        self.phones: list[Phone] = []

    async def __aenter__(self) -> Exchange:
        self.pacer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await asyncio.gather(*(phone.hang_up_all() for phone in self.phones))
        finally:
            for phone in self.phones:
                phone.wire.close()
            await asyncio.to_thread(self.pacer.stop)

    async def phone(
        self,
        name: str,
        *,
        port: int = 0,
        codecs: tuple[Codec, ...] = CODECS,
        register: bool = False,
        peer: Address | None = None,
        headers: Headers | None = None,
    ) -> Phone:
        """A phone at 127.0.0.1 on `port` (0: any free one).

        `register`: announce it to the exchange at once. `peer`: whom it talks to instead of the exchange.
        `headers` go into each of its REGISTERs and INVITEs (a trunk of the laboratory names itself so).
        """
        phone = Phone(name, peer or self.peer, self.pacer, codecs, headers or [])
        await phone.wire.open(HOST, port)
        self.phones.append(phone)
        if register:
            await phone.register()
        return phone
