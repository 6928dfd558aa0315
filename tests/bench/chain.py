"""What a long chain costs: `python -m tests.bench.chain`.

A log of so many links is made, and opened in a fresh process: first without its index, as after an upgrade or
when it was lost, then with it. No figure makes it fail.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from ari_recorder.evidence.chain import Chain, encode
from ari_recorder.model.evidence import ArchivePlace, Link, Predecessor

AT = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
LOOKS = 200
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Opened:
    """One process that opened the log. Seconds of CPU, which a busy machine changes less, and KiB."""

    start: float
    rss: int
    """Growth of its resident memory by that."""
    look: float
    """For a recording that is not in the log, as every new one is."""
    prove: float
    """In the background, while the recorder works already."""


@dataclass(frozen=True, slots=True)
class Run:
    links: int
    first: Opened
    again: Opened


def fill(log: Path, count: int) -> None:
    before: Predecessor | None = None
    with log.open("wb") as file:
        for number in range(1, count + 1):
            name = f"20261101-080000Z_+4930123456_1001_{number:010x}"
            places = (ArchivePlace("archive", number, before.name if before else None),)
            link = Link(number, _id(number), name, AT, f"{number:064x}", before, places, "c0ffee00" * 8)
            file.write(encode(link))
            before = Predecessor(number, name, link.signature_sha256)


def run(count: int) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "chain.jsonl"
        fill(log, count)
        return Run(count, _process(log), _process(log))


def opened(log: Path) -> Opened:
    """In this process."""
    rss = _rss()
    start, chain = _timed(lambda: Chain(log))
    with chain:
        grown = _rss() - rss
        look, _ = _timed(lambda: [chain.link_of(_id(-number)) for number in range(LOOKS)])
        prove, _ = _timed(chain.prove)
    return Opened(start, grown, look / LOOKS, prove)


def table(runs: list[Run]) -> list[str]:
    """Beside the shortest log, whose start with the index is 1."""
    base = runs[0].again
    lines = [
        f"starts as ratios to that with {runs[0].links} links and index, {base.start * 1000:.0f} ms of CPU",
        f"{'links':>10}  {'first start':>11}  {'start':>6}  {'MiB':>6}  {'look, ms':>8}  {'proof, s':>8}",
    ]
    for one in runs:
        again = one.again
        lines.append(
            f"{one.links:10}  {one.first.start / base.start:11.1f}  {again.start / base.start:6.1f}  "
            f"{again.rss / 1024:6.1f}  {again.look * 1000:8.3f}  {again.prove:8.2f}"
        )
    return lines


def _process(log: Path) -> Opened:
    command = [sys.executable, "-m", "tests.bench.chain", "--open", str(log)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Opened(**json.loads(done.stdout))


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def _id(number: int) -> str:
    return f"20261101T080000000-{number:08x}"


def _rss() -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.chain", description=__doc__)
    parser.add_argument("--links", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.open is not None:
        sys.stdout.write(json.dumps(asdict(opened(asked.open))))
        return 0
    runs = [run(count) for count in asked.links]
    text = json.dumps([asdict(one) for one in runs], indent=2)
    sys.stdout.write((text if asked.json else "\n".join(table(runs))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
