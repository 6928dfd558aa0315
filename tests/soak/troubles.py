"""What goes wrong, again and again, in random order."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
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
    busy: bool = False
    """Something is away just now."""

    async def run(self) -> None:
        """Until cancelled, which leaves everything running; each kind comes before any comes again."""
        while True:
            order = list(KINDS)
            self.chance.shuffle(order)
            for trouble in order:
                await asyncio.sleep(self.chance.uniform(0.2, 2.0))
                await asyncio.shield(self._meet(trouble))

    async def _meet(self, trouble: Trouble) -> None:
        self.busy = True
        try:
            await trouble(self)
        finally:
            self.busy = False
        self.met[trouble.__name__] += 1

    def pause(self) -> Awaitable[None]:
        """A while, for as long as something is away."""
        return asyncio.sleep(self.chance.uniform(0.2, 3.0))

    async def recorder_killed(self) -> None:
        self.ground.recorder.kill()
        await asyncio.to_thread(self.ground.recorder.start, connected=False)

    async def asterisk_killed(self) -> None:
        began = time.time()
        self.lines.up.clear()
        await asyncio.to_thread(self.ground.pbx.kill)
        self.lines.cut()
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


KINDS: tuple[Trouble, ...] = (
    Troubles.recorder_killed,
    Troubles.asterisk_killed,
    Troubles.disk_full,
    Troubles.sftp_killed,
    Troubles.samba_killed,
    Troubles.samba_frozen,
    Troubles.graph_frozen,
    Troubles.archive_away,
)
