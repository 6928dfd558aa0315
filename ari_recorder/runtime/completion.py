"""Brings captured recordings through the pipeline, a few at a time, and hands them to delivery.

Which failure means what: a transient one (disk full, Asterisk's folder not mounted), a mistake in the
configuration and any trouble with the spool itself leave the recording where it is, and it is tried again;
any other ends in FAILED with its reason, the raw legs kept for a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from ..model.errors import ConfigError, IntegrityError, RecorderError, TransientError
from ..model.recording import Recording, State
from ..pipeline import Pipeline
from ..spool.folders import RecordingFolder
from ..spool.lane import in_thread

log = structlog.get_logger()

AT_ONCE = 2
"""Assemblies side by side: each keeps a core busy."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
"""Seconds before a step that failed for the moment is tried again; doubling."""


class Completion:
    """All methods are called on the event loop; the pipeline blocks in threads."""

    def __init__(self, pipeline: Pipeline, on_sealed: Callable[[RecordingFolder], None]) -> None:
        self._pipeline = pipeline
        self._on_sealed = on_sealed
        self._queue: asyncio.Queue[RecordingFolder] = asyncio.Queue()
        self._pauses: dict[str, float] = {}
        self._steps: set[asyncio.Task[None]] = set()
        self._closing = False

    def submit(self, folder: RecordingFolder) -> None:
        """Take a recording whose call is over; harmless for one that needs nothing."""
        self._queue.put_nowait(folder)

    async def run(self) -> None:
        """Until cancelled; call `close` before."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(AT_ONCE):
                tasks.create_task(self._work(), name=f"completion-{number}")

    async def close(self, seconds: float) -> None:
        """Begin no step any more and give those under way `seconds`; the next start does the rest.

        A step that takes longer ends with the process, which is no worse than a kill.
        """
        self._closing = True
        if self._steps:
            await asyncio.wait(self._steps, timeout=seconds)

    async def _work(self) -> None:
        while True:
            folder = await self._queue.get()
            if self._closing:
                continue
            step = asyncio.create_task(self._try(folder), name=f"complete-{folder.id}")
            self._steps.add(step)
            step.add_done_callback(self._steps.discard)
            await asyncio.wait({step})

    async def _try(self, folder: RecordingFolder) -> None:
        try:
            await self._complete(folder)
        except Exception:
            log.exception(
                "A recording could not be completed", action="completion.defect", recording=folder.id
            )
            self._again_later(folder)

    async def _complete(self, folder: RecordingFolder) -> None:
        try:
            recording = await in_thread(lambda: self._advance(folder), f"complete-{folder.id}")
        except RecorderError as error:
            if isinstance(error, TransientError | ConfigError) or error.code.startswith("spool."):
                self._wait(folder, error)
            else:
                await self._give_up(folder, error)
            return
        self._pauses.pop(folder.id, None)
        if recording is not None and recording.state is State.SEALED:
            link = recording.sealed.link.number if recording.sealed else None
            log.info("Sealed", action="recording.sealed", recording=folder.id, link=link)
            self._on_sealed(folder)

    def _advance(self, folder: RecordingFolder) -> Recording | None:
        with folder.held():
            return self._advance_here(folder)

    def _advance_here(self, folder: RecordingFolder) -> Recording | None:
        recording = folder.load()
        if recording.state is State.REFUSED:
            self._pipeline.discard(recording)
            folder.remove()
            return None
        return self._pipeline.advance(folder, may_begin=lambda: not self._closing)

    def _wait(self, folder: RecordingFolder, error: RecorderError) -> None:
        if not folder.path.exists():
            log.error(str(error), action="completion.folder-gone", recording=folder.id, code=error.code)
            return
        pause = self._again_later(folder)
        log.warning(
            str(error), action="completion.waits", recording=folder.id, code=error.code, seconds=pause
        )

    async def _give_up(self, folder: RecordingFolder, error: RecorderError) -> None:
        try:
            await in_thread(lambda: self._fail(folder, error), f"fail-{folder.id}")
        except RecorderError as unwritten:
            self._wait(folder, unwritten)
        log.error(str(error), action="completion.failed", recording=folder.id, code=error.code)

    def _fail(self, folder: RecordingFolder, error: RecorderError) -> None:
        if isinstance(error, IntegrityError):
            # Sealed or half sealed: the state stays, so that nothing is ever sealed twice.
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
        asyncio.get_running_loop().call_later(pause, self._queue.put_nowait, folder)
        return pause
