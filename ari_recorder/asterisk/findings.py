"""What a check found, in words for the administrator of a PBX."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    """Works, or could not be checked; `detail` says which."""
    FAIL = "fail"
    """Recording will not work, or not fully, until it is mended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `code` is stable (`pbx.write-timeout`); texts are plain sentences."""

    code: str
    level: Level
    title: str
    detail: str = ""
    remedy: str = ""


def ok(code: str, title: str, detail: str = "") -> Finding:
    return Finding(code, Level.OK, title, detail)


def warn(code: str, title: str, detail: str, remedy: str) -> Finding:
    return Finding(code, Level.WARN, title, detail, remedy)


def fail(code: str, title: str, detail: str, remedy: str) -> Finding:
    return Finding(code, Level.FAIL, title, detail, remedy)
