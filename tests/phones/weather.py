"""What can happen to a stream on its way: stalls, gaps, loss, jitter and a clock that runs wrong.

Times are seconds of the sender's own schedule, from its first packet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

SLOT = 20_000_000
"""Nanoseconds between packets."""


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing leaves for `seconds`, then all that was held back leaves at once."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Gap:
    """The sender says nothing for `seconds`: numbers go on, the timestamp jumps, no frame is used up."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Loss:
    """Frames of this stretch never arrive: number, timestamp and payload are used up."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Jitter:
    """Every packet is late by 0..`most` seconds, each by its own amount: beyond 20 ms they overtake."""

    most: float
    seed: str = "jitter"


@dataclass(frozen=True, slots=True)
class Skew:
    """The sender's clock is slow by `ppm` (negative: fast), so its packets come further apart."""

    ppm: float


Happening = Stall | Gap | Loss | Jitter | Skew


def _within(slot: int, span: Stall | Gap | Loss) -> bool:
    return round(span.at * 50) <= slot < round((span.at + span.seconds) * 50)


class Weather:
    """All that happens to one stream. The default is a clear sky."""

    def __init__(self, happenings: Iterable[Happening] = ()) -> None:
        kept = tuple(happenings)
        self._stalls = [h for h in kept if isinstance(h, Stall)]
        self._gaps = [h for h in kept if isinstance(h, Gap)]
        self._losses = [h for h in kept if isinstance(h, Loss)]
        self._jitters = [h for h in kept if isinstance(h, Jitter)]
        self.interval = SLOT * (1 + sum(h.ppm for h in kept if isinstance(h, Skew)) / 1e6)
        """Nanoseconds between two packets of this sender."""

    def speaking(self, slot: int) -> bool:
        return not any(_within(slot, gap) for gap in self._gaps)

    def lost(self, slot: int) -> bool:
        return any(_within(slot, loss) for loss in self._losses)

    def delay(self, slot: int) -> int:
        """Nanoseconds by which the packet of this slot leaves later than the schedule says."""
        late = 0
        for stall in self._stalls:
            if _within(slot, stall):
                end = round((stall.at + stall.seconds) * 50)
                late = max(late, round((end - slot) * self.interval))
        for jitter in self._jitters:
            octets = hashlib.shake_128(f"{jitter.seed}/{slot}".encode()).digest(4)
            late += round(int.from_bytes(octets) / 2**32 * jitter.most * 1e9)
        return late
