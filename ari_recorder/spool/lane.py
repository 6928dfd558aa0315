"""The queue in front of one target: what is due when, and how much of it at once."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from ..model.errors import RecorderError
from ..model.recording import Recording
from ..targets.base import Target
from .attempt import AbandonedError, Attempt, Outcome, Terms
from .folders import RecordingFolder
from .retry import WHOLE_TARGET

log = structlog.get_logger(__name__)

T = TypeVar("T")

LONGEST_REST = 60.0
"""Seconds after which the wall clock is looked at again, for it may have been set."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a target does, for status."""

    target: str
    waiting: int
    """Recordings in the queue, those under way included."""
    running: int
    failures: int
    """Failures in a row that were the whole target's; 0 when it is well."""
    error_code: str | None = None
    error: str | None = None
    next_try_at: datetime | None = None


async def in_thread(work: Callable[[], T], name: str) -> T:
    """Run blocking work in a daemon thread of its own.

    Not the event loop's pool: a target that hangs must neither use that up nor hold the process's end.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def body() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=body, name=name, daemon=True).start()
    return await future


class Lane:
    """Delivers to one target, several recordings at once, each of them once at a time.

    While the target as a whole fails, one recording at a time probes it, with the pauses of
    `retry.decide`; as soon as that works, everything that waits goes out.
    """

    def __init__(
        self, target: Target, terms: Terms, *, at_once: int, on_change: Callable[[Recording], None]
    ) -> None:
        self.target = target
        self._terms = terms
        self._at_once = at_once
        self._on_change = on_change
        self._due: list[tuple[datetime, int, RecordingFolder]] = []
        self._count = itertools.count()
        self._known: set[str] = set()
        self._certified: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._failures = 0
        self._open_at: datetime | None = None
        self._error: RecorderError | None = None

    def add(self, folder: RecordingFolder, recording: Recording) -> None:
        """Queue a recording for its next try; again is no harm."""
        if folder.id in self._known:
            return
        self._known.add(folder.id)
        delivery = recording.delivery(self.target.name)
        due = self._terms.clock()
        if delivery and delivery.next_try_at and delivery.error_code not in WHOLE_TARGET:
            due = min(delivery.next_try_at, due + self._longest())
        self._push(due, folder)

    def health(self) -> Health:
        error = self._error
        return Health(
            target=self.target.name,
            waiting=len(self._known),
            running=len(self._running),
            failures=self._failures,
            error_code=error.code if error else None,
            error=str(error) if error else None,
            next_try_at=self._open_at,
        )

    async def run(self) -> None:
        """Deliver until stopped, then wait for what is under way."""
        try:
            while not self._stopping:
                self._wake.clear()
                self._start_due()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._rest())
            if self._running:
                await asyncio.wait(self._running)
        finally:
            for task in self._running:
                task.cancel()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    def _longest(self) -> timedelta:
        return timedelta(seconds=self._terms.pauses.longest)

    def _push(self, due: datetime, folder: RecordingFolder) -> None:
        heapq.heappush(self._due, (due, next(self._count), folder))
        self._wake.set()

    def _start_due(self) -> None:
        now = self._terms.clock()
        while self._due and self._due[0][0] <= now and self._has_room(now):
            folder = heapq.heappop(self._due)[2]
            task = asyncio.create_task(self._deliver(folder), name=f"{self.target.name}/{folder.id}")
            self._running.add(task)
            task.add_done_callback(self._finished)

    def _has_room(self, now: datetime) -> bool:
        if self._failures:
            return not self._running and (self._open_at is None or self._open_at <= now)
        return len(self._running) < self._at_once

    def _rest(self) -> float:
        """Seconds until something may fall due by itself; a finished task wakes the lane anyway."""
        if not self._due:
            return LONGEST_REST
        now = self._terms.clock()
        due = self._due[0][0]
        if self._open_at is not None:
            due = max(due, self._open_at)
        if due <= now:
            return LONGEST_REST  # it waits for room
        return min((due - now).total_seconds(), LONGEST_REST)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()

    async def _deliver(self, folder: RecordingFolder) -> None:
        failures = self._failures
        attempt = Attempt(
            folder, self.target, self._terms, target_failures=failures, certified=self._certified
        )
        try:
            outcome = await in_thread(attempt.run, f"deliver-{self.target.name}")
        except AbandonedError:
            return
        except Exception:  # a mistake of ours: it must stop neither the lane nor the recording
            log.exception("The delivery failed", action="delivery.fault", recording=folder.id)
            self._push(self._terms.clock() + self._longest(), folder)
            return
        self._settle(folder, outcome, failures)
        if outcome.recording is not None:
            self._on_change(outcome.recording)

    def _settle(self, folder: RecordingFolder, outcome: Outcome, failures: int) -> None:
        """Draw the conclusions; `failures` is the target's count when the attempt began."""
        verdict, error = outcome.verdict, outcome.error
        if verdict is not None and verdict.whole_target:
            self._failures = max(self._failures, failures + 1)
            self._open_at, self._error = verdict.next_try_at, error
            self._push(self._terms.clock(), folder)
            return
        if outcome.recording is not None:  # whatever came of it, the target has answered
            self._failures, self._open_at, self._error = 0, None, None
        if verdict is None:
            self._known.discard(folder.id)
        else:
            self._push(verdict.next_try_at, folder)
