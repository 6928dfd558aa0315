"""Moves recordings from one spool folder to another while the recorder works.

Ordered by a person (`ari-recorder spool move`, FEATURES T12), for a disk that needs maintenance; and by
itself, from a RAM disk home as soon as there is room. What runs or is being delivered is waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from ..model.errors import PermanentError, RecorderError, TransientError
from ..model.recording import State
from ..spool.folders import JOURNAL
from ..spool.glance import glance
from ..spool.maintenance import Maintenance, place_for
from ..spool.place import Place
from ..spool.places import Moved, Spools
from .backlog import Backlog
from .requests import Answer, Outcome, Request, Tell

KIND = "spool.move"
"""Of the request. Its words: where to, as `place_for` takes it; or STOP."""
STOP = "stop"
AGAIN = 1.0
"""Seconds between two passes over what still remains."""
TELL = 0.3
"""Seconds between two words about the progress."""
HOME = 10.0
"""Seconds between two looks for what could go home from a RAM disk."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Course:
    """How far an order has come."""

    maintenance: Maintenance
    tell: Tell
    done: int = 0
    running: int = 0
    busy: int = 0
    errors: dict[str, RecorderError] = field(default_factory=dict)
    told_at: float = 0.0

    @property
    def remaining(self) -> int:
        return self.running + self.busy + len(self.errors)

    async def progress(self, left: int, *, now: bool = False) -> None:
        if not now and time.monotonic() - self.told_at < TELL:
            return
        self.told_at = time.monotonic()
        await self.tell(Answer(Outcome.WORKING, self._waits(), done=self.done, total=self.done + left))

    def _waits(self) -> str:
        waits = [
            f"{count} {what}"
            for count, what in (
                (self.running, "still recorded"),
                (self.busy, "being completed or delivered"),
                (len(self.errors), "cannot be moved"),
            )
            if count
        ]
        return ", ".join(waits)


class SpoolMover:
    """To be used on the event loop."""

    def __init__(
        self,
        spools: Spools,
        rescued: Callable[[Backlog], None] = lambda _: None,
        hung: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`rescued` is told of recordings out of a folder that could only be read: nobody knew them yet.
        `hung` names recordings whose delivery stands still, and the target."""
        self._spools = spools
        self._rescued = rescued
        self._hung = hung
        self._turn = asyncio.Lock()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled: bring home what began on a RAM disk."""
        while True:
            await asyncio.sleep(HOME)
            if self._turn.locked() or self._spools.ledger.placement.begin_in is not None:
                continue
            try:
                await asyncio.to_thread(self._bring_home)
            except Exception:
                log.exception("Recordings could not be brought home", action="spool.home-defect")

    async def answer(self, request: Request, tell: Tell) -> Answer:
        """Move everything; RecorderError when that cannot be done: then new recordings begin as before."""
        if request.words == (STOP,):
            return self._stopped()
        if len(request.words) != 1:
            raise PermanentError("config.value", "It was not said where the spool is to be moved.")
        async with self._turn:
            self._stop.clear()
            destination = await asyncio.to_thread(place_for, self._spools, request.words[0])
            course = _Course(Maintenance(self._spools, destination), tell)
            await asyncio.to_thread(course.maintenance.begin)
            log.info("The spool moves", action="spool.move", folder=str(destination.root))
            try:
                await self._empty(course)
                if self._stop.is_set():
                    await asyncio.to_thread(course.maintenance.give_up)
                    return Answer(
                        Outcome.REFUSED, "The move was stopped; what has been moved stays where it is."
                    )
                left = await asyncio.to_thread(course.maintenance.end)
            except RecorderError:
                await asyncio.to_thread(course.maintenance.give_up)
                raise
        log.info("The spool has moved", action="spool.moved", folder=str(destination.root), count=course.done)
        free = " and ".join(str(folder) for folder in left)
        sentence = f"New recordings begin in {destination.root}; {course.done} were moved there."
        if left:
            sentence += f" {free} is no longer used: its disk can be unmounted."
        return Answer(Outcome.DONE, sentence, done=course.done, total=course.done)

    def _stopped(self) -> Answer:
        if not self._turn.locked():
            return Answer(Outcome.REFUSED, "The spool is not being moved.")
        self._stop.set()
        return Answer(Outcome.DONE, "The move stops; what has been moved stays where it is.")

    async def _empty(self, course: _Course) -> None:
        """Until nothing remains elsewhere, or the order is withdrawn."""
        while names := await asyncio.to_thread(course.maintenance.remaining):
            course.running = course.busy = 0
            course.errors.clear()
            for number, name in enumerate(names):
                if self._stop.is_set():
                    return
                await self._step(course, name)
                await course.progress(len(names) - number - 1 + course.remaining)
            if course.errors and not course.running and not course.busy:
                raise next(iter(course.errors.values()))
            await course.progress(course.remaining, now=True)
            if course.remaining:
                await asyncio.sleep(AGAIN)

    async def _step(self, course: _Course, name: str) -> None:
        destination = course.maintenance.destination
        try:
            if await asyncio.to_thread(self._runs, name):
                course.running += 1
                return
            moved, found = await asyncio.to_thread(self._moved, name, destination)
        except RecorderError as error:
            if error.code == "spool.full":
                raise
            course.errors[name] = error
            log.warning(str(error), action="spool.not-moved", recording=name, code=error.code)
            return
        if moved is Moved.BUSY and (target := self._hung().get(name)) is not None:
            course.errors[name] = _held_by(target, name)
            return
        course.done += moved is Moved.DONE
        course.busy += moved is Moved.BUSY
        if found is not None:
            self._rescued(found)

    def _moved(self, name: str, destination: Place) -> tuple[Moved, Backlog | None]:
        """What came of it, and the recording itself where nobody could know it before."""
        unknown = self._spools.get(name) is None
        moved = self._spools.move(name, destination)
        folder = self._spools.get(name)
        if moved is not Moved.DONE or not unknown or folder is None:
            return moved, None
        found = Backlog()
        found.sort_in(folder, None)
        return moved, found

    def _runs(self, name: str) -> bool:
        """Its call is being recorded, as far as its journal says."""
        folder = self._spools.get(name)
        path = str(folder.path / JOURNAL) if folder is not None else ""
        return glance(path, name) in (State.DECIDED, State.CAPTURING)

    def _bring_home(self) -> None:
        home = next((place for place in self._spools.places if place.ready and not place.volatile), None)
        if home is None:
            return
        for place in list(self._spools.places):
            if place.ready and place is not home and place.volatile and not self._brought(place, home):
                return

    def _brought(self, place: Place, home: Place) -> bool:
        """False when there is no more room at home."""
        for name in self._spools.names(place):
            if self._turn.locked():
                return False
            try:
                if not self._runs(name) and self._spools.move(name, home) is Moved.DONE:
                    log.info("Brought home from the RAM disk", action="spool.home", recording=name)
            except RecorderError as error:
                log.info(str(error), action="spool.not-home", recording=name, code=error.code)
                return False
        return True


def _held_by(target: str, recording: str) -> RecorderError:
    return TransientError(
        "target.unreachable",
        f'The recording {recording} is being delivered to target "{target}", which does not answer, and '
        "cannot be moved before that has ended.",
        remedy="Bring the target back (a dead mount: umount --force), then order the move again.",
    )
