"""Which coding the assembled file has when the call's codec changed on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..model.recording import Coding
from .plan import Format

MINORITY_SECONDS = 2.0
"""Less sound than this in other codings does not cost the call its own coding."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The file's format; `mixed` when no single coding of the call could be kept."""

    format: Format
    mixed: bool = False

    def converts(self, source: Format) -> bool:
        """Whether sound of this format does not stay sample for sample what it was."""
        if source.rate != self.format.rate:
            return True
        return self.format.coding is not Coding.PCM16 and source.coding is not self.format.coding


def choose(seconds: Mapping[Format, float], otherwise: Format) -> Choice:
    """The format for a call with so many seconds of sound (both sides together) in each format.

    The format with most sound wins while the rest stays below MINORITY_SECONDS; else all becomes PCM at
    the highest rate that carried sound. Formats without sound have no say; `otherwise` decides silence.
    """
    sounding = {form: length for form, length in seconds.items() if length > 0}
    if not sounding:
        return Choice(otherwise)
    dominant = max(sounding, key=lambda form: (sounding[form], form.rate))
    rest = sum(length for form, length in sounding.items() if form != dominant)
    if rest < MINORITY_SECONDS:
        return Choice(dominant)
    return Choice(Format(Coding.PCM16, max(form.rate for form in sounding)), mixed=True)
