"""What a running recorder tells of itself in one small file, so that `status` needs no connection to it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..model import document
from .conditions import Condition

FILE = "presence.json"
BEAT = 2.0
"""Seconds between two heartbeats."""
MOST_CONDITIONS = 100
STALE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class PbxPresence:
    name: str
    connected: bool
    since: datetime
    version: str | None = None
    error: str | None = None
    """Why it is not connected."""
    translator: str | None = None
    """`sound` or `drops reordered frames` once probed (docs/explanation/debian-defect.md)."""


@dataclass(frozen=True, slots=True)
class TargetPresence:
    """How one target does."""

    name: str
    waiting: int
    """Recordings that it has not confirmed yet, those under way included."""
    running: int
    blocked: int
    """Of those waiting, how many a person has to act for, the target itself being well."""
    error: str | None = None
    next_try_at: datetime | None = None
    opens_at: datetime | None = None
    """When its hours begin; None while deliveries may begin."""


@dataclass(frozen=True, slots=True)
class Presence:
    """One recorder's life."""

    pid: int
    version: str
    started_at: datetime
    beat_at: datetime
    policy_revision: str
    pbxs: tuple[PbxPresence, ...] = ()
    targets: tuple[TargetPresence, ...] = ()
    ended_at: datetime | None = None
    """When it let go in order; None while it runs, and when it was killed."""
    conditions: tuple[Condition, ...] = ()
    """What is wrong, the oldest first; at most `MOST_CONDITIONS`."""
    more_conditions: int = 0
    """How many more there are."""

    def alive(self, now: datetime) -> bool:
        """The process exists and beat not long ago (a frozen recorder is not alive)."""
        if self.ended_at is not None or now - self.beat_at > STALE:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def with_conditions(presence: Presence, active: tuple[Condition, ...]) -> Presence:
    """The presence with what is wrong now."""
    shown = active[:MOST_CONDITIONS]
    return replace(presence, conditions=shown, more_conditions=len(active) - len(shown))


def write(folder: Path, presence: Presence) -> None:
    """Replace the file at once; not fsynced, for it says nothing after a power cut anyway."""
    new = folder / f".{FILE}.new"
    new.write_text(document.dump(presence), encoding="utf-8")
    new.replace(folder / FILE)


def read(folder: Path) -> Presence | None:
    """The last word of the recorder whose state folder this is; None when it never spoke."""
    try:
        return document.load(Presence, (folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def now() -> datetime:
    return datetime.now(UTC)
