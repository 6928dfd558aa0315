"""While a PBX gives no sign: is it dead, and what it recorded to be sealed as cut off?

Asterisk writes a leg at least every 2 s while it records, silence too (ASTERISK.md, "Files"). When it answers
nobody and none of the running legs grows for long, it is taken for dead. Should it wake up again, what goes
on there is recorded anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from ..model.recording import Recording

LOOK_EVERY = 5.0
"""Seconds, or a quarter of the patience where that is less."""


class Salvage:
    """Watches the legs of one PBX in `folder`, None where it cannot see them: then it never gives up hope."""

    def __init__(
        self,
        folder: Path | None,
        patience: float,
        running: Callable[[], Iterable[Recording]],
        presume_dead: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._patience = patience
        self._running = running
        self._presume_dead = presume_dead
        self._watch: asyncio.Task[None] | None = None

    def lost(self, tasks: asyncio.TaskGroup) -> None:
        """The connection is gone; harmless when that is known."""
        if self._folder is not None and (self._watch is None or self._watch.done()):
            self._watch = tasks.create_task(self._wait(self._folder), name="salvage")

    def found(self) -> None:
        """It is back."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _wait(self, folder: Path) -> None:
        lost_at = datetime.now(UTC)
        while True:
            await asyncio.sleep(min(LOOK_EVERY, self._patience / 4))
            grown = await asyncio.to_thread(last_growth, folder, list(self._running()))
            silent = datetime.now(UTC) - max(lost_at, grown or lost_at)
            if silent.total_seconds() >= self._patience:
                self._presume_dead()
                return


def last_growth(folder: Path, recordings: Iterable[Recording]) -> datetime | None:
    """When Asterisk last wrote to a leg of these recordings; None when there is none."""
    times = [
        path.stat().st_mtime
        for recording in recordings
        for path in (folder / "ari-recorder" / recording.id).glob("*")
    ]
    return datetime.fromtimestamp(max(times), UTC) if times else None
