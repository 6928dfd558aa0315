"""Is this process alive? The event loop's lag says so, and systemd is told.

A disk that hangs is a condition (`runtime/journal.py`) and no death: a restart would not mend it, and would
hang at that disk before any PBX is connected.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from ..conditions import Conditions, Severity
from .systemd import ServiceManager

KEY = "recorder:loop"
EVERY = 0.5
"""Seconds between two looks at the loop."""
WINDOW = 60.0
"""Seconds over which the longest lag counts, and after which slowness is over."""
TOO_LATE = 1.0
"""Seconds of lag from which on events, polls and timers come too late to be of use."""

Sleep = Callable[[float], Awaitable[None]]


class Watchdog:
    """Signs of life are given as long as the event loop turns."""

    def __init__(
        self,
        conditions: Conditions,
        manager: ServiceManager,
        *,
        at: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._conditions = conditions
        self._manager = manager
        self._at = at
        self._sleep = sleep
        self._lags: deque[tuple[float, float]] = deque()
        self._fed = at()

    @property
    def lag(self) -> float:
        """The longest lag of the event loop within the last minute, in seconds."""
        return max((lag for _, lag in self._lags), default=0.0)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            before = self._at()
            await self._sleep(EVERY)
            now = self._at()
            self._measure(now, max(0.0, now - before - EVERY))
            self._feed(now)

    def _measure(self, now: float, lag: float) -> None:
        self._lags.append((now, lag))
        while now - self._lags[0][0] > WINDOW:
            self._lags.popleft()
        if self.lag > TOO_LATE:
            sentence = f"The recorder came {self.lag:.1f} s too late to its work within the last minute."
            remedy = "Give it more CPU, or look what else keeps this machine or its disk busy."
            self._conditions.begin(KEY, "recorder.slow", sentence, remedy, Severity.WARNING)
        else:
            self._conditions.end(KEY)

    def _feed(self, now: float) -> None:
        limit = self._manager.watchdog
        if limit is not None and now - self._fed >= limit / 4:
            self._fed = now
            self._manager.alive()
