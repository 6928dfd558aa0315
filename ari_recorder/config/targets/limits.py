"""What a target may be burdened with: how much at once, how fast, and at which hours. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ..table import Called

SLOWEST = 8_000
"""Bytes a second. Less than that (64 kbit/s) does not carry away even one call as it is spoken."""
DAY = 24 * 60
"""Minutes of a day on the clock."""
STEP = timedelta(minutes=15)
"""Clocks are set forward and back by multiples of this."""

_UNITS = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "": 1.0}
_RATE = re.compile(r"(?P<number>\d{1,9}(?:\.\d{1,3})?) ?(?P<unit>[kKMG]i?)?(?P<what>bit|B)/s")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WINDOW = re.compile(
    r"(?:(?P<days>[A-Z][a-z]{2}(?:[-,][A-Z][a-z]{2})*)(?: |$))?"
    r"(?:(?P<begin>[0-2]\d:[0-5]\d)-(?P<end>[0-2]\d:[0-5]\d))?"
)


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast something may go."""

    bytes: int
    """A second."""
    text: str
    """As it was written."""

    def __str__(self) -> str:
        return self.text


def rate(text: Any) -> Rate:
    """`20 Mbit/s`, `2 MB/s`, `1.5 MiB/s`; ValueError. Upper-case B is bytes; k, M and G are decimal."""
    if isinstance(text, Rate):
        return text
    found = _RATE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError('must be a rate such as "20 Mbit/s" or "2 MB/s", in quotes')
    size = int(float(found["number"]) * _UNITS[found["unit"] or ""] / (8 if found["what"] == "bit" else 1))
    if size < SLOWEST:
        raise ValueError("must be at least 64 kbit/s, which is 8 kB/s")
    return Rate(size, text)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the clock on some days. One over midnight belongs to the day on which it begins."""

    days: frozenset[int]
    """0 is Monday."""
    begin: int
    """Minutes after midnight, on the clock on the wall."""
    end: int
    """The first minute outside; not after `begin` when the window goes over midnight."""
    text: str

    def __str__(self) -> str:
        return self.text

    def holds(self, weekday: int, minute: int) -> bool:
        if self.begin < self.end:
            return weekday in self.days and self.begin <= minute < self.end
        return (weekday in self.days and minute >= self.begin) or (
            (weekday - 1) % 7 in self.days and minute < self.end
        )


def window(text: Any) -> Window:
    """`18:00-06:00`, `Sat-Sun`, `Mon-Fri 18:00-06:00`, `Sat,Sun 00:00-24:00`; ValueError."""
    if isinstance(text, Window):
        return text
    found = _WINDOW.fullmatch(text) if isinstance(text, str) and text and text == text.strip() else None
    if found is None:
        raise ValueError('must be hours such as "18:00-06:00", "Sat-Sun" or "Mon-Fri 18:00-06:00"')
    begin, end = (_minutes(found["begin"]), _minutes(found["end"])) if found["begin"] else (0, DAY)
    if begin in (DAY, end):
        raise ValueError('must have a length; the whole day is "00:00-24:00"')
    return Window(frozenset(_days(found["days"])), begin, end, text)


def _minutes(text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    if hours * 60 + minutes > DAY:
        raise ValueError("must be times of the day, 00:00 to 24:00")
    return hours * 60 + minutes


def _days(text: str | None) -> Iterator[int]:
    if text is None:
        yield from range(7)
        return
    for part in text.split(","):
        names = part.split("-")
        if len(names) > 2 or not {*names} <= {*_DAYS}:
            raise ValueError(f"must name days as {', '.join(_DAYS)}, such as Mon-Fri")
        first, last = _DAYS.index(names[0]), _DAYS.index(names[-1])
        yield from (day % 7 for day in range(first, first + (last - first) % 7 + 1))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a target's lane keeps to."""

    at_once: int = 2
    bandwidth: Rate | None = None
    hours: tuple[Window, ...] = ()

    def open_at(self, at: datetime, zone: tzinfo | None = None) -> bool:
        """Whether a delivery may begin at an aware time; `zone` is the machine's own when None."""
        clock = at.astimezone(zone)
        minute = clock.hour * 60 + clock.minute
        return not self.hours or any(one.holds(clock.weekday(), minute) for one in self.hours)

    def opens_at(self, now: datetime, zone: tzinfo | None = None) -> datetime | None:
        """When the next delivery may begin, as an aware time; None when one may begin now."""
        if self.open_at(now, zone):
            return None
        opening = min(at for at in self._begins(now, zone) if at > now)
        # A begin that the clock leaps over (02:30 at the end of winter) is where it lands.
        while opening - STEP > now and self.open_at(opening - STEP, zone):
            opening -= STEP
        return opening

    def _begins(self, now: datetime, zone: tzinfo | None) -> Iterator[datetime]:
        today = now.astimezone(zone).date()
        for ahead in range(9):
            date = today + timedelta(days=ahead)
            for one in self.hours:
                if date.weekday() in one.days:
                    clock = datetime.combine(date, time(one.begin // 60, one.begin % 60))
                    for fold in (0, 1):  # a begin may come twice, at the end of summer
                        local = clock.replace(tzinfo=zone, fold=fold)
                        at = local.astimezone(now.tzinfo)
                        if not fold or self.open_at(at, zone):
                            yield at


AtOnce = Annotated[int, Field(strict=True, ge=1, le=64)]
"""Recordings delivered side by side."""
Bandwidth = Annotated[Rate, BeforeValidator(rate), Called("rate")]
"""Bytes a second, written as `20 Mbit/s` or `2 MB/s`."""
Hours = Annotated[Window, BeforeValidator(window), Called("hours")]
"""A stretch of the clock in the recorder's local time."""
