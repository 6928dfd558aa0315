"""Signals that want this process to end: by way of every `finally`, never in the middle of some things."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeAlias

Handler: TypeAlias = Callable[[int, FrameType | None], Any] | signal.Handlers

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave(number: int, _frame: FrameType | None) -> None:
    """End by way of every `finally`, so that nothing stays behind."""
    raise SystemExit(128 + number)


@contextmanager
def answered(handler: Handler) -> Iterator[None]:
    """For a while, what this process does about them; only its main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in ENDING}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What happens inside comes to its end first; a signal that arrives meanwhile is answered then."""
    arrived: list[int] = []
    try:
        with answered(lambda number, _frame: arrived.append(number)):
            yield
    finally:
        if arrived:
            signal.raise_signal(arrived[0])
