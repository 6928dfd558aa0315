"""The spool as the event loop sees it: saving in threads, and never in two places at once.

A disk that hangs is waited for once: then its spool folder is left out, other folders take its place, and
what hangs with it stays with its own recording (docs/explanation/crash-safety.md).
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog

from ..capture.commands import Save
from ..capture.events import CommandFailed, Event, Journalled
from ..disk import durable
from ..model.errors import RecorderError, TransientError
from ..model.recording import Recording
from ..spool.place import Place
from ..spool.places import Spools
from .conditions import Conditions
from .scribe import Scribe

log = structlog.get_logger()

WRITERS = 16
"""Threads that wait for the disk: as many calls can be journalled at once."""
MOST_HANGING = 4 * WRITERS
"""Threads that may be left to disks that hang; each of them gets at most `WRITERS`."""
POLLS = 1000
"""Polls that wait to be written: about a second of 500 calls."""

PATIENCE = 4.0
"""Seconds that the disk may take to write a journal; usual is 10 ms."""
KEY = "spool:hangs"
"""Of the condition, from the first journal that hangs until the last one has come to its end."""


def _hangs() -> TransientError:
    return TransientError(
        "spool.unusable",
        f"The spool's disk did not write a journal within {PATIENCE:.0f} s.",
        remedy="Check the disk (dmesg, mount). Asterisk records on; journals follow when it answers.",
    )


def _writers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(WRITERS, thread_name_prefix="journal")


def _unlimited(_recording: Recording) -> None:
    """There is room for everything."""


@dataclass(slots=True)
class _Writing:
    """A journal that is being written, in the thread of this number; 0 before it was begun."""

    recording: Recording
    thread: int = 0


class Journal:
    """Saves recordings durably while their calls run."""

    def __init__(
        self,
        spools: Spools,
        room: Callable[[Recording], None] = _unlimited,
        conditions: Conditions | None = None,
    ) -> None:
        """`room`, called in a thread, raises a RecorderError when a new recording must not begin; it touches
        no disk."""
        self._spools = spools
        self._room = room
        self._conditions = conditions or Conditions()
        self._writers = _writers()
        self._polls = Scribe("polls", POLLS)
        self._hanging: dict[str, Place | None] = {}
        """Recordings whose writing hangs, and on which spool folder; None where it is something else."""
        self._over: set[str] = set()
        """Those of them whose writing has come to its end, while others still hang on the same folder."""
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
        if recording.id in self._hanging or len(self._hanging) >= MOST_HANGING:
            raise _hangs()
        writing, pool = _Writing(recording), self._writers
        job = pool.submit(self._save, writing)
        answer = asyncio.wrap_future(job)
        done, _ = await asyncio.wait({answer}, timeout=PATIENCE)
        if done:
            return answer.result()
        if not job.cancel():  # it was begun, and not only waiting for a thread
            if job.done():
                return await answer
            self._leave_out(writing, pool, answer)
        raise _hangs()

    def _leave_out(self, writing: _Writing, pool: ThreadPoolExecutor, answer: asyncio.Future[None]) -> None:
        if pool is self._writers:
            # Its threads may all wait for that disk: what is written to another one gets others.
            pool.shutdown(wait=False)
            self._writers = _writers()
        place = self._spools.waits.leave_out(writing.thread)
        self._hanging[writing.recording.id] = place
        self._tell(place)
        answer.add_done_callback(partial(self._came_back, writing.recording.id))

    def _tell(self, place: Place | None) -> None:
        error = _hangs()
        about = f"The disk of the spool folder {place.root}" if place is not None else "A disk"
        goes_on = "No recording can be journalled"
        if any(one.ready for one in self._spools.places):
            goes_on = "Recordings begin in another one" if place is not None else "Other recordings go on"
        sentence = f"{about} did not write a journal within {PATIENCE:.0f} s. {goes_on}."
        self._conditions.begin(KEY, error.code, sentence, error.remedy)

    def _came_back(self, recording_id: str, answer: asyncio.Future[None]) -> None:
        if not answer.cancelled():
            answer.exception()  # it was told already that this one failed
        self._over.add(recording_id)
        place = self._hanging[recording_id]
        together = {recording_id}
        if place is not None:
            together = {own for own, other in self._hanging.items() if other is place}
        if not together <= self._over:
            return
        # Its own folder is in use again before it is written anew: else it might stand in two.
        if place is not None:
            place.answers()
        self._over -= together
        for own in together:
            del self._hanging[own]
        if self._hanging:
            self._tell(next(iter(self._hanging.values())))  # it may have named the one that is back
        else:
            self._conditions.end(KEY)

    def keep_poll(self, recording_id: str, sample: dict[str, Any]) -> None:
        """Append a poll of `rtp_statistics` (ALIGNMENT.md) or the time of an order; losing one to a crash is
        no harm, nor to a disk that hangs: they wait in one thread of their own, and in bounded number."""
        self._polls.put(partial(self._append, recording_id, sample))

    def close(self) -> None:
        """Waits for what is being written, but not for what hangs."""
        self._polls.close(0.0 if self._hanging else PATIENCE)
        self._writers.shutdown(wait=not self._hanging)

    def _save(self, writing: _Writing) -> None:
        writing.thread, recording = threading.get_ident(), writing.recording
        # A failing disk may answer even the question whether a folder is there with an error.
        with durable.explained(f"Journalling {recording.id}"):
            folder = self._spools.get(recording.id)
            if folder is None:
                self._room(recording)
                self._spools.create(recording)
            else:
                folder.save(recording)

    def _append(self, recording_id: str, sample: dict[str, Any]) -> None:
        folder = self._spools.get(recording_id)
        if folder is None:
            return
        try:
            with folder.rtp.open("a", encoding="ascii") as stream:
                stream.write(json.dumps(sample) + "\n")
        except OSError as error:
            log.warning(str(error), action="journal.poll-lost", recording=recording_id)
