"""Brings captured recordings through the pipeline, a few at a time, and hands them to delivery.

Each PBX has a lane of its own in each spool folder: neither a recording folder that hangs nor a spool's disk
holds up more than its own. Which failure means what: a transient one (disk full, Asterisk's folder not
mounted), a mistake in the configuration and any trouble with the spool itself leave the recording where it
is, and it is tried again; evidence that is not what it was leaves it for a person, shown as stuck; any other
ends in FAILED with its reason, the legs kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from ..model.errors import ConfigError, IntegrityError, RecorderError, TransientError
from ..model.recording import Recording, State
from ..pipeline import Pipeline
from ..spool.folders import RecordingFolder, disk_failed
from ..spool.lane import HANGING, in_thread
from ..spool.patience import DISK, LateError, in_time
from ..spool.stuck import freed, noted_stuck
from .conditions import Conditions, Severity

log = structlog.get_logger()

AT_ONCE = 2
"""Assemblies side by side for one PBX and spool folder: each keeps a core busy."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
"""Seconds before a step that failed for the moment is tried again; doubling."""
LONG_PAUSE = 30.0
"""From such a pause on it is told as a condition."""


class _GoneError(Exception):
    """A recording's folder is no longer there."""


@dataclass(slots=True)
class _Lane:
    """Recordings of one PBX in one spool folder."""

    pbx: str
    queue: asyncio.Queue[RecordingFolder] = field(default_factory=asyncio.Queue)


class Completion:
    """All methods are called on the event loop; the pipeline blocks in threads."""

    def __init__(
        self,
        pipeline: Pipeline,
        on_sealed: Callable[[RecordingFolder], None],
        conditions: Conditions | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._on_sealed = on_sealed
        self._conditions = conditions or Conditions()
        self._intake: asyncio.Queue[RecordingFolder] = asyncio.Queue()
        self._lanes: dict[tuple[str, Path], _Lane] = {}
        self._known: set[str] = set()
        """Ids of what waits or is under way."""
        self._again: set[str] = set()
        """Submitted once more while they were under way."""
        self._pauses: dict[str, float] = {}
        self._timers: dict[str, tuple[asyncio.TimerHandle, RecordingFolder]] = {}
        self._steps: set[asyncio.Task[None]] = set()
        self._closing = False

    def submit(self, folder: RecordingFolder) -> None:
        """Take a recording whose call is over; harmless for one that needs nothing. One that waits for its
        next try is tried now."""
        if (timer := self._timers.pop(folder.id, None)) is not None:
            timer[0].cancel()
            self._pauses.pop(folder.id, None)
        elif folder.id in self._known:
            self._again.add(folder.id)
            return
        self._known.add(folder.id)
        self._intake.put_nowait(folder)

    async def run(self) -> None:
        """Until cancelled; call `close` before."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                folder = await self._intake.get()
                if folder.hangs:
                    self._put_off(folder, HANGING)
                elif (recording := await self._read(folder)) is not None:
                    self._lane(recording.call.pbx, folder.path.parent, tasks).queue.put_nowait(folder)

    async def _read(self, folder: RecordingFolder) -> Recording | None:
        """None when there is nothing to be done now; it comes again by itself where that may change."""
        late = partial(self._intake.put_nowait, folder)
        try:
            return await in_time(partial(_loaded, folder), "completion-intake", DISK, late)
        except LateError:
            log.error("The spool does not answer", action="completion.intake-hangs", recording=folder.id)
        except _GoneError as error:
            log.error(str(error), action="completion.folder-gone", recording=folder.id)
            self._known.discard(folder.id)
        except (RecorderError, OSError) as error:
            if isinstance(error, RecorderError) and not disk_failed(error):
                self._known.discard(folder.id)
                self._damaged(folder, error)
            else:  # a disk that fails even at a look, such as XFS after a shutdown
                log.error(str(error), action="completion.unreadable", recording=folder.id)
                self._put_off(folder, LONGEST_PAUSE)
        return None

    def _lane(self, pbx: str, disk: Path, tasks: asyncio.TaskGroup) -> _Lane:
        if (pbx, disk) not in self._lanes:
            lane = self._lanes[pbx, disk] = _Lane(pbx)
            for number in range(AT_ONCE):
                tasks.create_task(self._work(lane), name=f"completion-{pbx}-{number}")
        return self._lanes[pbx, disk]

    def _damaged(self, folder: RecordingFolder, error: RecorderError) -> None:
        """It is left as it is, until the next start or until somebody asks to try it again."""
        log.error(str(error), action="spool.damaged", recording=folder.id, code=error.code)
        self._conditions.begin_with(f"recording:{folder.id}", error)

    async def close(self, seconds: float) -> None:
        """Begin no step any more and give those under way `seconds`; the next start does the rest.

        A step that takes longer ends with the process, which is no worse than a kill.
        """
        self._closing = True
        if self._steps:
            await asyncio.wait(self._steps, timeout=seconds)

    async def _work(self, lane: _Lane) -> None:
        while True:
            folder = await lane.queue.get()
            if self._closing:
                continue
            self._again.discard(folder.id)
            step = asyncio.create_task(self._try(folder, lane), name=f"complete-{folder.id}")
            self._steps.add(step)
            step.add_done_callback(self._steps.discard)
            await asyncio.wait({step})

    async def _try(self, folder: RecordingFolder, lane: _Lane) -> None:
        try:
            await self._complete(folder, lane)
        except Exception:
            log.exception(
                "A recording could not be completed", action="completion.defect", recording=folder.id
            )
            self._again_later(folder)
        if folder.id not in self._timers:
            self._known.discard(folder.id)
            if folder.id in self._again:
                self._again.discard(folder.id)
                self.submit(folder)

    async def _complete(self, folder: RecordingFolder, lane: _Lane) -> None:
        try:
            recording = await in_thread(lambda: self._advance(folder), f"complete-{folder.id}")
        except RecorderError as error:
            if isinstance(error, TransientError | ConfigError) or error.code.startswith("spool."):
                await self._wait(folder, error, lane)
            else:
                await self._give_up(folder, error, lane)
            return
        self._pauses.pop(folder.id, None)
        self._conditions.end(f"completion:{lane.pbx}")
        self._conditions.end(f"recording:{folder.id}")
        if recording is not None and recording.state is State.SEALED:
            link = recording.sealed.link.number if recording.sealed else None
            log.info("Sealed", action="recording.sealed", recording=folder.id, link=link)
            self._on_sealed(folder)

    def _advance(self, folder: RecordingFolder) -> Recording | None:
        with folder.held():
            recording = folder.load()
            if recording.state is State.REFUSED:
                self._pipeline.discard(recording)
                folder.remove()
                return None
            return freed(folder, self._pipeline.advance(folder, may_begin=lambda: not self._closing))

    async def _wait(self, folder: RecordingFolder, error: RecorderError, lane: _Lane) -> None:
        if not await in_thread(partial(_is_there, folder), f"look-for-{folder.id}"):
            log.error(str(error), action="completion.folder-gone", recording=folder.id, code=error.code)
            return
        pause = self._again_later(folder)
        log.warning(
            str(error), action="completion.waits", recording=folder.id, code=error.code, seconds=pause
        )
        if pause >= LONG_PAUSE:
            self._conditions.begin_with(f"completion:{lane.pbx}", error)

    async def _give_up(self, folder: RecordingFolder, error: RecorderError, lane: _Lane) -> None:
        """A person has to act: with evidence that is not what it was, or with legs that give no recording."""
        log.error(str(error), action="completion.failed", recording=folder.id, code=error.code)
        self._conditions.begin_with(f"recording:{folder.id}", error, Severity.CRITICAL)
        try:
            await in_thread(lambda: self._fail(folder, error), f"fail-{folder.id}")
        except RecorderError as unwritten:
            await self._wait(folder, unwritten, lane)

    def _fail(self, folder: RecordingFolder, error: RecorderError) -> None:
        if isinstance(error, IntegrityError):
            # Sealed or half sealed: the state stays, so that nothing is ever sealed twice.
            folder.update(partial(noted_stuck, error=error))
            return
        folder.update(
            lambda now: (
                now.moved(State.FAILED, reason=str(error))
                if now.state in (State.CAPTURED, State.ASSEMBLED)
                else now
            )
        )

    def _again_later(self, folder: RecordingFolder) -> float:
        pause = self._pauses.get(folder.id, FIRST_PAUSE)
        self._pauses[folder.id] = min(pause * 2, LONGEST_PAUSE)

        self._put_off(folder, pause)
        return pause

    def _put_off(self, folder: RecordingFolder, seconds: float) -> None:
        def due() -> None:
            del self._timers[folder.id]
            self._intake.put_nowait(folder)

        self._timers[folder.id] = (asyncio.get_running_loop().call_later(seconds, due), folder)


def _loaded(folder: RecordingFolder) -> Recording:
    """Read where it is: a move to another spool folder waits meanwhile."""
    with folder.held():
        try:
            return folder.load()
        except RecorderError as error:
            if not disk_failed(error) and not _is_there(folder):
                raise _GoneError(str(error)) from error
            raise


def _is_there(folder: RecordingFolder) -> bool:
    try:
        return folder.path.exists()
    except OSError:
        return True
