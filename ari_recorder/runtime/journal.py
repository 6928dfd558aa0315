"""The spool as the event loop sees it: saving in threads, and never in two places at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import structlog

from ..capture.commands import Save
from ..capture.events import CommandFailed, Event, Journalled
from ..disk import durable
from ..model.errors import RecorderError, TransientError
from ..model.recording import Recording
from ..spool.folders import Spool

log = structlog.get_logger()

WRITERS = 16
"""Threads that wait for the disk: as many calls can be journalled at once."""


def _nothing() -> None:
    """An errand that shows that a thread is free."""


PATIENCE = 4.0
"""Seconds that the disk may take to write a journal; usual is 10 ms."""


def _hangs() -> TransientError:
    return TransientError(
        "spool.unusable",
        f"The spool's disk did not write a journal within {PATIENCE:.0f} s.",
        remedy="Check the disk (dmesg, mount). Asterisk records on; journals follow when it answers.",
    )


def _unlimited(_recording: Recording) -> None:
    """There is room for everything."""


class Journal:
    """Saves recordings durably while their calls run."""

    def __init__(self, spool: Spool, room: Callable[[Recording], None] = _unlimited) -> None:
        """`room` raises a RecorderError when a new recording must not begin; it may block."""
        self._spool = spool
        self._room = room
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="journal")
        self._hanging: set[asyncio.Future[None]] = set()
        self._failing: set[str] = set()
        """Recordings whose last journalling failed."""

    async def save(self, recording: Recording) -> bool:
        """Durable when it returns True. A failure is logged and False: the call goes on regardless."""
        written = await self.write(recording) is None
        if written:
            self._failing.discard(recording.id)
        return written

    async def write(self, recording: Recording) -> RecorderError | None:
        """Durable when it returns None; else why not, within PATIENCE seconds."""
        try:
            await self._written(recording)
        except RecorderError as error:
            # It is tried every few seconds: said once, until it works again.
            say = log.debug if recording.id in self._failing else log.error
            say(str(error), action="journal.failed", recording=recording.id, code=error.code)
            self._failing.add(recording.id)
            return error
        return None

    async def told(self, recording: Recording) -> list[Event]:
        """Write, and say what its session has to know: that it failed, or that it works again."""
        error = await self.write(recording)
        at = datetime.now(UTC)
        if error is not None:
            return [CommandFailed(at, Save(recording), error.code, error.sentence)]
        if recording.id not in self._failing:
            return []
        self._failing.discard(recording.id)
        return [Journalled(at, f"{recording.id}.journal")]

    async def _written(self, recording: Recording) -> None:
        # What hangs may come to its end at any time later: until then nothing is written past it.
        if self._hanging:
            raise _hangs()
        writing = asyncio.get_running_loop().run_in_executor(self._writers, self._save, recording)
        done, _ = await asyncio.wait({writing}, timeout=PATIENCE)
        if done:
            return writing.result()
        self._hanging.add(writing)
        writing.add_done_callback(self._came_back)
        raise _hangs()

    def _came_back(self, writing: asyncio.Future[None]) -> None:
        self._hanging.discard(writing)
        if not writing.cancelled():
            writing.exception()  # it was told already that this one failed

    def keep_poll(self, recording_id: str, sample: dict[str, Any]) -> None:
        """Append a poll of `rtp_statistics` or the time of an order; losing one to a crash is no harm."""
        if not self._hanging:
            self._writers.submit(self._append, recording_id, sample)

    def ask(self) -> Future[None]:
        """Done when one of the threads had time for it: never, when all of them hang on a disk."""
        return self._writers.submit(_nothing)

    def close(self) -> None:
        self._writers.shutdown(wait=True)

    def _save(self, recording: Recording) -> None:
        # A failing disk may answer even the question whether a folder is there with an error.
        with durable.explained(f"Journalling {recording.id}"):
            folder = self._spool.get(recording.id)
            if folder is None:
                self._room(recording)
                self._spool.create(recording)
            else:
                folder.save(recording)

    def _append(self, recording_id: str, sample: dict[str, Any]) -> None:
        folder = self._spool.get(recording_id)
        if folder is None:
            return
        try:
            with folder.rtp.open("a", encoding="ascii") as stream:
                stream.write(json.dumps(sample) + "\n")
        except OSError as error:
            log.warning(str(error), action="journal.poll-lost", recording=recording_id)
