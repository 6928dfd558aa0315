"""What one outlet was told of, and what it is owed. Pure: two clocks and matters in, items out.

There is no queue of messages. The book compares what is wrong with what was told; what could not be sent is
simply still owed, and by the time that it can be, it is told as it stands then. So nothing grows while a mail
server is away for a week, and a restarted recorder neither repeats itself nor forgets to say that it is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from ..conditions import Severity
from .matters import Matter

OFTEN, WHILE = 3, timedelta(hours=1)
"""A matter that began so many times in this time comes and goes: from then on it must be well for longer
before that is told."""
LONGER = 20
"""Times `settle`, for a matter that comes and goes."""
CHANGE_REST = timedelta(hours=1)
"""Between two tellings that only the error has become another one."""
MOST = 500
"""Matters that a book holds; what comes on top is not told."""


class What(StrEnum):
    BEGAN = "began"
    CHANGED = "changed"
    """Another code or severity."""
    LASTS = "lasts"
    """Told before, and still wrong."""
    ENDED = "ended"
    PASSED = "passed"
    """Began and ended before it could be told."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to tell."""

    what: What
    matter: Matter
    until: datetime | None = None
    times: int = 1
    """How often it came meanwhile."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A matter that is told, or is owed."""

    matter: Matter
    told: Matter | None = None
    told_at: datetime | None = None
    ended_at: datetime | None = None
    times: int = 1

    @property
    def mark(self) -> tuple[object, ...]:
        """What must outlive the process. A sentence with figures in it changes all the time."""
        return (self.matter.key, self.matter.code, self.told_at, self.ended_at is None, self.times)


@dataclass(frozen=True, slots=True)
class Telling:
    """The begin of a matter was told."""

    key: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """A book between two lives of the recorder."""

    outlet: str
    entries: tuple[Entry, ...] = ()
    tellings: tuple[Telling, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """How patiently is told; seconds."""

    hold_off: float = 30.0
    settle: float = 60.0
    remind_every: float = 86400.0
    """0 for never."""
    least: Severity = Severity.WARNING


@dataclass(slots=True)
class _Candidate:
    """Wrong, but not for long enough yet."""

    matter: Matter
    since: float
    gone: float | None = None


class Book:
    """`now` is the wall clock, `at` a clock in seconds that nobody sets."""

    def __init__(self, terms: Terms, memory: Memory) -> None:
        self._terms = terms
        self._outlet = memory.outlet
        self._entries = {entry.matter.key: entry for entry in memory.entries}
        self._resumed = set(self._entries)
        self._tellings = list(memory.tellings)
        self._candidates: dict[str, _Candidate] = {}
        self._gone: dict[str, float] = {}
        self._last: float | None = None
        """When something was told last."""

    def memory(self) -> Memory:
        return Memory(self._outlet, tuple(self._entries.values()), tuple(self._tellings))

    @property
    def mark(self) -> tuple[object, ...]:
        """Differs when the memory should be written."""
        return (*(entry.mark for entry in self._entries.values()), len(self._tellings))

    def see(self, matters: Mapping[str, Matter], now: datetime, at: float) -> None:
        """Take note of all that is wrong now."""
        for key, matter in matters.items():
            if key in self._entries:
                self._lasts(key, matter)
            elif matter.severity.weight >= self._terms.least.weight:
                self._weigh(key, matter, at)
        for key in self._entries.keys() - matters.keys():
            self._is_gone(key, now, at)
        for key in self._candidates.keys() - matters.keys():
            self._passes(key, at)

    def due(self, now: datetime, at: float) -> tuple[Item, ...]:
        """What is to be told now, all in one message; empty most of the time."""
        if self._last is not None and at - self._last < self._terms.hold_off:
            return ()
        if not self._items(now, at, 1.0):
            return ()
        for key, one in list(self._candidates.items()):
            if one.gone is None and at - one.since >= self._terms.hold_off / 2:
                self._promote(key, one.matter)
        return tuple(self._items(now, at, 0.5))

    def tell(self, items: Iterable[Item], now: datetime, at: float) -> None:
        """These have been told."""
        self._last = at
        for item in items:
            key = item.matter.key
            entry = self._entries.get(key)
            if entry is None:
                continue
            if item.what in (What.ENDED, What.PASSED):
                del self._entries[key]
                self._gone.pop(key, None)
                continue
            self._entries[key] = replace(entry, told=item.matter, told_at=now)
            if item.what is What.BEGAN:
                self._tellings.append(Telling(key, now))
        self._tellings = [one for one in self._tellings if now - one.at < WHILE][-MOST:]

    def _lasts(self, key: str, matter: Matter) -> None:
        entry = self._entries[key]
        returned = self._gone.pop(key, None) is not None and key not in self._resumed
        self._resumed.discard(key)
        self._entries[key] = replace(
            entry,
            matter=replace(matter, since=min(entry.matter.since, matter.since)),
            ended_at=None,
            times=entry.times + returned,
        )

    def _weigh(self, key: str, matter: Matter, at: float) -> None:
        one = self._candidates.setdefault(key, _Candidate(matter, at))
        one.matter, one.gone = replace(matter, since=min(one.matter.since, matter.since)), None
        if at - one.since >= self._terms.hold_off:
            self._promote(key, one.matter)

    def _promote(self, key: str, matter: Matter) -> None:
        del self._candidates[key]
        if len(self._entries) < MOST:
            self._entries[key] = Entry(matter)

    def _is_gone(self, key: str, now: datetime, at: float) -> None:
        self._gone.setdefault(key, at)
        if self._entries[key].ended_at is None:
            self._entries[key] = replace(self._entries[key], ended_at=now)

    def _passes(self, key: str, at: float) -> None:
        one = self._candidates[key]
        if one.gone is None:
            one.gone = at
        elif at - one.gone >= self._terms.settle:
            del self._candidates[key]

    def _items(self, now: datetime, at: float, share: float) -> list[Item]:
        """What has waited for its time, or for `share` of it: company for what is due anyway."""
        found = [self._item(key, entry, now, at, share) for key, entry in self._entries.items()]
        return sorted((item for item in found if item is not None), key=lambda item: item.matter.since)

    def _item(self, key: str, entry: Entry, now: datetime, at: float, share: float) -> Item | None:
        times = max(entry.times, self._often(key, now) + (entry.told is None))
        if entry.ended_at is not None:
            if at - self._gone[key] < self._settle(key, now) * share:
                return None
            return Item(What.ENDED if entry.told else What.PASSED, entry.matter, entry.ended_at, times)
        if entry.told is None or entry.told_at is None:
            return Item(What.BEGAN, entry.matter, None, times)
        if self._worth(entry.matter, entry.told, now - entry.told_at):
            return Item(What.CHANGED, entry.matter, None, times)
        remind = self._terms.remind_every * share
        if remind and (now - entry.told_at).total_seconds() >= remind and self._reminds(now):
            return Item(What.LASTS, entry.matter, None, times)
        return None

    @staticmethod
    def _worth(matter: Matter, told: Matter, ago: timedelta) -> bool:
        """A change for the worse is told at once; errors that take turns, now and then."""
        if matter.severity.weight > told.severity.weight:
            return True
        return (matter.code, matter.severity) != (told.code, told.severity) and ago >= CHANGE_REST

    def _reminds(self, now: datetime) -> bool:
        """Somebody's reminder is really due."""
        told = (e.told_at for e in self._entries.values() if e.told_at and e.ended_at is None)
        return any((now - at).total_seconds() >= self._terms.remind_every for at in told)

    def _often(self, key: str, now: datetime) -> int:
        return sum(one.key == key and now - one.at < WHILE for one in self._tellings)

    def _settle(self, key: str, now: datetime) -> float:
        return self._terms.settle * (LONGER if self._often(key, now) >= OFTEN else 1)
