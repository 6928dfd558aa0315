"""What commands have put into the spool, told to its recorder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ..disk import durable
from ..model.errors import TransientError
from ..runtime import presence, requests
from ..runtime.requests import Outcome, Request
from ..runtime.spool_desk import ADOPT
from .owner import as_owner_of
from .spool_retry import awaited

BATCH = 100
"""Requests that are put together into one."""


class News:
    """Tells the recorder what is in its spool now, whether one runs or not: a request outlives both."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._asked: list[Request] = []
        self._gathered: list[Request] = []

    def tell(self, recording_id: str) -> None:
        """Durable when this returns; OSError."""
        with as_owner_of(self._state):
            self._asked.append(requests.ask(self._state, ADOPT, recording_id))
        if len(self._asked) == BATCH:
            self.gather()

    def gather(self) -> None:
        """One request instead of many: nobody may read them for days. OSError."""
        waiting = [each for each in self._asked if not self._done(each)]
        with as_owner_of(self._state), durable.explained("Telling the recorder"):
            if waiting:
                words = (word for each in waiting for word in each.words)
                self._gathered.append(requests.ask(self._state, ADOPT, *words))
            for each in self._asked:
                requests.forget(self._state, each)
        self._asked = []

    def heard(self) -> bool:
        """Wait until a running recorder has heard it all; False when it has not in time. Where none runs, the
        next one's start finds what was told."""
        running = presence.read(self._state)
        if running is None or not running.alive(datetime.now(UTC)):
            return True
        for each in self._gathered:
            try:
                awaited(self._state, each)
            except TransientError:
                return False
            requests.forget(self._state, each)
        return True

    def _done(self, request: Request) -> bool:
        answer = requests.answer(self._state, request)
        return answer is not None and answer.outcome is Outcome.DONE
