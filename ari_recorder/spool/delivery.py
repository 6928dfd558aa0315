"""Brings sealed recordings to their targets and removes the local copy when all have confirmed.

Every target has its own lane: one that hangs or fails delays no other. What was under way when the process
ended is taken up again by submitting the folder once more: a target adopts what it already holds.
"""

from __future__ import annotations

import asyncio
import random as chance
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from ..config.targets.limits import Limits
from ..model.delivery import DeliveryState
from ..model.errors import ConfigError, RecorderError
from ..model.recording import Recording, State
from ..targets.base import Target
from .attempt import DELIVERABLE, Terms, blocked_without_target, discard, no_certificate, utc_now
from .folders import RecordingFolder, disk_failed
from .lane import HANGING, Ears, Health, Lane, in_thread, nowhere, unheard
from .patience import DISK, LateError, in_time
from .retry import Pauses
from .under_way import UnderWay

CLOSING = 5.0
"""Seconds that all targets together get to let go of their connections."""
RETIRING = 30.0
"""Seconds that what is under way gets to end when its target was changed or taken away."""
BATCH = 16
"""Journals read at a time by the intake."""
SHARE = 0.5
"""Of the time, at most, that the intake spends on reading a backlog: calls that are recorded come first."""

AGAIN = 60.0
"""Seconds after which what a failing disk did not let the intake read is read again."""

log = structlog.get_logger(__name__)

Admitted = Recording | RecorderError
Asked = tuple[Collection[str] | None, Collection[str] | None]
"""Recordings and targets; None: all."""


@dataclass(slots=True)
class _Batch:
    """Folders that one thread reads, in their order; what it found of them."""

    folders: list[RecordingFolder]
    found: list[tuple[RecordingFolder, Admitted]] = field(default_factory=list)
    again: list[RecordingFolder] = field(default_factory=list)
    """What may be readable later."""
    read: int = 0
    """How many are done with."""
    left: bool = False
    """Nobody waits for it any more: it begins with no other."""


def _ignore(_recording: Recording) -> None:
    """For those who do not want to know of changes."""


def _left_alone(_folder: RecordingFolder, _error: RecorderError) -> None:
    """For those who do not want to know of damage; it is logged anyway."""


class Deliverer:
    """The delivery side of one spool. All methods are called on the event loop, and none of them blocks.

    `limits` holds for the targets it names. `certificate` names the file of a sealing certificate by its
    `Sealed.certificate_sha256`, or None. `find` tells where a recording is whose folder has moved.
    `on_change` is called on the event loop with each recording whose deliveries have changed, as journalled;
    with state DELIVERED it is the last call for it, and its folder is gone. `on_health` is called with how a
    target does, whenever that is news, and `on_damaged` with what cannot be read and is left as it is.
    A recording whose setting names no target stays as it is, sealed, in the spool.
    """

    def __init__(
        self,
        targets: Mapping[str, Target],
        *,
        limits: Mapping[str, Limits] | None = None,
        certificate: Callable[[str], Path | None] = no_certificate,
        find: Callable[[str], RecordingFolder | None] = nowhere,
        on_change: Callable[[Recording], None] = _ignore,
        on_health: Callable[[Health], None] = unheard,
        on_damaged: Callable[[RecordingFolder, RecorderError], None] = _left_alone,
        clock: Callable[[], datetime] = utc_now,
        random: Callable[[], float] = chance.random,
        pauses: Pauses | None = None,
        under_way: UnderWay | None = None,
    ) -> None:
        self._under_way = under_way or UnderWay()
        self._terms = Terms(certificate, clock, random, pauses or Pauses(), self._under_way)
        self._ears = Ears(on_change, on_health, find)
        self._on_damaged = on_damaged
        self._lanes: dict[str, Lane] = {}
        self._retiring: set[Lane] = set()
        self._intake: asyncio.Queue[RecordingFolder] = asyncio.Queue()
        self._reading = False
        self._asked: list[Asked] = []
        """What was to be tried at once while the intake had not read everything yet."""
        self._stop = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        for name, target in targets.items():
            self._lanes[name] = Lane(target, self._terms, self._ears, (limits or {}).get(name))

    def submit(self, folder: RecordingFolder) -> None:
        """Take over a recording. Cheap, and harmless for one that is not sealed or is submitted already:
        at start every folder of the spool may be handed in."""
        self._intake.put_nowait(folder)

    def health(self) -> tuple[Health, ...]:
        """How each target does."""
        return tuple(lane.health() for lane in self._lanes.values())

    def hung(self) -> dict[str, str]:
        """Recordings that stand still in a target, and its name; also one that is not in use any more."""
        return {upload.recording: upload.target.name for upload in self._under_way.hung()}

    def retry(self, recordings: Collection[str] | None = None, targets: Collection[str] | None = None) -> int:
        """Let what waits for its next try be due now: these recordings, at these targets (None: all).

        How many deliveries that are; what the intake has still to read is not counted, but due as well.
        """
        if self._reading or not self._intake.empty():
            self._asked.append((recordings, targets))
        lanes = (lane for name, lane in self._lanes.items() if targets is None or name in targets)
        return sum(lane.retry(recordings) for lane in lanes)

    # -- targets that come, change and go ------------------------------------------------------------------

    def put_in(self, target: Target, limits: Limits | None = None) -> None:
        """Use a target that is new or has changed. What waits for it is due now; what is under way is
        finished with the old one, or left by it after RETIRING seconds.

        Recordings that were blocked because there was no such target have to be submitted again.
        """
        lane = Lane(target, self._terms, self._ears, limits)
        old = self._lanes.get(target.name)
        self._lanes[target.name] = lane
        if old is not None:
            for folder in old.take():
                lane.add_now(folder)
            self._retire(old)
        if self._tasks is not None:
            self._tasks.create_task(lane.run(), name=f"delivery to {target.name}")

    def take_out(self, name: str) -> None:
        """Use a target no more. What waits for it is journalled as blocked, with a sentence."""
        if (old := self._lanes.pop(name, None)) is not None:
            waiting = old.take()
            self._retire(old)
            for folder in waiting:
                self.submit(folder)

    def _retire(self, lane: Lane) -> None:
        lane.stop()
        if self._tasks is None:
            return
        self._retiring.add(lane)
        self._tasks.create_task(self._let_go(lane), name=f"end of delivery to {lane.target.name}")

    async def _let_go(self, lane: Lane) -> None:
        """What a target had under way when it was exchanged is not given to its successor before its end."""
        await lane.ended(RETIRING)
        left = (*lane.unfinished(), *lane.take())
        lane.abandon()
        self._retiring.discard(lane)
        for folder in left:
            if (successor := self._lanes.get(lane.target.name)) is not None:
                successor.add_now(folder)
            else:
                self.submit(folder)
        await self._close_targets([lane])

    # -- running -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver until `close()`, or until cancelled; after that nothing more is written to the spool."""
        self._work = asyncio.create_task(self._deliver(), name="delivery")
        try:
            await asyncio.shield(self._work)
        except asyncio.CancelledError:
            if self._stop.is_set() and self._work.cancelled():
                return  # close() lost patience with what was under way
            self._abandon()
            self._work.cancel()
            raise

    async def close(self, seconds: float = 10.0) -> None:
        """Take no new work, give what is under way `seconds`, then let go of it and of the targets.

        What is let go of writes nothing more to the spool; the next start takes it up again.
        """
        self._stop.set()
        lanes = [*self._lanes.values(), *self._retiring]
        for lane in lanes:
            lane.stop()
        if self._work is not None:
            await asyncio.wait({self._work}, timeout=seconds)
        self._abandon()
        await self._close_targets(lanes)
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})

    def _abandon(self) -> None:
        self._terms.abandoned.set()
        for lane in (*self._lanes.values(), *self._retiring):
            lane.abandon()

    async def _close_targets(self, lanes: Collection[Lane]) -> None:
        closing = {
            asyncio.create_task(in_thread(lane.target.close, f"close-{lane.target.name}")) for lane in lanes
        }
        if closing:
            await asyncio.wait(closing, timeout=CLOSING)

    async def _deliver(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._tasks = group
            intake = group.create_task(self._take_in(), name="delivery intake")
            for name, lane in self._lanes.items():
                group.create_task(lane.run(), name=f"delivery to {name}")
            await self._stop.wait()
            self._tasks = None
            intake.cancel()

    # -- the intake --------------------------------------------------------------------------------------

    async def _take_in(self) -> None:
        while True:
            folders = [await self._intake.get()]
            while len(folders) < BATCH and not self._intake.empty():
                folders.append(self._intake.get_nowait())
            begun, self._reading = time.monotonic(), True
            await self._read(folders)
            self._reading = False
            if self._intake.empty():
                self._asked.clear()
            else:
                await asyncio.sleep((time.monotonic() - begun) * (1 / SHARE - 1))

    async def _read(self, folders: list[RecordingFolder]) -> None:
        """Waits for no disk longer than `patience.DISK`, nor for one that is known to hang."""
        hanging = {folder for folder in folders if folder.hangs}
        for folder in hanging:
            asyncio.get_running_loop().call_later(HANGING, self.submit, folder)
        batch = _Batch([folder for folder in folders if folder not in hanging])
        if not batch.folders:
            return
        stuck: list[RecordingFolder] = []

        def late() -> None:
            for folder in stuck:
                self.submit(folder)

        try:
            await in_time(partial(self._admit_all, batch), "delivery-intake", DISK, late)
        except LateError:
            # Its thread waits for one of them; those after it are read by another.
            batch.left, read = True, batch.read
            stuck += batch.folders[read : read + 1]
            for folder in stuck:
                log.error("The spool does not answer", action="delivery.intake-hangs", recording=folder.id)
            for folder in batch.folders[read + 1 :]:
                self.submit(folder)
        self._take(batch)

    def _take(self, batch: _Batch) -> None:
        for folder, found in list(batch.found):
            if isinstance(found, Recording):
                self._queue(folder, found)
            else:
                self._on_damaged(folder, found)
        for folder in list(batch.again):
            asyncio.get_running_loop().call_later(AGAIN, self.submit, folder)

    def _queue(self, folder: RecordingFolder, recording: Recording) -> None:
        for name in dict.fromkeys(recording.setting.targets):
            delivery = recording.delivery(name)
            if delivery is not None and delivery.state is DeliveryState.DELIVERED:
                continue
            if any(lane.target.name == name and lane.holds(folder.id) for lane in self._retiring):
                continue  # handed over when it has ended there
            if name in self._lanes and self._asked_for(folder.id, name):
                self._lanes[name].add_now(folder)
            elif name in self._lanes:
                self._lanes[name].add(folder, recording)
            else:
                log.warning("No such target", action="delivery.no-target", recording=folder.id, target=name)
                self._ears.change(recording)

    def _asked_for(self, recording_id: str, target: str) -> bool:
        return any(
            (recordings is None or recording_id in recordings) and (targets is None or target in targets)
            for recordings, targets in self._asked
        )

    def _admit_all(self, batch: _Batch) -> None:
        for folder in batch.folders:
            if batch.left:
                return
            try:
                here = folder if folder.path.exists() else self._ears.find(folder.id)
                # When it is nowhere it was delivered meanwhile, or moved to another recorder.
                if here is not None and (admitted := self._admit(here, batch.again)) is not None:
                    batch.found.append((here, admitted))
            except OSError as error:
                log.error(str(error), action="delivery.intake", recording=folder.id)
                batch.again.append(folder)
            batch.read += 1

    def _admit(self, folder: RecordingFolder, again: list[RecordingFolder]) -> Admitted | None:
        """The recording when there is something to deliver; what cannot be read is passed over. Blocks."""
        try:
            recording = folder.load()
            if recording.state is State.DELIVERED:
                discard(folder)
                return None
            if recording.state not in DELIVERABLE:
                return None
            missing = [name for name in recording.setting.targets if name not in self._lanes]
            return folder.update(partial(_without_targets, missing=missing)) if missing else recording
        except RecorderError as error:
            damaged = error.code == "spool.damaged"
            if disk_failed(error) or not damaged:
                again.append(folder)
            action = "spool.damaged" if damaged else "delivery.intake"
            log.error(error.sentence, action=action, recording=folder.id, code=error.code)
            return error if damaged else None
        except Exception:  # one odd journal must not stop all the others
            log.exception("A recording cannot be taken in", action="delivery.intake", recording=folder.id)
        return None


def _without_targets(recording: Recording, missing: Iterable[str]) -> Recording:
    for name in missing:
        error = ConfigError(
            "config.reference",
            f'The setting "{recording.setting.name}" names the target "{name}", which is not in the policy.',
            remedy="Define the target under this name and send the recorder SIGHUP; the recording waits.",
        )
        recording = blocked_without_target(recording, name, error)
    return recording
