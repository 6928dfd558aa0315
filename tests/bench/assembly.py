"""Assembly's throughput beside sox, on the same legs in the same run: what counts is the ratio.

No assertion here: figures differ from machine to machine.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ari_recorder.audio.assembly import assemble
from ari_recorder.audio.g711 import law
from ari_recorder.audio.legs import leg_file
from ari_recorder.model.call import Direction, Party, Side
from ari_recorder.model.recording import Call, Chosen, Coding, Leg, Recording, Segment, State

RATE = 8000
RUNS = 3


def run(seconds: int = 3600) -> str:
    """Time the assembly of one A-law call of that length, and sox doing the same without a hash."""
    with tempfile.TemporaryDirectory(prefix="ari-recorder-bench-") as name:
        folder = Path(name)
        recording = _recording(folder, seconds * RATE)
        ours = _best(lambda: assemble(recording, folder, folder, "ours"))
        lines = [
            f"Assembly of a {seconds / 3600:g} h A-law stereo call from two slin legs, best of {RUNS}:",
            f"  ari-recorder, SHA-256 and fsync included  {ours:7.3f} s  {seconds / ours:9.0f} x real time",
        ]
        return "\n".join(lines + _beside_sox(folder, seconds, ours))


def _beside_sox(folder: Path, seconds: int, ours: float) -> list[str]:
    sox = shutil.which("sox")
    if sox is None:
        return ["  sox is not installed: no comparison (Debian package sox)"]
    raw = ["-t", "raw", "-e", "signed", "-b", "16", "-r", str(RATE), "-c", "1"]
    legs = [word for side in Side for word in (*raw, str(folder / leg_file(1, side)))]
    command = [sox, "-M", *legs, "-e", "a-law", str(folder / "sox.wav")]
    theirs = _best(lambda: subprocess.run(command, check=True, capture_output=True))
    return [
        f"  sox -M … -e a-law, no hash, no fsync      {theirs:7.3f} s  {seconds / theirs:9.0f} x real time",
        f"  ratio sox / ari-recorder                  {theirs / ours:7.2f}",
    ]


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
