"""Waiting for a state, with a deadline, told by whoever changes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .errors import OverdueError


class Watch:
    """Belongs to the running loop; `tell` may be called from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def until(self, reached: Callable[[], bool], sorry: Callable[[], str], timeout: float) -> None:
        """Return as soon as `reached()` holds; OverdueError with `sorry()` after `timeout` seconds."""
        future: asyncio.Future[None] = self._loop.create_future()
        entry = (reached, future)
        self._waiting.append(entry)
        if reached():  # only now: a change between look and wait would else be missed
            _fulfil(future)
        try:
            await asyncio.wait_for(future, timeout)
        except TimeoutError:
            raise OverdueError(sorry()) from None
        finally:
            self._waiting.remove(entry)

    def tell(self) -> None:
        """Something has changed: wake those whose wish has come true."""
        for reached, future in list(self._waiting):
            if not future.done() and reached():
                self._loop.call_soon_threadsafe(_fulfil, future)


def _fulfil(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
