"""A thread that writes small things that may wait, one after the other, so that a disk that hangs holds up
nothing but them: neither the event loop, nor the pool of threads that resolves names and reads files."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

import structlog

log = structlog.get_logger()


class Scribe:
    """Takes at most `room` things that are not written yet. The thread is a daemon: it holds no end up."""

    def __init__(self, name: str, room: int) -> None:
        self._waiting: queue.Queue[tuple[Callable[[], None], Future[None]] | None] = queue.Queue(room)
        self._thread = threading.Thread(target=self._write, name=name, daemon=True)
        self._thread.start()

    def put(self, writing: Callable[[], None]) -> Future[None] | None:
        """Done when it was written, or could not be; None when there is no room and it is not taken."""
        done: Future[None] = Future()
        try:
            self._waiting.put_nowait((writing, done))
        except queue.Full:
            return None
        return done

    def close(self, seconds: float) -> None:
        """Write what waits, for at most so long."""
        with suppress(queue.Full):
            self._waiting.put(None, timeout=seconds)
        self._thread.join(seconds)

    def _write(self) -> None:
        while (taken := self._waiting.get()) is not None:
            writing, done = taken
            try:
                writing()
            except Exception:  # what comes after it is to be written all the same
                log.exception("Something could not be written", action="scribe.defect")
            done.set_result(None)
