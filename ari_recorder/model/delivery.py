"""What is owed to each target, and what it has confirmed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DeliveryState(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    BLOCKED = "blocked"
    """A person has to act (wrong login, conflict); the files stay in the spool."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A target's confirmation of one file, under its final name."""

    path: str
    bytes: int
    sha256: str
    confirmed_at: datetime
    how: str
    """How the content was confirmed: `read-back`, `server-hash`, `size`."""
    link: str | None = None
    """Address at which people find the file's folder, where the target has one."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The state of one recording's delivery to one target."""

    target: str
    folder: str | None = None
    """Sub-folder in the target, fixed before the first file goes out: a template changed later must not
    put the rest of a recording, or the same recording once more, somewhere else."""
    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    next_try_at: datetime | None = None
    error_code: str | None = None
    error: str | None = None
    receipts: tuple[Receipt, ...] = ()
