"""Questions to disks, each in a daemon thread of its own: one that hangs keeps no other from being asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from ...spool.lane import in_thread

PATIENCE = 20.0
"""Seconds that a disk may take, for it may have to be woken up first."""

T = TypeVar("T")


class Questions:
    """To be used on the event loop, by one task for each thing asked about."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._open: dict[str, asyncio.Task[Any]] = {}

    async def ask(self, about: str, work: Callable[[], T]) -> T:
        """What `work` returns or raises. TimeoutError when it takes too long.

        Its answer is not lost then: it is given to who asks about the same next. Until there is one nothing
        is asked again, and who does ask is told at once.
        """
        late = about in self._open
        if not late:
            self._open[about] = asyncio.create_task(in_thread(work, f"disk-{about}"))
        asked: asyncio.Task[T] = self._open[about]
        await asyncio.wait({asked}, timeout=0 if late else self._patience)
        if not asked.done():
            raise TimeoutError
        del self._open[about]
        return asked.result()
