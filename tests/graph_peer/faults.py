"""What a test can make go wrong, and at which step."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import StrEnum

from .wire import Answer


class Tear(StrEnum):
    """Where the connection breaks."""

    BEFORE = "before"
    """The request is not even read to its end."""
    AFTER = "after"
    """It was carried out, and the answer is lost."""


FREEZE = "freeze"
"""The request is read, and nothing more happens until the peer thaws."""


@dataclass
class Planned:
    operation: str
    left: int
    """Requests of that kind that still pass."""
    times: int
    what: Tear | Answer | str


@dataclass
class Faults:
    """Each fault meets the nth request of one kind (`Graph.operation`), and as many after it as wanted."""

    _planned: list[Planned] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, operation: str, what: Tear | Answer | str, *, nth: int = 1, times: int = 1) -> None:
        with self._guard:
            self._planned.append(Planned(operation, nth - 1, times, what))

    def refuse(
        self,
        operation: str,
        status: int,
        code: str = "fault",
        *,
        nth: int = 1,
        times: int = 1,
        **headers: str,
    ) -> None:
        """Answer instead of obeying; `Retry_After="2"` becomes a header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = Answer(status, {"error": {"code": code, "message": f"Scripted: {code}."}}, headers=named)
        self.plan(operation, answer, nth=nth, times=times)

    def due(self, operation: str) -> Tear | Answer | str | None:
        with self._guard:
            for planned in self._planned:
                if planned.operation not in (operation, "any"):
                    continue
                if planned.left > 0:
                    planned.left -= 1
                    continue
                planned.times -= 1
                if planned.times == 0:
                    self._planned.remove(planned)
                return planned.what
        return None
