"""The soak itself, short or long."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.progress import Progress
from tests.crash.calls import Traffic

from .account import account
from .ground import Ground, ground
from .traffic import Lines
from .troubles import Troubles

PATIENCE = 180.0
"""Seconds in which everything must be delivered once nothing fails any more."""


@dataclass(frozen=True)
class Plan:
    calls: int
    at_once: int
    seed: str


@dataclass(frozen=True)
class Outcome:
    ends: Counter[str]
    """How many calls ended how."""
    troubles: Counter[str]


async def soak(pbx: Pbx, folder: Path, plan: Plan, progress: Progress) -> Outcome:
    """AssertionError when anything is lost, doubled or damaged."""
    progress(f"soak of {plan.calls} calls on {plan.at_once} lines, seed {plan.seed}")
    async with ground(pbx, folder) as place:
        traffic = await Traffic(place.stage).open()
        lines = Lines(traffic, plan.calls, plan.at_once, random.Random(f"{plan.seed}/calls"))
        troubles = Troubles(place, lines, random.Random(f"{plan.seed}/troubles"))
        trouble = asyncio.create_task(troubles.run())
        telling = asyncio.create_task(_tell(lines, troubles, progress))
        calls = asyncio.create_task(lines.run())
        try:
            await asyncio.wait({trouble, calls}, return_when=asyncio.FIRST_COMPLETED)
            trouble.cancel()
            await asyncio.wait({trouble})
            if not trouble.cancelled():
                trouble.result()
            await calls
        finally:
            telling.cancel()
            calls.cancel()
        await _quiet(troubles)
        progress("all calls are over; waiting for the deliveries")
        await place.stage.until("an empty spool", lambda: _done(place), limit=PATIENCE)
        ends = await asyncio.to_thread(account, place, lines)
    progress(f"{dict(ends)} after {dict(troubles.met)}")
    return Outcome(ends, troubles.met)


def _done(place: Ground) -> bool:
    """Nothing waits; what failed, because Asterisk died before it wrote a byte, stays for a person."""
    return set(place.recorder.states()) <= {"failed"}


async def _quiet(troubles: Troubles) -> None:
    """Everything runs again, and what waits for a later try is tried now, as an admin would have it.

    The recorder is not started anew: what it had forgotten must not come back that way.
    """
    while troubles.busy:
        await asyncio.sleep(0.05)
    recorder = troubles.ground.recorder
    await troubles.ground.stage.until("the recorder's connection", lambda: recorder.connected)
    said = await asyncio.to_thread(recorder.command, "spool", "retry", "--all")
    assert "Traceback" not in said.stderr, said.stderr


async def _tell(lines: Lines, troubles: Troubles, progress: Progress) -> None:
    while True:
        await asyncio.sleep(5)
        over = sum(fate.over is not None for fate in lines.fates)
        waiting = len(troubles.ground.recorder.states())
        progress(
            f"{over} of {lines.count} calls over, {waiting} in the spool, {troubles.met.total()} troubles"
        )
