"""The only place that decides whether and when a delivery is tried again. Pure.

Nothing is ever given up: a person may have mended the target. What differs is the pause, whether status
shows the delivery as blocked, and whether the fault is the whole target's, so that nothing else needs to
be tried there meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..model.delivery import DeliveryState
from ..model.errors import IntegrityError, PermanentError, RecorderError, TransientError

WHOLE_TARGET = frozenset(
    {
        "target.incomplete",
        "target.disabled",
        "target.unreachable",
        "target.login",
        "target.host-key",
        "target.host-key-changed",
        "target.key",
        "target.not-mounted",
        "target.certificate",
        "target.insecure",
        "target.full",
        "target.missing",
        "target.no-drive",
        "target.busy",
        "target.label",
    }
)
"""Codes that would meet any other recording at the same target just as well."""

ANSWERED = frozenset({"target.conflict", "target.denied", "target.mismatch"})
"""Codes that prove that the target as a whole does its work. The others may have any cause: what broke off,
or never began, has not shown that a target is well again."""

PASSING = frozenset({"target.torn", "target.locked", "target.fault"})
"""Codes that need nobody unless they come again and again (stubborn.py)."""

ASKED_FOR_PEACE = frozenset({"target.busy"})
"""Codes with which a target names the time that nobody shall come before: it holds over a restart, too."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds. Each pause is twice the one before, ± `jitter` as a fraction, and never over `longest`."""

    first: float = 5.0
    first_blocked: float = 600.0
    longest: float = 3600.0
    jitter: float = 0.2
    mismatches: int = 3
    """Mismatches in a row that may be a fault of the moment before a person is asked."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do after a failure."""

    state: DeliveryState
    next_try_at: datetime
    whole_target: bool


def decide(
    error: RecorderError,
    *,
    attempts: int,
    target_failures: int,
    now: datetime,
    random: Callable[[], float],
    pauses: Pauses,
) -> Verdict:
    """The verdict on one failed attempt.

    `attempts` counts this delivery's failures and `target_failures` those in a row of the whole target,
    this one included in both. `random` gives numbers from 0 to 1.
    """
    whole_target = error.code in WHOLE_TARGET
    blocked = _needs_a_person(error, attempts, pauses)
    count = target_failures if whole_target else attempts
    pause = _pause(pauses.first_blocked if blocked else pauses.first, count, random(), pauses)
    if isinstance(error, TransientError) and error.retry_after is not None:
        pause = max(pause, error.retry_after)
    return Verdict(
        state=DeliveryState.BLOCKED if blocked else DeliveryState.WAITING,
        next_try_at=now + timedelta(seconds=pause),
        whole_target=whole_target,
    )


def _needs_a_person(error: RecorderError, attempts: int, pauses: Pauses) -> bool:
    if error.code == "target.mismatch":
        return attempts > pauses.mismatches
    return isinstance(error, PermanentError | IntegrityError)


def _pause(first: float, count: int, chance: float, pauses: Pauses) -> float:
    # 2**30 s is 34 years: beyond every longest pause, and before floats get into trouble.
    grown = first * 2 ** min(max(count, 1) - 1, 30)
    return float(min(grown * (1 + pauses.jitter * (2 * chance - 1)), pauses.longest))
