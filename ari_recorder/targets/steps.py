"""The steps of work on a target, told to whoever watches: `target test` shows them, tests strike at them.

Each kind says with `at(step)` when a step begins. Nobody watches a delivery: there it costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import TypeAlias

from . import progress


class Step(StrEnum):
    """In the order in which a file goes through them; a kind passes over what it does not have."""

    CONNECT = "connect"
    """The server's name is looked up and the connection made."""
    IDENTIFY = "identify"
    """The server shows who it is: host key, certificate, signature."""
    LOGIN = "login"
    """The recorder shows who it is."""
    WRITE = "write"
    """Folders are made and the part file is written."""
    READ_BACK = "read-back"
    """The part file is read back and compared."""
    RENAME = "rename"
    """The file gets its final name."""
    FETCH = "fetch"
    """The file is read under its final name; no step of `put`."""
    DELETE = "delete"
    """It is deleted; no step of `put`."""


Watcher: TypeAlias = Callable[[Step], None]

_watcher: ContextVar[Watcher | None] = ContextVar("target_steps", default=None)


def at(step: Step) -> None:
    """Say that `step` begins now."""
    progress.moved()
    if (watcher := _watcher.get()) is not None:
        watcher(step)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Have `watcher` called with each step that this thread begins meanwhile, in this thread."""
    before = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(before)
