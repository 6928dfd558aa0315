"""Is this process alive? The event loop's lag and the journal's threads say so, and systemd is told."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from ..conditions import Conditions, Severity
from .systemd import ServiceManager

KEY = "recorder:loop"
EVERY = 0.5
"""Seconds between two looks at the loop."""
WINDOW = 60.0
"""Seconds over which the longest lag counts, and after which slowness is over."""
TOO_LATE = 1.0
"""Seconds of lag from which on events, polls and timers come too late to be of use."""
PATIENCE = 10.0
"""Seconds that the journal's threads may take to answer, where no service manager says else."""

Sleep = Callable[[float], Awaitable[None]]


class Watchdog:
    """`ask` hands the journal's threads an empty task and returns its future."""

    def __init__(
        self,
        conditions: Conditions,
        manager: ServiceManager,
        ask: Callable[[], Future[None]],
        *,
        at: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._conditions = conditions
        self._manager = manager
        self._ask = ask
        self._at = at
        self._sleep = sleep
        self._lags: deque[tuple[float, float]] = deque()
        self._asked: tuple[float, Future[None]] | None = None
        self._fed = at()
        self.journal_answers = True
        """The journal's threads did, within their time, when they were asked last."""

    @property
    def patience(self) -> float:
        """Seconds without an answer of the journal after which no sign of life is given any more."""
        limit = self._manager.watchdog
        return PATIENCE if limit is None else limit / 2

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
            self._look_at_journal(now)
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

    def _look_at_journal(self, now: float) -> None:
        if self._asked is None:
            self._asked = (now, self._ask())
            return
        since, answer = self._asked
        if answer.done():
            self.journal_answers = True
            self._asked = None
        elif now - since > self.patience:
            self.journal_answers = False

    def _feed(self, now: float) -> None:
        limit = self._manager.watchdog
        if limit is not None and self.journal_answers and now - self._fed >= limit / 4:
            self._fed = now
            self._manager.alive()
