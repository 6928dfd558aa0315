"""The connections of one target: whoever is at work has one alone, and what nobody needs is let go of."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from ..model.errors import TransientError

IDLE = 60.0
"""Seconds after which an unused connection is not trusted any more: something on the way may have cut it."""


class Pooled(Protocol):
    """A connection that is logged in."""

    @property
    def alive(self) -> bool: ...

    def close(self) -> None: ...


P = TypeVar("P", bound=Pooled)


class Pool(Generic[P]):
    """Used by several threads. The one used last is used next, so that the others grow old and go."""

    def __init__(
        self,
        target: str,
        connect: Callable[[], P],
        usable: Callable[[P], bool] = lambda _: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`usable` asks an idle connection whether it still serves; it may raise. `target` is a name."""
        self._target = target
        self._connect = connect
        self._usable = usable
        self._clock = clock
        self._idle: list[tuple[float, P]] = []
        """With the time since which; the one used last at the end."""
        self._all: set[P] = set()
        self._guard = threading.Lock()
        self._closed = False

    def take(self) -> P:
        """A connection for the caller alone, to be given back or discarded. TransientError `target.torn` when
        the target is closed; what `connect` and `usable` raise."""
        while True:
            with self._guard:
                if self._closed:
                    raise self._closing()
                since, one = self._idle.pop() if self._idle else (0.0, None)
            if one is None:
                return self._connected()
            try:
                if one.alive and self._clock() - since < IDLE and self._usable(one):
                    return one
            except BaseException:
                self.discard(one)
                raise
            self.discard(one)

    def give_back(self, one: P) -> None:
        """It is not used any more; what has not been used for long is closed."""
        now = self._clock()
        with self._guard:
            old = [idle for since, idle in self._idle if now - since >= IDLE]
            self._idle = [idle for idle in self._idle if now - idle[0] < IDLE]
            if one.alive and not self._closed:
                self._idle.append((now, one))
            else:
                old.append(one)
        for each in old:
            self.discard(each)

    def discard(self, one: P) -> None:
        """It must not be used again."""
        with self._guard:
            self._all.discard(one)
        one.close()

    def close(self) -> None:
        """Also those that are in use."""
        with self._guard:
            self._closed = True
            connections = tuple(self._all)
            self._all.clear()
            self._idle.clear()
        for one in connections:
            one.close()

    def _connected(self) -> P:
        one = self._connect()
        with self._guard:
            if not self._closed:
                self._all.add(one)
                return one
        one.close()
        raise self._closing()

    def _closing(self) -> TransientError:
        return TransientError("target.torn", f'Target "{self._target}" is being closed.')
