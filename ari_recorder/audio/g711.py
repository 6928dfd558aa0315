"""G.711 between its 8-bit codes and 16-bit samples, exactly as Asterisk decodes it.

The formulae are those of ITU-T G.711; on Asterisk 22.10.1 `file convert` of all 256 codes gives these
very samples for both laws. A leg that Asterisk recorded as slin therefore leads back to the codes that
were on the wire: A-law all 256, µ-law all but 0x7F, whose sample is 0 like that of 0xFF.

Sound that Asterisk makes itself (ringing, tones, a prompt in slin) is encoded by Asterisk on its way out.
`encode_alaw` and `encode_ulaw` do what its encoder does, not what is nearest: all 65 536 samples agree with
`file convert` of Asterisk 16.28 and 22.10.1 (nearest codes differ for 504 and 508 of them), so that this
sound too stands in the file as it went over the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..model.recording import Coding

Codes = NDArray[np.uint8]
Samples = NDArray[np.int16]
Marked = NDArray[np.uint16]

OFF_GRID = 0x100
"""Bit beside the code in `Law.mark`: the sample is not one that the code decodes to."""


def decode_alaw(code: int) -> int:
    """The sample (16 bit, ±8 … ±32256) of one A-law code, 0–255."""
    code ^= 0x55
    mantissa, exponent = code & 0x0F, code >> 4 & 0x07
    magnitude = (mantissa << 4) + 8 if exponent == 0 else (mantissa << 4) + 0x108 << exponent - 1
    return magnitude if code & 0x80 else -magnitude


def decode_ulaw(code: int) -> int:
    """The sample (16 bit, 0 … ±32124) of one µ-law code, 0–255."""
    code ^= 0xFF
    mantissa, exponent = code & 0x0F, code >> 4 & 0x07
    magnitude = ((mantissa << 3) + 0x84 << exponent) - 0x84
    return -magnitude if code & 0x80 else magnitude


def encode_alaw(sample: int) -> int:
    """Asterisk's A-law code of one sample: its table has one code for eight neighbours, the last one's."""
    sample |= 7
    mask = 0xD5 if sample >= 0 else 0x55
    magnitude = abs(sample)
    exponent = max(0, magnitude.bit_length() - 8)
    mantissa = magnitude >> (exponent + 3 if exponent else 4) & 0x0F
    return (exponent << 4 | mantissa) ^ mask


def encode_ulaw(sample: int) -> int:
    """Asterisk's µ-law code of one sample: its table has one code for four neighbours, the last one's."""
    sample |= 3
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 0x84
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


@dataclass(frozen=True)
class Law:
    """One law's tables. Compare by identity; `law()` hands out the only two."""

    coding: Coding
    samples: Samples
    """Code (0–255) → sample."""
    marks: Marked
    """Sample as an unsigned 16-bit number (0–65535) → its code, with OFF_GRID where it is not exact."""

    def mark(self, samples: Samples, out: Marked | None = None) -> Marked:
        """Each sample's code, with OFF_GRID set where decoding would not give the sample back.

        Exact zeros are inserted silence and never off grid. `out` (same length) saves an allocation.
        """
        return np.take(self.marks, samples.view(np.uint16), out=out, mode="wrap")

    def encode(self, samples: Samples) -> Codes:
        """Each sample's code as Asterisk's encoder gives it; 0 becomes 0xD5 (A-law) or 0xFF (µ-law)."""
        return self.mark(samples).astype(np.uint8)

    def decode(self, codes: Codes) -> Samples:
        return self.samples[codes]

    def on_grid(self, samples: Samples) -> bool:
        """Whether every sample that is not 0 comes back from its code: the block is bit-exact."""
        return bool(self.mark(samples).max(initial=0) < OFF_GRID)


@cache
def law(coding: Coding) -> Law:
    """The tables of `Coding.ALAW` or `Coding.ULAW`; ValueError for any other."""
    if coding is Coding.ALAW:
        return _law(coding, [decode_alaw(code) for code in range(256)], encode_alaw)
    if coding is Coding.ULAW:
        return _law(coding, [decode_ulaw(code) for code in range(256)], encode_ulaw)
    raise ValueError(f"{coding} is not G.711")


def _law(coding: Coding, decoded: list[int], encode: Callable[[int], int]) -> Law:
    samples = np.array(decoded, dtype=np.int16)
    every = np.arange(-32768, 32768, dtype=np.int64)
    codes = np.array([encode(sample) for sample in every.tolist()], dtype=np.uint16)
    # A code's own sample leads back to it; µ-law's 0 to 0xFF, which sorts last.
    for code in sorted(range(256), key=lambda code: code & 0x80):
        codes[decoded[code] + 32768] = code
    off = (samples[codes].astype(np.int64) != every) & (every != 0)
    marks = np.empty(65536, dtype=np.uint16)
    marks[every.astype(np.int16).view(np.uint16)] = codes | np.where(off, OFF_GRID, 0).astype(np.uint16)
    for table in (samples, marks):
        table.flags.writeable = False
    return Law(coding, samples, marks)
