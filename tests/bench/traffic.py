"""N calls at once, placed, talking and hung up: the same from the phones' side in each way.

The phones are those of the tests: one thread sends and receives for all of them, on a schedule that does not
drift. What it costs is measured and counted to nobody.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ari_recorder.lab.pbx import Pbx
from tests.phones import PCMA, Call, Exchange, Phone
from tests.phones.payload import Frames

CALLER, CALLEE = "trunk-berlin", "1001"
SPACING = 0.05
"""Seconds between two INVITEs, and between two BYEs: a busy office, not a burst."""
LIMIT = 60.0
"""Seconds that setting up a call may take on a machine that others keep busy."""
LATE = 0.020


@dataclass(slots=True)
class Talk:
    """Calls that are up, then over."""

    calls: list[tuple[Call, float]] = field(default_factory=list)
    """The callers' ends, each with time.monotonic() at its answer."""
    talked: float = 0.0
    """Seconds from answer to BYE, all calls together; known when they are over."""

    @property
    def late(self) -> float:
        """Share of the callers' packets that left more than 20 ms after their time."""
        packets = [lateness for call, _ in self.calls for lateness in call.stream.sent.lateness]
        return sum(lateness > LATE for lateness in packets) / len(packets) if packets else 0.0


@asynccontextmanager
async def talking(pbx: Pbx, number: str, count: int) -> AsyncIterator[Talk]:
    """`count` calls of the trunk to `number`, all up and talking; hung up when the block ends.

    PhoneError when a call does not come about.
    """
    async with Exchange(pbx.host, pbx.sip_port) as exchange:
        trunk = [("X-Trunk", CALLER.removeprefix("trunk-"))]
        caller = await exchange.phone(CALLER, register=True, headers=trunk)
        callee = await exchange.phone(CALLEE, register=True)
        talk = Talk()
        async with asyncio.TaskGroup() as tasks:
            picking_up = tasks.create_task(_pick_up(callee, count))
            placed = [tasks.create_task(_place(caller, number, n * SPACING)) for n in range(count)]
        talk.calls = [each.result() for each in placed]
        yield talk
        async with asyncio.TaskGroup() as tasks:
            ended = [
                tasks.create_task(_end(call, answered, n * SPACING))
                for n, (call, answered) in enumerate(talk.calls)
            ]
        for call in picking_up.result():
            await call.hung_up(LIMIT)
        talk.talked = sum(each.result() for each in ended)
        for phone in exchange.phones:
            await phone.register(expires=0)


async def _place(caller: Phone, number: str, after: float) -> tuple[Call, float]:
    await asyncio.sleep(after)
    call = await caller.call(number, _SPEECH, codecs=(PCMA,))
    await call.answered(LIMIT)
    return call, time.monotonic()


async def _pick_up(callee: Phone, count: int) -> list[Call]:
    calls = []
    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            call = await callee.ring(LIMIT)
            tasks.create_task(_answer(call))
            calls.append(call)
    return calls


async def _answer(call: Call) -> None:
    await call.ringing()
    await call.answer(_SPEECH, (PCMA,), timeout=LIMIT)


async def _end(call: Call, answered: float, after: float) -> float:
    await asyncio.sleep(after)
    await call.hang_up(LIMIT)
    return time.monotonic() - answered


def _speech() -> Frames:
    """A second of random A-law over and over, made once: the phones shall load the machine little."""
    second = random.Random(1).randbytes(50 * 160)
    frames = [second[n * 160 : (n + 1) * 160] for n in range(50)]
    return lambda number: frames[number % 50]


_SPEECH = _speech()
