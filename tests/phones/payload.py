"""What the phones say: payloads that anybody can compute again from a seed, frame by frame."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from .sdp import FRAME, PCMU, Codec

Frames = Callable[[int], bytes | None]
"""Frame number, from 0, to its 160 bytes; None ends the stream."""
Payload = bytes | Frames


def frames(payload: Payload) -> Frames:
    """Bytes as frames: sent once, the last frame cut short where they do not divide."""
    if callable(payload):
        return payload
    data = payload

    def frame(number: int) -> bytes | None:
        return data[number * FRAME : (number + 1) * FRAME] or None

    return frame


def noise(seed: str, codec: Codec, *, seconds: float | None = None) -> Frames:
    """Random bytes, every code of the codec among them; endless unless `seconds` are given.

    µ-law 0x7F is left out, because Asterisk's slin knows no negative zero, and 0xFF, because it decodes to
    the very zeros that stand for inserted silence: neither can be judged.
    """
    last = None if seconds is None else round(seconds * 50)

    def frame(number: int) -> bytes | None:
        if last is not None and number >= last:
            return None
        octets = hashlib.shake_128(f"{seed}/{number}".encode()).digest(FRAME)
        return octets.translate(_MU_LAW_JUDGEABLE) if codec == PCMU else octets

    return frame


_MU_LAW_JUDGEABLE = bytes(code - 1 if code in (0x7F, 0xFF) else code for code in range(256))
