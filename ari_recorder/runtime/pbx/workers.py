"""One ordered queue for each recording or channel; all of them side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from ...capture.commands import Command

log = structlog.get_logger()

Work = Callable[[str, Command], Awaitable[None]]


class Workers:
    """Orders of one worker are carried out one after the other, those of different workers at once.

    A worker's task lives only while it has something to do, so nothing is left over from ended calls.
    What can go wrong with an order is an event, not an exception; should one come all the same, it is a
    defect of ours that must not take the other calls with it: it is logged whole, and the queue goes on.
    """

    def __init__(self, tasks: asyncio.TaskGroup, work: Work) -> None:
        self._tasks = tasks
        self._work = work
        self._queues: dict[str, deque[Command]] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(self, worker: str, command: Command) -> None:
        queue = self._queues.get(worker)
        if queue is not None:
            queue.append(command)
            return
        self._queues[worker] = deque([command])
        self._idle.clear()
        self._tasks.create_task(self._drain(worker), name=f"orders-{worker}")

    def drop(self, pointless: Callable[[Command], bool]) -> None:
        """Forget what waits and is `pointless` now; what is being carried out goes on."""
        for queue in self._queues.values():
            kept = [command for command in queue if not pointless(command)]
            queue.clear()
            queue.extend(kept)

    async def idle(self) -> None:
        """Until everything ordered so far has been carried out."""
        await self._idle.wait()

    async def _drain(self, worker: str) -> None:
        queue = self._queues[worker]
        try:
            while queue:
                await self._do(worker, queue.popleft())
        finally:
            del self._queues[worker]
            if not self._queues:
                self._idle.set()

    async def _do(self, worker: str, command: Command) -> None:
        try:
            await self._work(worker, command)
        except Exception:
            kind = type(command).__name__
            log.exception(
                "An order could not be carried out", action="order.defect", worker=worker, order=kind
            )
