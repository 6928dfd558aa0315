"""Assembly's throughput beside sox, on the same legs in the same run: what counts is the ratio.

No assertion here: figures differ from machine to machine.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ari_recorder.audio.assembly import assemble
from ari_recorder.audio.g711 import law
from ari_recorder.audio.legs import leg_file
from ari_recorder.lab.programs import find
from ari_recorder.model.call import Direction, Party, Side
from ari_recorder.model.recording import Call, Chosen, Coding, Leg, Recording, Segment, State

RATE = 8000
RUNS = 3


@dataclass(frozen=True, slots=True)
class Assembly:
    """What it takes to make one stereo file of two legs, in seconds; best of several runs."""

    hours: float
    """Length of the call."""
    ours: float
    """SHA-256 and fsync included."""
    sox: float | None
    """Neither hash nor fsync; None where sox is not installed."""

    @property
    def ratio(self) -> float | None:
        """How many times as long sox takes."""
        return None if self.sox is None else self.sox / self.ours

    def lines(self) -> list[str]:
        begin = f"Assembly of a {self.hours:g} h A-law stereo call from two slin legs, best of {RUNS}:"
        lines = [begin, self._line("ari-recorder, SHA-256, fsync", self.ours)]
        if self.sox is None:
            return [*lines, "  sox is not installed: no comparison (Debian package sox)"]
        return [
            *lines,
            self._line("sox -M … -e a-law, without either", self.sox),
            f"  {'ratio sox : ari-recorder':38}{self.sox / self.ours:9.2f}",
        ]

    def _line(self, what: str, seconds: float) -> str:
        return f"  {what:38}{seconds:9.3f} s {self.hours * 3600 / seconds:10.0f} x real time"


def run(hours: float = 1.0) -> Assembly:
    """Time the assembly of one A-law call of that length, and sox doing the same."""
    with tempfile.TemporaryDirectory(prefix="ari-recorder-bench-") as name:
        folder = Path(name)
        recording = _recording(folder, round(hours * 3600 * RATE))
        ours = _best(lambda: assemble(recording, folder, folder, "ours"))
        return Assembly(hours, ours, _sox(folder))


def _sox(folder: Path) -> float | None:
    sox = find("sox")
    if sox is None:
        return None
    raw = ["-t", "raw", "-e", "signed", "-b", "16", "-r", str(RATE), "-c", "1"]
    legs = [word for side in Side for word in (*raw, str(folder / leg_file(1, side)))]
    command = [sox, "-M", *legs, "-e", "a-law", str(folder / "sox.wav")]
    return _best(lambda: subprocess.run(command, check=True, capture_output=True))


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def _recording(folder: Path, samples: int) -> Recording:
    """A call of random A-law on both sides, its legs in `folder` as Asterisk would have written them."""
    random = np.random.default_rng(1)
    for side in Side:
        with (folder / leg_file(1, side)).open("wb") as file:
            for at in range(0, samples, 1 << 20):
                codes = random.integers(0, 256, min(1 << 20, samples - at), dtype=np.uint8)
                file.write(law(Coding.ALAW).decode(codes).tobytes())
    now = datetime(2025, 1, 1, tzinfo=UTC)
    leg = Leg("bench", "bench", started_at=now, bytes=2 * samples)
    call = Call("bench", "bench", Direction.INBOUND, Party(), Party())
    segment = Segment(1, RATE, "alaw", "start", leg, leg)
    return Recording("bench", State.CAPTURED, now, call, Chosen("bench", "1"), segments=(segment,))
