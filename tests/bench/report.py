"""What a run has measured, for people and for programs. Ratios first: they travel from machine to machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from . import upload
from .assembly import Assembly
from .figures import Ratios, Sample, Spread, Way, ratios
from .health import Health
from .rounds import Plan

FORMAT = "ari-recorder/bench/1"

TITLES = {
    Way.UNRECORDED: "unrecorded",
    Way.MIXMONITOR: "MixMonitor r()t()",
    Way.RECORDER: "ari-recorder",
}


@dataclass(frozen=True, slots=True)
class Report:
    """One whole run."""

    plan: Plan
    asterisk: str
    """Its version."""
    samples: Sequence[Sample]
    health: Health
    assembly: Assembly
    uploads: tuple[upload.Upload, ...] = ()

    def of(self, way: Way) -> list[Sample]:
        return [sample for sample in self.samples if sample.way is way]

    @property
    def ratios(self) -> Ratios:
        return ratios(self.samples)

    def text(self) -> str:
        """For people, in at most 100 columns."""
        blocks = [self._head(), self._ratio_lines(), self._ways(), self._recorder(), self.assembly.lines()]
        if self.uploads:
            blocks.append(upload.lines(self.uploads, self.plan.mebibytes))
        return "\n\n".join("\n".join(block) for block in blocks)

    def document(self) -> dict[str, Any]:
        """For programs: what `text` says, and every sample. Times in seconds, CPU in percent of one core."""
        health = self.health
        return {
            "format": FORMAT,
            "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "asterisk": self.asterisk},
            "plan": asdict(self.plan),
            "ratios": asdict(self.ratios),
            "ways": {way.value: self._way(way) for way in Way},
            "recorder": {
                "peak_bytes": health.peak_bytes,
                "recordings": health.recordings,
                "exact": health.exact,
                "slow_polls": round(health.slow_polls, 4),
                **{name: _plain(spread) for name, spread in self._times().items()},
            },
            "assembly": {**asdict(self.assembly), "ratio": self.assembly.ratio},
            "uploads": [{**asdict(one), "ratio": one.ratio} for one in self.uploads],
        }

    def _way(self, way: Way) -> dict[str, Any]:
        samples = self.of(way)
        return {
            "asterisk_percent": _median(samples, lambda s: s.percent),
            "recorder_percent": _median(samples, lambda s: s.recorder_percent),
            "asterisk_once": _median(samples, lambda s: s.asterisk_once),
            "recorder_once": _median(samples, lambda s: s.recorder_once),
            "rounds": [asdict(sample) for sample in samples],
        }

    def _times(self) -> dict[str, Spread | None]:
        health = self.health
        return {
            "rolling": Spread.of(health.rolling),
            "polls": Spread.of(health.polls),
            "noticed": Spread.of(health.noticed),
            "sealed": Spread.of(health.sealed),
        }

    # -- the text ----------------------------------------------------------------------------------------

    def _head(self) -> list[str]:
        plan = self.plan
        others = median(sample.others for sample in self.samples)
        phones = median(sample.phones for sample in self.samples)
        late = max(sample.late for sample in self.samples)
        return [
            f"{plan.calls} A-law calls at once, {plan.seconds:g} s of talk; {plan.rounds} rounds, medians.",
            f"Asterisk {self.asterisk}, {os.cpu_count()} cores, Linux {platform.release()}.",
            f"Not counted: the phones kept {phones:.2f} cores busy, other programs {others:.2f}.",
            f"At most {late:.1%} of the phones' packets left over 20 ms late.",
        ]

    def _ratio_lines(self) -> list[str]:
        found = self.ratios
        return [
            "CPU while calls talk, as ratios              Asterisk alone   with the recorder's process",
            _pair("ari-recorder : MixMonitor", found.asterisk_to_mixmonitor, found.whole_to_mixmonitor),
            _pair("ari-recorder : unrecorded", found.asterisk_to_unrecorded, found.whole_to_unrecorded),
            _pair("MixMonitor : unrecorded", found.mixmonitor_to_unrecorded, None),
            _pair("what recording adds, : MixMonitor", found.asterisk_added, found.whole_added),
        ]

    def _ways(self) -> list[str]:
        lines = [
            "CPU of one call                        while it talks, % of a core     once, ms",
            "                                          Asterisk    recorder     Asterisk    recorder",
        ]
        for way in Way:
            samples = self.of(way)
            talk = _cell(samples, lambda s: s.percent, 12), _cell(samples, lambda s: s.recorder_percent, 12)
            once = (
                _cell(samples, lambda s: 1000 * s.asterisk_once, 13),
                _cell(samples, lambda s: 1000 * s.recorder_once, 12),
            )
            own = (talk[1], once[1]) if way is Way.RECORDER else (f"{'–':>12}", f"{'–':>12}")
            lines.append(f"  {TITLES[way]:36}{talk[0]}{own[0]}{once[0]}{own[1]}")
        return [*lines, "  once: set-up and end of a call; of the recorder also assembly, seal and delivery"]

    def _recorder(self) -> list[str]:
        health, times = self.health, self._times()
        return [
            f"The recorder: {health.recordings} recordings, {health.exact} of them exact; at most"
            f" {health.peak_bytes / 2**20:.0f} MiB of memory",
            "                                                p50         p95        most",
            _spread("INVITE to both legs rolling, ms", times["rolling"], 1000),
            _spread("a poll of rtp_statistics, ms", times["polls"], 1000)
            + f"   ({health.slow_polls:.1%} over 20 ms)",
            _spread("last file closed to its end journalled, ms", times["noticed"], 1000),
            _spread("last file closed to sealed, s", times["sealed"], 1),
        ]


def _pair(what: str, one: float | None, other: float | None) -> str:
    return f"  {what:38}{_ratio(one):>19}{_ratio(other):>30}"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _median(samples: Sequence[Sample], figure: Callable[[Sample], float]) -> float:
    return round(median(figure(sample) for sample in samples), 6)


def _cell(samples: Sequence[Sample], figure: Callable[[Sample], float], width: int) -> str:
    return f"{_median(samples, figure):{width}.2f}"


def _spread(what: str, spread: Spread | None, unit: float) -> str:
    if spread is None:
        return f"  {what:42}{'–':>8}{'–':>12}{'–':>12}"
    return f"  {what:42}{spread.p50 * unit:8.1f}{spread.p95 * unit:12.1f}{spread.most * unit:12.1f}"


def _plain(spread: Spread | None) -> dict[str, Any] | None:
    return None if spread is None else asdict(spread)
