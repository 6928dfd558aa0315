"""What goes wrong, again and again, in random order."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from .ground import Ground
from .traffic import Lines

Trouble = Callable[["Troubles"], Awaitable[None]]
SETTLING = 3.0
"""Seconds after the end of a trouble in which a call may still suffer from it."""


@dataclass
class Troubles:
    ground: Ground
    lines: Lines
    chance: random.Random
    met: Counter[str] = field(default_factory=Counter)
    """How often each trouble came."""
    busy: int = 0
    """How many things are away just now."""

    async def run(self) -> None:
        """Until cancelled, which leaves everything running.

        Two things are away at a time, one of each list, so that a recorder dies on a full disk, and targets
        freeze while Asterisk is dead.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._in_random_order(HERE, longest=8.0))
            tasks.create_task(self._in_random_order(THERE, longest=2.0))

    async def _in_random_order(self, kinds: Sequence[Trouble], longest: float) -> None:
        """Each kind comes before any comes again, with up to so many seconds in between."""
        while True:
            order = list(kinds)
            self.chance.shuffle(order)
            for trouble in order:
                await asyncio.sleep(self.chance.uniform(0.2, longest))
                await asyncio.shield(self._meet(trouble))

    async def _meet(self, trouble: Trouble) -> None:
        self.busy += 1
        try:
            await trouble(self)
        finally:
            self.busy -= 1
        self.met[trouble.__name__] += 1

    def pause(self) -> Awaitable[None]:
        """A while, for as long as something is away."""
        return asyncio.sleep(self.chance.uniform(0.2, 3.0))

    async def recorder_killed(self) -> None:
        self.ground.recorder.kill()
        await asyncio.to_thread(self.ground.recorder.start, connected=False)

    async def both_killed(self) -> None:
        """As when the machine of both loses its power."""
        self.ground.recorder.kill()
        await self.asterisk_killed()

    async def asterisk_killed(self) -> None:
        began = time.time()
        self.lines.up.clear()
        await asyncio.to_thread(self.ground.pbx.kill)
        self.lines.cut()
        if not self.ground.recorder.running:
            await asyncio.to_thread(self.ground.recorder.start, connected=False)
        await asyncio.to_thread(self.ground.pbx.start)
        for phone in self.ground.stage.phones.values():
            await phone.register()
        await self.ground.stage.until("the PBX's connection", lambda: self.ground.recorder.connected)
        self.lines.lame.append((began, time.time() + SETTLING))
        self.lines.up.set()

    async def disk_full(self) -> None:
        stretch = (time.time(), float("inf"))
        self.lines.lame.append(stretch)
        with self.ground.full_disk():
            await self.pause()
        self.lines.lame.remove(stretch)
        self.lines.lame.append((stretch[0], time.time() + SETTLING))

    async def sftp_killed(self) -> None:
        await asyncio.to_thread(self.ground.sftp.kill)
        await self.pause()
        await asyncio.to_thread(self.ground.sftp.start)

    async def samba_killed(self) -> None:
        await asyncio.to_thread(self.ground.samba.kill)
        await self.pause()
        await asyncio.to_thread(self.ground.samba.start)

    async def samba_frozen(self) -> None:
        await asyncio.to_thread(self.ground.samba.freeze)
        await self.pause()
        await asyncio.to_thread(self.ground.samba.thaw)

    async def graph_frozen(self) -> None:
        self.ground.graph.freeze()
        await self.pause()
        self.ground.graph.thaw()

    async def archive_away(self) -> None:
        with self.ground.archive_gone():
            await self.pause()


HERE: tuple[Trouble, ...] = (
    *(4 * (Troubles.recorder_killed,)),
    Troubles.asterisk_killed,
    Troubles.both_killed,
)
"""On the PBX. A call must have the time to be more than cut off."""
THERE: tuple[Trouble, ...] = (
    Troubles.disk_full,
    Troubles.sftp_killed,
    Troubles.samba_killed,
    Troubles.samba_frozen,
    Troubles.graph_frozen,
    Troubles.archive_away,
)
"""Under the spool and at the targets."""
KINDS = (*HERE, *THERE)
