"""Brings sealed recordings to their targets and removes the local copy when all have confirmed.

Every target has its own lane: one that hangs or fails delays no other. What was under way when the process
ended is taken up again by submitting the folder once more: a target adopts what it already holds.
"""

from __future__ import annotations

import asyncio
import random as chance
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from ..model.delivery import DeliveryState
from ..model.errors import ConfigError, RecorderError
from ..model.recording import Recording, State
from ..targets.base import Target
from .attempt import DELIVERABLE, Terms, blocked_without_target, discard, no_certificate, utc_now
from .folders import RecordingFolder
from .lane import Health, Lane, in_thread
from .retry import Pauses

CLOSING = 5.0
"""Seconds that all targets together get to let go of their connections."""

log = structlog.get_logger(__name__)


def _ignore(_recording: Recording) -> None:
    """For those who do not want to know of changes."""


class Deliverer:
    """The delivery side of one spool. All methods are called on the event loop, and none of them blocks.

    `certificate` names the file of a sealing certificate by its `Sealed.certificate_sha256`, or None.
    `on_change` is called on the event loop with each recording whose deliveries have changed, as journalled;
    with state DELIVERED it is the last call for it, and its folder is gone.
    A recording whose setting names no target stays as it is, sealed, in the spool.
    """

    def __init__(
        self,
        targets: Mapping[str, Target],
        *,
        certificate: Callable[[str], Path | None] = no_certificate,
        on_change: Callable[[Recording], None] = _ignore,
        clock: Callable[[], datetime] = utc_now,
        random: Callable[[], float] = chance.random,
        pauses: Pauses | None = None,
        at_once: int = 2,
    ) -> None:
        self._terms = Terms(certificate, clock, random, pauses or Pauses())
        self._on_change = on_change
        self._lanes = {
            name: Lane(target, self._terms, at_once=at_once, on_change=on_change)
            for name, target in targets.items()
        }
        self._intake: asyncio.Queue[RecordingFolder] = asyncio.Queue()
        self._stop = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    def submit(self, folder: RecordingFolder) -> None:
        """Take over a recording. Cheap, and harmless for one that is not sealed or is submitted already:
        at start every folder of the spool may be handed in."""
        self._intake.put_nowait(folder)

    def health(self) -> tuple[Health, ...]:
        """How each target does."""
        return tuple(lane.health() for lane in self._lanes.values())

    async def run(self) -> None:
        """Deliver until `close()`, or until cancelled; after that nothing more is written to the spool."""
        self._work = asyncio.create_task(self._deliver(), name="delivery")
        try:
            await asyncio.shield(self._work)
        except asyncio.CancelledError:
            if self._stop.is_set() and self._work.cancelled():
                return  # close() lost patience with what was under way
            self._terms.abandoned.set()
            self._work.cancel()
            raise

    async def close(self, seconds: float = 10.0) -> None:
        """Take no new work, give what is under way `seconds`, then let go of it and of the targets.

        What is let go of writes nothing more to the spool; the next start takes it up again.
        """
        self._stop.set()
        for lane in self._lanes.values():
            lane.stop()
        if self._work is not None:
            await asyncio.wait({self._work}, timeout=seconds)
        self._terms.abandoned.set()
        closing = {
            asyncio.create_task(in_thread(lane.target.close, f"close-{name}"))
            for name, lane in self._lanes.items()
        }
        if closing:
            await asyncio.wait(closing, timeout=CLOSING)
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})

    async def _deliver(self) -> None:
        async with asyncio.TaskGroup() as group:
            intake = group.create_task(self._take_in(), name="delivery intake")
            for name, lane in self._lanes.items():
                group.create_task(lane.run(), name=f"delivery to {name}")
            await self._stop.wait()
            intake.cancel()

    async def _take_in(self) -> None:
        while True:
            folder = await self._intake.get()
            recording = await in_thread(partial(self._admit, folder), "delivery-intake")
            if recording is not None:
                self._queue(folder, recording)

    def _queue(self, folder: RecordingFolder, recording: Recording) -> None:
        for name in dict.fromkeys(recording.setting.targets):
            delivery = recording.delivery(name)
            if delivery is not None and delivery.state is DeliveryState.DELIVERED:
                continue
            if name in self._lanes:
                self._lanes[name].add(folder, recording)
            else:
                log.warning("No such target", action="delivery.no-target", recording=folder.id, target=name)
                self._on_change(recording)

    def _admit(self, folder: RecordingFolder) -> Recording | None:
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
            log.error(error.sentence, action="delivery.intake", recording=folder.id, code=error.code)
        except Exception:  # one odd journal must not stop all the others
            log.exception("A recording cannot be taken in", action="delivery.intake", recording=folder.id)
        return None


def _without_targets(recording: Recording, missing: Iterable[str]) -> Recording:
    for name in missing:
        error = ConfigError(
            "config.reference",
            f'The setting "{recording.setting.name}" names the target "{name}", which is not in the policy.',
            remedy="Define the target again under this name and restart; the recording waits for it.",
        )
        recording = blocked_without_target(recording, name, error)
    return recording
