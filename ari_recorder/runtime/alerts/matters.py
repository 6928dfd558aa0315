"""What a person is told of: conditions, those of many recordings taken together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from ...model.errors import CODES
from ..conditions import Condition, Severity

RECORDING = "recording:"
"""Keys that begin so are about one recording each; there may be thousands."""


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing to be told of."""

    key: str
    """The condition's; for recordings `recording:` and the error's code."""
    code: str
    severity: Severity
    sentence: str
    remedy: str
    since: datetime
    count: int = 1
    """Conditions that it stands for."""


def matters(conditions: Iterable[Condition], ignore: Iterable[str] = ()) -> dict[str, Matter]:
    """By key. Recordings that fail in the same way are one matter, whose key does not depend on which
    they are."""
    patterns = tuple(ignore)
    found: dict[str, Matter] = {}
    many: dict[str, list[Condition]] = {}
    for one in conditions:
        if any(fnmatchcase(one.key, pattern) for pattern in patterns):
            continue
        if one.key.startswith(RECORDING):
            many.setdefault(RECORDING + one.code, []).append(one)
        else:
            found[one.key] = Matter(one.key, one.code, one.severity, one.sentence, one.remedy, one.since)
    found.update((key, _together(key, several)) for key, several in many.items())
    return found


def _together(key: str, several: list[Condition]) -> Matter:
    first = min(several, key=lambda one: one.since)
    sentence = first.sentence
    if len(several) > 1:
        sentence = (
            f"{len(several)} recordings wait for a person: {CODES[first.code][1]} The first: {sentence}"
        )
    severity = max((one.severity for one in several), key=lambda one: one.weight)
    return Matter(key, first.code, severity, sentence, first.remedy, first.since, len(several))
