"""From what was measured to what is said: medians over the rounds, ratios within each round.

A ratio is formed of samples of the same round, which lie a minute apart, before the median is taken: what
else the machine does changes over the run and hits both alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median


class Way(StrEnum):
    """How the same calls are treated."""

    UNRECORDED = "unrecorded"
    MIXMONITOR = "mixmonitor"
    RECORDER = "ari-recorder"


@dataclass(frozen=True, slots=True)
class Sample:
    """N calls in one way: CPU seconds while all of them talked, and what a call cost beside that."""

    way: Way
    calls: int
    seconds: float
    """Length of the window in which all calls talked."""
    asterisk: float
    """CPU seconds of Asterisk in the window; those of the recorder: `recorder`."""
    recorder: float
    asterisk_once: float
    """CPU seconds of Asterisk for one call outside the window: set-up and end; of the recorder:
    `recorder_once`, with assembly, seal and delivery."""
    recorder_once: float
    others: float
    """Cores that neither Asterisk nor the recorder nor the phones kept busy in the window."""
    phones: float
    """Cores the phones kept busy, counted nowhere else."""
    late: float
    """Share of the phones' packets that left more than 20 ms late."""

    @property
    def percent(self) -> float:
        """Asterisk's percent of a core for one call while it talks."""
        return 100 * self.asterisk / (self.seconds * self.calls)

    @property
    def recorder_percent(self) -> float:
        return 100 * self.recorder / (self.seconds * self.calls)

    @property
    def whole_percent(self) -> float:
        """Asterisk and recorder together."""
        return self.percent + self.recorder_percent


@dataclass(frozen=True, slots=True)
class Ratios:
    """Medians over the rounds; None where the divisor was too small to be measured."""

    asterisk_to_mixmonitor: float | None
    """Asterisk with the recorder : Asterisk with MixMonitor."""
    whole_to_mixmonitor: float | None
    """Asterisk and recorder together : Asterisk with MixMonitor."""
    asterisk_to_unrecorded: float | None
    whole_to_unrecorded: float | None
    mixmonitor_to_unrecorded: float | None
    asterisk_added: float | None
    """What recording adds to Asterisk, over an unrecorded call, as a multiple of what MixMonitor adds."""
    whole_added: float | None
    """The same, the recorder's own process included."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A set of measured times, in seconds."""

    count: int
    p50: float
    p95: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """None when there are no values."""
        if not values:
            return None
        return cls(len(values), percentile(values, 50), percentile(values, 95), max(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of them do not exceed (nearest rank); never of none."""
    if not values or not 0 < percent <= 100:
        raise ValueError("a percentile needs values and a percentage above 0")
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def ratios(samples: Iterable[Sample]) -> Ratios:
    """Ratios of whole rounds: the nth sample of each way belongs to the nth round."""
    ways: dict[Way, list[Sample]] = {way: [] for way in Way}
    for sample in samples:
        ways[sample.way].append(sample)
    rounds = list(zip(*(ways[way] for way in Way), strict=False))

    def each(top: str, bottom: str) -> float | None:
        pairs = (_parts(*round_) for round_ in rounds)
        found = [part[top] / part[bottom] for part in pairs if part[bottom] > 0]
        return median(found) if len(found) == len(rounds) and found else None

    return Ratios(
        asterisk_to_mixmonitor=each("asterisk", "mixmonitor"),
        whole_to_mixmonitor=each("whole", "mixmonitor"),
        asterisk_to_unrecorded=each("asterisk", "unrecorded"),
        whole_to_unrecorded=each("whole", "unrecorded"),
        mixmonitor_to_unrecorded=each("mixmonitor", "unrecorded"),
        asterisk_added=each("asterisk added", "mixmonitor added"),
        whole_added=each("whole added", "mixmonitor added"),
    )


def _parts(unrecorded: Sample, mixmonitor: Sample, recorder: Sample) -> dict[str, float]:
    base = unrecorded.percent
    return {
        "unrecorded": base,
        "mixmonitor": mixmonitor.percent,
        "asterisk": recorder.percent,
        "whole": recorder.whole_percent,
        "mixmonitor added": mixmonitor.percent - base,
        "asterisk added": recorder.percent - base,
        "whole added": recorder.whole_percent - base,
    }
