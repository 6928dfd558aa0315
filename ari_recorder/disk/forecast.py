"""When a disk will be full: pure. Samples of its free space go in, hours come out.

The rate is what the disk has lost per second, net, with the past fading away. Three things would fool a plain
average, and do not fool this one: a large deletion (a delivery that caught up, an admin who tidied) counts at
most as much as was lately written, so it never hides that the disk fills; the first minutes, in which nothing
is known yet, are filled in with what the running recordings are known to write; and a steady flow through the
disk, as much out as in, is no growth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MEMORY = 900.0
"""Seconds in which the past fades to a third."""

LEG = 16_000
"""Bytes a second of one raw leg: 16-bit samples at 8000 Hz. Wideband is twice as much or more."""
STEREO = 16_000
"""Bytes a second of a sealed recording: G.711, both sides."""
ON_PBX = 2 * LEG
"""Bytes a second of one running recording in Asterisk's folder."""
IN_SPOOL = 2 * LEG + STEREO
"""Bytes that a second of a call needs in the spool at most: both legs while it is assembled, and the file."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What is known of a disk's growth. `Rate()` knows nothing."""

    at: float | None = None
    """Time of the last sample, seconds of a clock that does not jump."""
    free: int = 0
    volume: float = 0.0
    """Net bytes lost, each faded by its age; never below 0."""
    seconds: float = 0.0
    """Seconds watched, each faded by its age: MEMORY at most."""

    def seen(self, at: float, free: int) -> Rate:
        """With one more sample of the free bytes. A clock that stands or goes back starts afresh."""
        if self.at is None or at <= self.at:
            return Rate(at, free, self.volume, self.seconds)
        passed = at - self.at
        fade = math.exp(-passed / MEMORY)
        lost = self.free - free
        volume = max(0.0, self.volume * fade + lost * _mean_fade(passed))
        return Rate(at, free, volume, MEMORY * (1 - fade) + self.seconds * fade)

    def bytes_per_second(self, known: float = 0.0) -> float:
        """The net rate; `known` bytes a second stand for the past that nobody watched."""
        return (self.volume + known * (MEMORY - self.seconds)) / MEMORY


def _mean_fade(passed: float) -> float:
    """How much of bytes that were written evenly over the last `passed` seconds has not faded."""
    return MEMORY * (1 - math.exp(-passed / MEMORY)) / passed


@dataclass(frozen=True, slots=True)
class Forecast:
    """`hours` until only `floor` bytes are free, at the present rate; None when the disk does not fill."""

    free: int
    total: int
    floor: int
    rate: float
    """Bytes a second, net."""
    hours: float | None

    @property
    def reached(self) -> bool:
        """The floor is reached: no new recording begins here."""
        return self.free < self.floor


def forecast(rate: Rate, *, free: int, total: int, floor: int = 0, known: float = 0.0) -> Forecast:
    """What to expect of a disk; `known` as in `Rate.bytes_per_second`."""
    speed = rate.bytes_per_second(known)
    left = max(0, free - floor)
    # A century is no forecast: rounding and log files are not growth.
    hours = left / speed / 3600 if speed > 0 and left / speed < 3.2e9 else None
    return Forecast(free, total, floor, speed, hours)
