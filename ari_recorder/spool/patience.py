"""Work in a thread that is waited for only so long, for its disk may hang."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from .lane import in_thread

T = TypeVar("T")

DISK = 20.0
"""Seconds that a disk gets, for it may have to be woken up first."""


class LateError(Exception):
    """Work in a thread takes longer than anybody waits for it."""


async def in_time(work: Callable[[], T], name: str, seconds: float, late: Callable[[], None]) -> T:
    """As `in_thread`, for at most so many seconds: then LateError. The work goes on by itself; what it gives
    is lost, and `late` is called on the event loop when it has come to its end."""
    working = asyncio.ensure_future(in_thread(work, name))
    await asyncio.wait({working}, timeout=seconds)
    if working.done():
        return working.result()

    def ended(after_all: asyncio.Future[T]) -> None:
        if not after_all.cancelled():
            after_all.exception()  # whoever tries again hears of it
            late()

    working.add_done_callback(ended)
    raise LateError
