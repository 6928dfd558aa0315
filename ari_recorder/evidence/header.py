"""What a WAV file says of itself, read without trust. RIFF, and RF64 above 4 GiB (EBU Tech 3306)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from ..model.recording import Coding

ENOUGH = 64 * 1024
"""Bytes from the beginning of the file in which the data chunk must begin."""

_CODINGS = {(1, 16): Coding.PCM16, (6, 8): Coding.ALAW, (7, 8): Coding.ULAW}
_SEE_DS64 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Header:
    channels: int
    coding: Coding
    rate: int
    samples: int
    """Per channel."""

    @classmethod
    def parse(cls, beginning: bytes, size: int) -> Self:
        """From the file's beginning and its size in bytes; ValueError says what is wrong."""
        magic, _, kind = struct.unpack_from("<4sI4s", _enough(beginning, 0, 12))
        if magic not in (b"RIFF", b"RF64") or kind != b"WAVE":
            raise ValueError("it is not a WAV file")
        at, shape, large = 12, None, None
        while True:
            name, length = struct.unpack_from("<4sI", _enough(beginning, at, 8), at)
            at += 8
            if name == b"data":
                break
            if name == b"fmt ":
                shape = struct.unpack_from("<HHIIHH", _enough(beginning, at, 16), at)
            if name == b"ds64":
                large = struct.unpack_from("<QQQ", _enough(beginning, at, 24), at)[1]
            at += length + length % 2
        if magic == b"RF64" and length == _SEE_DS64 and large is not None:
            length = large
        if shape is None:
            raise ValueError("it has no fmt chunk before its data")
        return cls._of(shape, length, size - at)

    @classmethod
    def _of(cls, shape: tuple[int, ...], length: int, room: int) -> Self:
        tag, channels, rate, _, block, bits = shape
        coding = _CODINGS.get((tag, bits))
        if coding is None or block != channels * bits // 8 or block == 0:
            raise ValueError(f"its format (tag {tag}, {bits} bits) is not one that is sealed")
        if length > room:
            raise ValueError("it is shorter than its header says")
        if length % block:
            raise ValueError("its last sample is cut off")
        return cls(channels, coding, rate, length // block)


def _enough(data: bytes, at: int, count: int) -> bytes:
    if len(data) < at + count:
        raise ValueError("its header is cut off or has no data chunk")
    return data
