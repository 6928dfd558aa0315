"""What stands where in the assembled file: the plan that `align` makes and `assembly` carries out.

Positions and lengths on the timeline are in samples at the plan's rate, those inside a leg in samples at
the leg's own rate. A finer alignment (from RTP statistics) only makes more and shorter parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from ..model.call import Side
from ..model.recording import Coding, Note, Segment


@dataclass(frozen=True, slots=True)
class Format:
    """How samples stand in a file."""

    coding: Coding
    rate: int

    def __str__(self) -> str:
        words = {Coding.ALAW: "A-law", Coding.ULAW: "µ-law", Coding.PCM16: "16-bit PCM"}
        return f"{words[self.coding]} at {self.rate} Hz"


@dataclass(frozen=True, slots=True)
class Piece:
    """`count` samples of a leg from `first` on, which fill `length` samples of the timeline from `at` on."""

    segment: int
    side: Side
    rate: int
    first: int
    count: int
    at: int
    length: int
    """Equal to `count` unless the piece is resampled."""
    converted: bool = False
    """Its samples do not stay what they were."""


@dataclass(frozen=True, slots=True)
class Silence:
    at: int
    length: int


Part: TypeAlias = Piece | Silence


@dataclass(frozen=True, slots=True)
class Track:
    """One side from the timeline's first to its last sample: parts without hole or overlap."""

    side: Side
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole file. `exact`: no sample is converted, resampled or moved against the clock."""

    begins_at: datetime
    format: Format
    frames: int
    tracks: tuple[Track, ...]
    notes: tuple[Note, ...]
    exact: bool

    def time(self, at: int) -> datetime:
        """Asterisk's clock time of a sample of the timeline."""
        return time_of(self.begins_at, at, self.format.rate)


def time_of(begins_at: datetime, at: int, rate: int) -> datetime:
    return begins_at + timedelta(microseconds=at * 1_000_000 // rate)


def format_of(segment: Segment) -> Format:
    """The coding that keeps a segment as it was on the wire."""
    if segment.rate == 8000 and segment.codec == "alaw":
        return Format(Coding.ALAW, 8000)
    if segment.rate == 8000 and segment.codec == "ulaw":
        return Format(Coding.ULAW, 8000)
    return Format(Coding.PCM16, segment.rate)
