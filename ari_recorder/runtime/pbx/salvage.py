"""While a PBX gives no sign: is it dead, and what it recorded to be sealed as cut off?

Asterisk writes a leg at least every 2 s while it records, silence too (ASTERISK.md, "Files"). When it answers
nobody and none of the running legs grows for long, it is taken for dead. Should it wake up again, what goes
on there is recorded anew. No clock on a wall counts: it may be set, and that of the files may be the PBX's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from ...model.recording import Recording
from ...spool.lane import in_thread

LOOK_EVERY = 5.0
"""Seconds, or a quarter of the patience where that is less."""

Traces = frozenset[tuple[str, int, int]]
"""Path, size and time of the last change of each leg."""


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
        clock = asyncio.get_running_loop().time
        alive_at, before = clock(), await self._seen(folder)
        while True:
            await asyncio.sleep(min(LOOK_EVERY, self._patience / 4))
            now = await self._seen(folder)
            # Where the folder is out of reach as well, it may be the network alone; nothing could be sealed.
            if now is None or (before is not None and now - before):
                alive_at = clock()
            before = now
            if clock() - alive_at >= self._patience:
                self._presume_dead()
                return

    async def _seen(self, folder: Path) -> Traces | None:
        """None while they cannot be seen. In a thread of its own: what is mounted from a dead host hangs."""
        running = list(self._running())
        try:
            return await in_thread(lambda: traces(folder, running), "salvage")
        except OSError:
            return None


def traces(folder: Path, recordings: Iterable[Recording]) -> Traces:
    """What Asterisk has written of these recordings so far; OSError where that cannot be seen."""
    legs = folder / "ari-recorder"
    legs.stat()  # Asterisk makes it with the first leg: without it the folder is not mounted
    found = set()
    for recording in recordings:
        for path in (legs / recording.id).glob("*"):
            facts = path.stat()
            found.add((str(path), facts.st_size, facts.st_mtime_ns))
    return frozenset(found)
