"""G.711 between its 8-bit codes and 16-bit samples, exactly as Asterisk decodes it.

The formulae are those of ITU-T G.711; on Asterisk 22.10.1 `file convert` of all 256 codes gives these
very samples for both laws. A leg that Asterisk recorded as slin therefore leads back to the codes that
were on the wire: A-law all 256, µ-law all but 0x7F, whose sample is 0 like that of 0xFF.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class Law:
    """One law's tables. Compare by identity; `law()` hands out the only two."""

    coding: Coding
    samples: Samples
    """Code (0–255) → sample."""
    marks: Marked
    """Sample as an unsigned 16-bit number (0–65535) → nearest code, with OFF_GRID where it is not exact."""

    def mark(self, samples: Samples, out: Marked | None = None) -> Marked:
        """Each sample's nearest code, with OFF_GRID set where decoding would not give the sample back.

        Exact zeros are inserted silence and never off grid. `out` (same length) saves an allocation.
        """
        return np.take(self.marks, samples.view(np.uint16), out=out, mode="wrap")

    def encode(self, samples: Samples) -> Codes:
        """Each sample's nearest code; 0 becomes 0xD5 (A-law) or 0xFF (µ-law)."""
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
        return _law(coding, [decode_alaw(code) for code in range(256)])
    if coding is Coding.ULAW:
        return _law(coding, [decode_ulaw(code) for code in range(256)])
    raise ValueError(f"{coding} is not G.711")


def _law(coding: Coding, decoded: list[int]) -> Law:
    samples = np.array(decoded, dtype=np.int16)
    # Where two codes share a sample (µ-law's two zeros) and where two grid points are equally near,
    # the positive code wins: it sorts last here.
    order = sorted(range(256), key=lambda code: (decoded[code], code & 0x80))
    grid = np.array([decoded[code] for code in order], dtype=np.int64)
    every = np.arange(-32768, 32768, dtype=np.int64)
    nearest = np.searchsorted(grid[:-1] + grid[1:], 2 * every, side="right")
    codes = np.array(order, dtype=np.uint16)[nearest]
    off = (grid[nearest] != every) & (every != 0)
    marks = np.empty(65536, dtype=np.uint16)
    marks[every.astype(np.int16).view(np.uint16)] = codes | np.where(off, OFF_GRID, 0).astype(np.uint16)
    for table in (samples, marks):
        table.flags.writeable = False
    return Law(coding, samples, marks)
