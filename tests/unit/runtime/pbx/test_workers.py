"""Orders: in turn for one worker, side by side for several, and no defect takes others with it."""

from __future__ import annotations

import asyncio

from ari_recorder.capture.commands import Command, DropChannel
from ari_recorder.runtime.pbx.workers import Workers


async def test_orders_of_one_worker_keep_their_order_while_others_overtake() -> None:
    done: list[str] = []
    gate = asyncio.Event()

    async def work(worker: str, command: Command) -> None:
        assert isinstance(command, DropChannel)
        if worker == "slow" and command.channel == "1":
            await gate.wait()
        done.append(f"{worker}{command.channel}")

    async with asyncio.TaskGroup() as tasks:
        workers = Workers(tasks, work)
        for number in "123":
            workers.submit("slow", DropChannel(number))
            workers.submit("fast", DropChannel(number))
        async with asyncio.timeout(5):
            while len(done) < 3:
                await asyncio.sleep(0)
        assert done == ["fast1", "fast2", "fast3"]
        gate.set()
        await workers.idle()
    assert done[3:] == ["slow1", "slow2", "slow3"]


async def test_a_defect_in_one_order_is_logged_and_the_queue_goes_on() -> None:
    done: list[str] = []

    async def work(_worker: str, command: Command) -> None:
        assert isinstance(command, DropChannel)
        if command.channel == "bad":
            raise RuntimeError("defect")
        done.append(command.channel)

    async with asyncio.TaskGroup() as tasks:
        workers = Workers(tasks, work)
        for number in ("bad", "good"):
            workers.submit("a", DropChannel(number))
        await workers.idle()
    assert done == ["good"]
