"""In place of a PBX that is not known here: an adopted recording has its legs in its folder, or none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..model.recording import Leg, Recording
from .legs import Found, fetched_before


@dataclass(frozen=True, slots=True)
class AbsentLegs:
    """A `LegStore` that has nothing, and to which nothing can be done."""

    pbx: str

    @property
    def place(self) -> str:
        return f'of the PBX "{self.pbx}", which is not known here'

    def found(self, _recording: Recording) -> Found:
        return {}

    def fetch(self, leg: Leg, _rate: int, copy: Path) -> Leg:
        if copy.is_file():
            return fetched_before(leg, copy)
        return replace(leg, error=leg.error or f'it stayed on the PBX "{self.pbx}"')

    def demand(self, _leg: Leg) -> None:
        """What is not here will never be."""

    def written_at(self, _leg: Leg, _rate: int) -> datetime | None:
        return None

    def discard(self, _recording: Recording) -> tuple[str, ...]:
        return ()
