"""Calls on several lines at once, that go on whatever fails, and remember what happened to them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.crash.calls import Spoken, Traffic
from tests.phones import Call

ROLLS_WITHIN = 12.0
"""Seconds. A recorder that is killed and started again finds a call it has missed within them."""


@dataclass
class Fate:
    """One call and what it met."""

    spoken: Spoken
    began: float
    rolled_at: float | None = None
    """Unix seconds at which both sides were being recorded, before anybody spoke."""
    cut_at: float | None = None
    """Unix seconds at which Asterisk was killed, with the call in it."""
    over: float | None = None
    work: asyncio.Task[None] | None = None

    @property
    def ends(self) -> list[Call]:
        return [end for end in (self.spoken.caller, self.spoken.callee) if end is not None]

    def met(self, moments: list[tuple[float, float]]) -> bool:
        """Whether one of these stretches of time fell into the call."""
        over = self.over or time.time()
        return any(since <= over and until >= self.began for since, until in moments)


@dataclass
class Lines:
    """`count` calls on `at_once` lines."""

    traffic: Traffic
    count: int
    at_once: int
    chance: random.Random
    fates: list[Fate] = field(default_factory=list)
    lame: list[tuple[float, float]] = field(default_factory=list)
    """When no recording could begin, by the clock: the disk was full, or Asterisk just born."""
    up: asyncio.Event = field(default_factory=asyncio.Event)
    """Asterisk takes calls."""
    numbers: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        self.up.set()
        self.numbers = iter(range(self.count))

    async def run(self) -> None:
        await asyncio.gather(*(self._line() for _ in range(self.at_once)))

    async def _line(self) -> None:
        for _ in self.numbers:
            await self.up.wait()
            work = asyncio.create_task(self._call())
            await asyncio.wait({work})
            if not work.cancelled():
                work.result()

    async def _call(self) -> None:
        fate = Fate(await self.traffic.place(), time.time(), work=asyncio.current_task())
        self.fates.append(fate)
        spoken = fate.spoken
        await self.traffic.ring(spoken)
        fate.rolled_at = await self._rolled(fate)
        await self.traffic.pick_up(spoken)
        await self.traffic.talk(spoken, self.chance.uniform(0.5, 4.0))
        await self.traffic.finish(spoken)
        fate.over = time.time()

    async def _rolled(self, fate: Fate) -> float | None:
        deadline = time.time() + ROLLS_WITHIN
        while not (rolling := self.traffic.is_rolling(fate.spoken)) and time.time() < deadline:
            await asyncio.sleep(0.05)
        assert rolling or fate.met(self.lame), f"the call from {fate.spoken.number} was never recorded"
        return time.time() if rolling else None

    def cut(self) -> None:
        """Asterisk is dead: no call in it goes on, and nobody says goodbye."""
        now = time.time()
        for fate in self.fates:
            if fate.over is None:
                fate.cut_at = fate.over = now
                for end in fate.ends:
                    end.end("cut")
                    end.forget()
                assert fate.work is not None
                fate.work.cancel()
