"""Failures that ought to pass by themselves and do not: when they are worth a person's look. Pure.

A torn connection or a locked file says nothing about a target: it may be the network's fault, a virus
scanner's, or ours. One is no news. What fails so again and again would be retried in silence for ever.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

MOST = 5
"""Failures in a row, of one recording or of all that go to the target, that nobody need hear of."""

LONGEST = timedelta(minutes=15)
"""For so long they need not hear of fewer, if of more than one."""


class Stubborn:
    """Which recordings for one target fail again and again with faults that ought to pass."""

    def __init__(self) -> None:
        self._tries: Counter[str] = Counter()
        """By a recording's id, how often it failed so; until it is delivered, or fails otherwise."""
        self._run = 0
        """Failures in a row, whichever recording's."""
        self._since: datetime | None = None

    def failed(self, recording_id: str, now: datetime) -> bool:
        """A recording failed so at that time; whether a person should look at it now."""
        self._tries[recording_id] += 1
        self._run += 1
        self._since = self._since or now
        if self._run > 1 and now - self._since >= LONGEST:
            self._run = max(self._run, MOST)
        return self._asks(recording_id)

    def answered(self) -> None:
        """The target was heard to do its work, or to refuse it: it is not all of it that fails."""
        self._run, self._since = 0, None

    def ended(self, recording_id: str) -> None:
        """A recording was delivered, failed in another way, or is no longer this target's."""
        self._tries.pop(recording_id, None)

    def known(self) -> set[str]:
        """The ids that a person should look at."""
        return {one for one in self._tries if self._asks(one)}

    def _asks(self, recording_id: str) -> bool:
        return self._run >= MOST or self._tries[recording_id] >= MOST
