"""Phones for tests: a SIP and RTP user agent that knows exactly what it said, and judges of recordings.

async with Exchange("127.0.0.1", pbx.sip_port) as exchange:
    trunk = await exchange.phone("trunk-berlin", port=pbx.trunk_port)
    phone = await exchange.phone("1001", register=True)
    call = await trunk.call("+493012345", noise("caller", PCMA), codecs=(PCMA, G722))
    incoming = await phone.ring()
    await incoming.ringing()
    await incoming.answer(noise("callee", PCMA))
    await call.answered()
    await call.talk(seconds=3)
    await call.hang_up()
    await incoming.hung_up()
left, right = read_wave(path).channels
assert_bit_exact(left, call.sent)
assert_bit_exact(right, incoming.sent)
"""

from .call import Call
from .dialog import CallState
from .errors import OverdueError, PhoneError, RejectedError
from .exchange import Exchange
from .message import Identity
from .payload import Payload, noise
from .phone import Phone
from .rtp import Numbers, Packet
from .sdp import G722, PCMA, PCMU, Codec
from .weather import Gap, Jitter, Loss, Skew, Stall

__all__ = [
    "G722", "PCMA", "PCMU", "Call", "CallState", "Codec", "Exchange", "Gap", "Identity", "Jitter", "Loss",
    "Numbers", "OverdueError", "Packet", "Payload", "Phone", "PhoneError", "RejectedError", "Skew", "Stall",
    "noise",
]  # fmt: skip
