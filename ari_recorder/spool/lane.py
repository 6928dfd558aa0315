"""The queue in front of one target: what is due when, and how much of it at once."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog

from ..config.targets.limits import Limits
from ..model.delivery import DeliveryState
from ..model.errors import PermanentError, RecorderError
from ..model.recording import Recording
from ..targets.base import Target
from ..targets.pace import Pace
from .attempt import AbandonedError, Attempt, Outcome, Terms
from .folders import RecordingFolder
from .retry import ANSWERED, ASKED_FOR_PEACE, PASSING, WHOLE_TARGET
from .stubborn import Stubborn

log = structlog.get_logger(__name__)

T = TypeVar("T")

LONGEST_REST = 60.0
"""Seconds after which the wall clock is looked at again, for it may have been set."""

HANGING = 60.0
"""Seconds after which a recording is looked at again whose spool folder's disk does not answer."""

SINCE_EVER = 0.0
"""When a recording is due that waits for nothing: before all that waited for their time, and by id."""

Entry = tuple[float, str, int, RecordingFolder]
"""When it is due (seconds since 1970), the recording's id, a number that no two have, its folder."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a target does."""

    target: str
    waiting: int
    """Recordings in the queue, those under way included."""
    running: int
    failures: int
    """Failures in a row that were the whole target's; 0 when it is well."""
    fault: RecorderError | None = None
    """What the whole target fails with."""
    next_try_at: datetime | None = None
    """When the failing target is probed again."""
    opens_at: datetime | None = None
    """When its hours begin, where they are over; None while deliveries may begin."""
    blocked: int = 0
    """Recordings that a person has to act for, the target itself being well; also those that fail again and
    again with what ought to pass by itself (stubborn.py)."""
    obstacle: RecorderError | None = None
    """What the last of these failed with."""

    @property
    def error_code(self) -> str | None:
        return self.fault.code if self.fault else None

    @property
    def error(self) -> str | None:
        return str(self.fault) if self.fault else None


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


def nowhere(_recording_id: str) -> RecordingFolder | None:
    return None


def unheard(_health: Health) -> None:
    """For those who do not want to know."""


@dataclass(frozen=True, slots=True)
class Ears:
    """Whom a lane tells what; all but `find` are called on the event loop."""

    change: Callable[[Recording], None]
    """A recording whose delivery has changed, as journalled."""
    health: Callable[[Health], None] = unheard
    """How the target does, whenever it begins to fail, fails otherwise, or is well again."""
    find: Callable[[str], RecordingFolder | None] = nowhere
    """Where the recording of that id is, when its folder has moved. It blocks, and is called in a thread."""


class Lane:
    """Delivers to one target, several recordings at once, each of them once at a time.

    While the target as a whole fails, one recording at a time probes it, with the pauses of
    `retry.decide`; as soon as that works, everything that waits goes out, oldest first.
    """

    def __init__(self, target: Target, terms: Terms, ears: Ears, limits: Limits | None = None) -> None:
        self.target = target
        self.limits = limits or Limits()
        # Its own: a lane may be let go of while the others go on.
        self._terms = replace(terms, abandoned=threading.Event())
        self._ears = ears
        self._pace = None if self.limits.bandwidth is None else Pace(self.limits.bandwidth.bytes)
        self._due: list[Entry] = []
        """A heap; an entry that is not the one in `_known` does not count any more."""
        self._known: dict[str, Entry] = {}
        """By id; also those that are under way."""
        self._count = itertools.count()
        self._certified: set[str] = set()
        self._running: dict[asyncio.Task[None], RecordingFolder] = {}
        self._wake = asyncio.Event()
        self._over = asyncio.Event()
        self._stopping = False
        self._failures = 0
        self._open_at: datetime | None = None
        self._looked_at = terms.clock()
        self._fault: RecorderError | None = None
        self._blocked: set[str] = set()
        self._stubborn = Stubborn()
        self._obstacle: RecorderError | None = None
        self._hung = 0
        """Attempts that stand still in the target, when last looked at."""
        self._told: tuple[object, ...] = ()

    def add(self, folder: RecordingFolder, recording: Recording) -> None:
        """Queue a recording for its next try; again is no harm."""
        if folder.id in self._known:
            return
        delivery = recording.delivery(self.target.name)
        due = SINCE_EVER
        now = self._terms.clock()
        if delivery and delivery.next_try_at and delivery.next_try_at > now:
            try_at = min(delivery.next_try_at, now + self._longest())
            if delivery.error_code in ASKED_FOR_PEACE:
                self._open_at = max(try_at, self._open_at or try_at)
            elif delivery.error_code not in WHOLE_TARGET:
                due = try_at.timestamp()
        self._push(due, folder)

    def add_now(self, folder: RecordingFolder) -> None:
        """Queue a recording that is due, whatever its journal says."""
        if folder.id not in self._known:
            self._push(SINCE_EVER, folder)

    def holds(self, recording_id: str) -> bool:
        return recording_id in self._known

    def retry(self, wanted: Collection[str] | None = None) -> int:
        """Let these recordings, or all, be due now, also while the target fails; how many there are."""
        due = [folder for folder in self._waiting() if wanted is None or folder.id in wanted]
        for folder in due:
            self._push(SINCE_EVER, folder)
        if due:
            self._due = [entry for entry in self._due if self._known.get(entry[1]) is entry]
            heapq.heapify(self._due)
            self._open_at = None
        return len(due)

    def health(self) -> Health:
        now = self._terms.clock()
        blocked = len(self._blocked | self._stubborn.known())
        return Health(
            target=self.target.name,
            waiting=len(self._known),
            running=len(self._running),
            failures=self._failures or min(self._hung, 1),
            fault=self._fault or (self._silence() if self._hung else None),
            next_try_at=self._open_at,
            opens_at=self.limits.opens_at(now) if self._known else None,
            blocked=blocked,
            obstacle=self._obstacle if blocked else None,
        )

    async def run(self) -> None:
        """Deliver until stopped, then wait for what is under way."""
        try:
            while not self._stopping:
                self._wake.clear()
                self._start_due()
                self._mind_hung()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._rest()):
                        await self._wake.wait()
            if self._running:
                await asyncio.wait(self._running)
        finally:
            for task in self._running:
                task.cancel()
            self._over.set()

    async def ended(self, seconds: float) -> None:
        """Wait until `run` has ended, but no longer than that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    def stop(self) -> None:
        """Begin nothing more; `run` ends when what is under way has ended."""
        self._stopping = True
        self._wake.set()

    def abandon(self) -> None:
        """Wait no more for what is still under way; it may write nothing more to the spool."""
        self._terms.abandoned.set()
        for task in self._running:
            task.cancel()
        if self._pace is not None:
            self._pace.end()

    def take(self) -> list[RecordingFolder]:
        """Let go of everything that waits and is not under way, oldest first."""
        taken = sorted(self._waiting(), key=lambda folder: folder.id)
        for folder in taken:
            del self._known[folder.id]
        self._due.clear()
        return taken

    def unfinished(self) -> tuple[RecordingFolder, ...]:
        """What is under way and has not ended yet."""
        return tuple(folder for folder in self._running.values() if folder.id in self._known)

    def _waiting(self) -> list[RecordingFolder]:
        return [entry[3] for entry in self._due if self._known.get(entry[1]) is entry]

    def _longest(self) -> timedelta:
        return timedelta(seconds=self._terms.pauses.longest)

    def _push(self, due: float, folder: RecordingFolder) -> None:
        entry = self._known[folder.id] = (due, folder.id, next(self._count), folder)
        heapq.heappush(self._due, entry)
        self._wake.set()

    def _start_due(self) -> None:
        now = self._terms.clock()
        self._mind_clock(now)
        while self._due and self._due[0][0] <= now.timestamp() and self._has_room(now):
            entry = heapq.heappop(self._due)
            folder = entry[3]
            if self._known.get(folder.id) is not entry:
                continue
            if folder.hangs:  # its attempt would only wait, and take the place of one that can be delivered
                self._push(now.timestamp() + HANGING, folder)
                continue
            task = asyncio.create_task(self._deliver(folder), name=f"{self.target.name}/{folder.id}")
            self._running[task] = folder
            task.add_done_callback(self._finished)

    def _mind_clock(self, now: datetime) -> None:
        """When the clock was set back, nothing waits any longer for that."""
        back, self._looked_at = self._looked_at - now, now
        if back <= timedelta():
            return
        for due, _, _, folder in [entry for entry in self._due if self._known.get(entry[1]) is entry]:
            self._push(max(due - back.total_seconds(), SINCE_EVER), folder)
        self._due = [entry for entry in self._due if self._known.get(entry[1]) is entry]
        heapq.heapify(self._due)
        if self._open_at is not None:
            self._open_at -= back

    def _mind_hung(self) -> None:
        """What hangs in a target holds its thread for ever and reports nothing; it is left to itself."""
        hung = sum(upload.target is self.target for upload in self._terms.under_way.hung())
        if hung != self._hung:
            self._hung = hung
            self._tell()

    def _silence(self) -> RecorderError:
        minutes = self._terms.under_way.patience / 60
        return PermanentError(
            "target.unreachable",
            f'Target "{self.target.name}" does not answer: for {minutes:.0f} minutes it has taken or given '
            "nothing of a file that is being delivered.",
            remedy="Bring its server or disk back. The delivery then goes on by itself.",
        )

    def _has_room(self, now: datetime) -> bool:
        if not self.limits.open_at(now):
            return False
        if self._open_at is not None and self._open_at > now:
            return False
        running = sum(not folder.hangs for folder in self._running.values())
        return running < (1 if self._failures else self.limits.at_once)

    def _rest(self) -> float:
        """Seconds until something may fall due by itself; a finished task wakes the lane anyway."""
        if not self._due:
            return LONGEST_REST
        now = self._terms.clock()
        due = datetime.fromtimestamp(self._due[0][0], UTC)
        for gate in (self._open_at, self.limits.opens_at(now)):
            due = due if gate is None else max(due, gate)
        if due <= now:
            return LONGEST_REST  # it waits for room
        return min((due - now).total_seconds(), LONGEST_REST)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._wake.set()

    async def _deliver(self, folder: RecordingFolder) -> None:
        failures = self._failures
        attempt = Attempt(
            folder,
            self.target,
            self._terms,
            target_failures=failures,
            certified=self._certified,
            pace=self._pace,
        )
        try:
            outcome = await in_thread(attempt.run, f"deliver-{self.target.name}")
            moved = None
            if outcome.recording is None and outcome.verdict is None:  # it is not where it was
                moved = await in_thread(partial(self._ears.find, folder.id), f"find-{self.target.name}")
        except AbandonedError:
            return
        except Exception:  # a mistake of ours: it must stop neither the lane nor the recording
            log.exception("The delivery failed", action="delivery.fault", recording=folder.id)
            self._push((self._terms.clock() + self._longest()).timestamp(), folder)
            return
        self._settle(folder, outcome, failures)
        if moved is not None:
            self.add_now(moved)
        self._mind_hung()
        self._tell()
        if outcome.recording is not None:
            self._ears.change(outcome.recording)

    def _settle(self, folder: RecordingFolder, outcome: Outcome, failures: int) -> None:
        """Draw the conclusions; `failures` is the target's count when the attempt began."""
        verdict, error = outcome.verdict, outcome.error
        if verdict is not None and verdict.whole_target:
            self._failures = max(self._failures, failures + 1)
            self._open_at, self._fault = verdict.next_try_at, error
            self._push(self._terms.clock().timestamp(), folder)
            return
        if outcome.recording is not None and (error is None or error.code in ANSWERED):
            self._failures, self._open_at, self._fault = 0, None, None
            self._stubborn.answered()
        self._blocked.discard(folder.id)
        if error is None or error.code not in PASSING:
            self._stubborn.ended(folder.id)
        elif self._stubborn.failed(folder.id, self._terms.clock()):
            self._obstacle = error
        if verdict is not None:
            if verdict.state is DeliveryState.BLOCKED:
                self._blocked.add(folder.id)
                self._obstacle = error
            self._push(verdict.next_try_at.timestamp(), folder)
            return
        del self._known[folder.id]

    def _tell(self) -> None:
        """Say how the target does when that is news; a lane that is exchanged says nothing any more."""
        if self._stopping:
            return
        health = self.health()
        news = (min(health.failures, 2), health.error_code, health.blocked)
        if news != self._told:
            self._told = news
            self._ears.health(health)
