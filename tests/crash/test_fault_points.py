"""A recorder that kills itself at each fault point in turn, with a call in each of its lives.

Every life takes up what the one before left behind, and dies in it again. Nothing is lost, nothing is there
twice, however often that happens.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ari_recorder.disk.faults import FAULT_POINTS, FAULT_VARIABLE, SEAMS
from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.progress import spoken
from tests.integration.scene import Scene, policy, scene

from .calls import PATIENCE, Spoken, Traffic, all_of

TIMES = {
    # Which passing of a point is deadly; 1 where not said. A call of one segment is journalled some eight
    # times before its delivery, copies two legs, writes four files and renames five.
    "write.begin": (1, 2, 3, 4, 6),
    "write.synced": (1, 3),
    "write.renamed": (1, 3),
    "order.snoop": (1, 2),
    "order.record": (1, 2),
    "legs.copy": (1, 2),
    "seal.write": (1, 3),
    "seal.rename": (1, 3, 5),
}
DELIVERY = (
    "delivery.folder", "local.linked", "delivery.file", "delivery.confirmed", "delivery.journalled",
    "delivery.complete", "remove.renamed",
)  # fmt: skip
"""What a whole recorder adds to tests/unit/spool/test_crash.py, where every point of the delivery is met."""
ANNOUNCING = {"order.play", "order.let-go"}
SPECIAL = "+49301002031"
PLAIN = "+49301001001"
ANNOUNCED = """
[[setting]]
name = "special"
users = ["9999"]
targets = ["archive"]
announcement = { prompt = "brief" }

[[prompt]]
name = "brief"
file = "brief.wav"
"""
JOURNAL = tuple(point for point in FAULT_POINTS if point.startswith(("create", "write")))
POINTS = [f"{point}:{time}" for point in (*JOURNAL, *SEAMS, *DELIVERY) for time in TIMES.get(point, (1,))]
CAPTURE = [point for point in POINTS if point.startswith(("order", "create", "write", "finish"))]
AFTERWARDS = [point for point in POINTS if point not in CAPTURE]


@pytest.mark.parametrize("points", [CAPTURE, AFTERWARDS], ids=["capture", "afterwards"])
@pytest.mark.timeout(300)
async def test_killed_at_every_fault_point(pbx22: Pbx, tmp_path: Path, points: list[str]) -> None:
    (tmp_path / "brief.wav").write_bytes(brief())
    async with scene(pbx22, tmp_path, policy(more=ANNOUNCED)) as stage:
        stage.recorder.kill()
        traffic = await Traffic(stage).open()
        calls: list[asyncio.Task[None]] = []
        for point in points:
            await _born(stage, point)
            feeding = asyncio.create_task(_feed(traffic, point, calls))
            status = await asyncio.to_thread(stage.recorder.wait, limit=PATIENCE)
            assert status == -9, f"{point}: {stage.recorder.end_of_log()}"
            await feeding
        await _born(stage, None)
        await all_of(calls)
        results = await traffic.settled()
        for call in traffic.calls:
            traffic.judge(call, results)
    spoken(f"{len(points)} lives, {len(results)} calls")


async def _born(stage: Scene, point: str | None) -> None:
    stage.recorder.environment = {FAULT_VARIABLE: point} if point else {}
    await asyncio.to_thread(stage.recorder.start, connected=False)


async def _feed(traffic: Traffic, point: str, calls: list[asyncio.Task[None]]) -> None:
    """Give a life something to do until it dies: what is left in the spool, else a call, and another one."""
    recorder = traffic.stage.recorder
    number = SPECIAL if point.partition(":")[0] in ANNOUNCING else PLAIN
    while recorder.running:
        idle = point in CAPTURE or not recorder.states()
        if recorder.connected and idle and all(call.done() for call in calls):
            calls.append(asyncio.create_task(_call(traffic, number, point)))
        await asyncio.sleep(0.02)


async def _call(traffic: Traffic, number: str, point: str) -> None:
    """Picked up once it is recorded, by this life or a later one."""
    call: Spoken = await traffic.place(number)
    call.moments.append(point)
    await traffic.ring(call)
    await traffic.rolling(call)
    await traffic.pick_up(call)
    await traffic.talk(call, 0.3)
    await traffic.finish(call)


def brief() -> bytes:
    """Half a second of tone as WAV."""
    samples = b"".join(
        (3000 if n // 8 % 2 else -3000).to_bytes(2, "little", signed=True) for n in range(4000)
    )
    form = bytes.fromhex("01000100401f0000803e000002001000")
    body = b"WAVEfmt \x10\0\0\0" + form + b"data" + len(samples).to_bytes(4, "little") + samples
    return b"RIFF" + len(body).to_bytes(4, "little") + body
