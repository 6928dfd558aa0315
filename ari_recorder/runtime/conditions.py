"""What is wrong with the recorder now: conditions that begin, last, and end.

Whoever notices something an admin should know of sets a condition under a key of its own and clears it when
it is over. `status`, the metrics, `/health` and the alerts all tell of the same conditions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from ..model.errors import CODES, RecorderError


class Severity(StrEnum):
    WARNING = "warning"
    """Will become trouble when nobody acts."""
    CRITICAL = "critical"
    """Recordings are being missed, or wait and cannot go on."""

    @property
    def weight(self) -> int:
        """For comparing: what is worse weighs more."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is wrong. `key` names what it is about, such as `target:archive` or `disk:spool`."""

    key: str
    code: str
    """A key of `model.errors.CODES`."""
    sentence: str
    remedy: str
    severity: Severity
    since: datetime


class Change(StrEnum):
    BEGAN = "began"
    CHANGED = "changed"
    """Another code or severity under the same key."""
    ENDED = "ended"


Listener = Callable[[Change, Condition], None]


def _now() -> datetime:
    return datetime.now(UTC)


class Conditions:
    """All that is wrong now. To be used on the event loop only; listeners must not block."""

    def __init__(self, clock: Callable[[], datetime] = _now) -> None:
        self._clock = clock
        self._active: dict[str, Condition] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of every change from now on."""
        self._listeners.append(listener)

    def active(self) -> tuple[Condition, ...]:
        """In the order in which they began. Cheap, also for thousands."""
        return tuple(self._active.values())

    def get(self, key: str) -> Condition | None:
        return self._active.get(key)

    def begin(
        self, key: str, code: str, sentence: str, remedy: str = "", severity: Severity = Severity.CRITICAL
    ) -> None:
        """Something is wrong, or still is. Only what is new or differs in code or severity is told."""
        if code not in CODES:
            raise ValueError(f"error code {code!r} is not registered in CODES")
        known = self._active.get(key)
        condition = Condition(key, code, sentence, remedy, severity, known.since if known else self._clock())
        self._active[key] = condition
        if known is None:
            self._tell(Change.BEGAN, condition)
        elif (known.code, known.severity) != (code, severity):
            self._tell(Change.CHANGED, condition)

    def begin_with(self, key: str, error: RecorderError, severity: Severity = Severity.CRITICAL) -> None:
        self.begin(key, error.code, error.sentence, error.remedy, severity)

    def end(self, key: str) -> None:
        """It is over; nothing happens when it was not wrong."""
        if (known := self._active.pop(key, None)) is not None:
            self._tell(Change.ENDED, known)

    def _tell(self, change: Change, condition: Condition) -> None:
        for listener in self._listeners:
            listener(change, condition)
