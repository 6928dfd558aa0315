"""Is the recorder well? Three answers, of which none holds a caller, a secret or a sentence from outside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from ... import __version__
from ...model.errors import CODES
from ..alerts.matters import matters
from ..conditions import Condition, Severity

MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Health:
    """`ready`: it has begun and every PBX is connected. That it lives, any answer shows."""

    ready: bool
    conditions: tuple[Condition, ...] = ()

    @property
    def status(self) -> str:
        """`ok`, `warning` or `critical`."""
        if not self.ready:
            return Severity.CRITICAL.value
        worst = max((one.severity for one in self.conditions), key=lambda one: one.weight, default=None)
        return worst.value if worst else "ok"

    @property
    def well(self) -> bool:
        """Warnings are none of a load balancer's business."""
        return self.status != Severity.CRITICAL.value

    def document(self) -> dict[str, Any]:
        """For `/health`."""
        return {
            "status": self.status,
            "live": True,
            "ready": self.ready,
            "version": __version__,
            "conditions": list(_shown(self.conditions)),
        }


def _shown(conditions: Iterable[Condition]) -> list[dict[str, Any]]:
    """What each is about and what its code means. Its sentence may name callers or servers."""
    return [
        {
            "key": one.key,
            "code": one.code,
            "severity": one.severity.value,
            "since": one.since.astimezone(UTC).isoformat(timespec="seconds"),
            "meaning": CODES[one.code][1],
            "count": one.count,
        }
        for one in list(matters(conditions).values())[:MOST_SHOWN]
    ]
