"""What a recorder has to say where no recording is: that it was deaf, or that a call was not recorded.

A statement is sealed like a recording without sound, is a link of the same chain, and is delivered to the
same targets (docs/adr/0006-statements-are-links.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What an entry states. Readers take kinds that they do not know in their stride."""

    GAP = "gap"
    """From `at` to `until` the recorder did not hear the PBX: calls of that time may not be recorded."""
    REFUSAL = "refusal"
    """A call was not recorded, and why (FEATURES E6). Not written yet."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that is stated. Times are the recorder's clock."""

    kind: Kind
    pbx: str
    at: datetime
    until: datetime | None
    reason: str
    """A stable word: `recorder-away`, `connection-lost`; of a refusal its reason in the policy."""
    detail: str = ""
    """A sentence for people."""
