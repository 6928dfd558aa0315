"""Compares what a recording holds with what the phones sent, byte by byte.

All positions and lengths are in samples of the coding (one byte of A-law, µ-law or G.722, two of 16-bit
PCM: `width`). Frames are 20 ms of what was sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WORD = 8
"""Bytes that must agree before a place counts as found: by chance that happens once in 10^19 trials."""
FRAME = 160
SILENCE = {"alaw": b"\xd5", "ulaw": b"\xff", "pcm16": b"\x00"}
"""How 16-bit zero is coded."""


@dataclass(frozen=True, slots=True)
class Run:
    """`length` samples that stand at `at` in the recording and at `sent` in what was sent."""

    at: int
    sent: int
    length: int

    @property
    def end(self) -> int:
        return self.at + self.length


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of what was sent. Frame numbers count from 0."""

    runs: list[Run]
    frames: int
    missing: list[int] = field(default_factory=list)
    """Frames of which nothing is in the recording."""
    damaged: list[int] = field(default_factory=list)
    """Frames of which a part is there."""
    doubled: list[int] = field(default_factory=list)
    """Frames of which something is there more than once."""
    backwards: list[int] = field(default_factory=list)
    """Positions in the recording at which it jumps back in what was sent."""

    @property
    def shifts(self) -> list[tuple[int, int]]:
        """Where the recording has more (+) or less (-) samples between two runs than sent: (at, samples)."""
        pairs = [(b.at, (b.at - a.end) - (b.sent - a.sent - a.length)) for a, b in pairwise(self.runs)]
        return [(at, shift) for at, shift in pairs if shift]

    @property
    def exact(self) -> bool:
        return not (self.missing or self.damaged or self.doubled or self.backwards)


def find_payload(channel: bytes, sent: bytes, *, width: int = 1) -> list[Run]:
    """Every stretch of `sent` found in `channel`, in the order of the recording, none overlapping there.

    At each place the continuation of the run before is preferred, then the longest match: so repeated
    material (silence, music) does not tear a run apart.
    """
    if len(channel) < WORD or len(sent) < WORD:
        return []
    index = _Index(sent, width)
    places = np.arange(0, len(channel) - WORD + 1, width)
    hits = places[index.known(_words(channel)[::width])]
    runs: list[Run] = []
    position = diagonal = cursor = fence = 0
    while (cursor := int(np.searchsorted(hits, position))) < len(hits):
        start = int(hits[cursor])
        run = _behind(fence, index.best(channel, start, diagonal, floor=position))
        runs.append(Run(run.at // width, run.sent // width, run.length // width))
        position, diagonal, fence = run.end, run.sent - run.at, run.sent + run.length
    return runs


def _behind(fence: int, run: Run) -> Run:
    """Without the few first bytes that only seem to repeat the end of the run before, at `fence` in what was
    sent: inserted silence may happen to look like them."""
    cut = fence - run.sent if 0 < fence - run.sent < WORD else 0
    return Run(run.at + cut, run.sent + cut, run.length - cut)


def judge(channel: bytes, sent: bytes, *, width: int = 1, frame: int = FRAME) -> Verdict:
    """What became of every frame of `sent`."""
    runs = find_payload(channel, sent, width=width)
    samples = len(sent) // width
    marks = np.zeros(samples + 1, dtype=np.int32)
    for run in runs:
        marks[run.sent] += 1
        marks[run.sent + run.length] -= 1
    cover = np.cumsum(marks)[:samples]
    starts = np.arange(0, samples, frame)
    lowest = np.minimum.reduceat(cover, starts)
    highest = np.maximum.reduceat(cover, starts)
    return Verdict(
        runs=runs,
        frames=len(starts),
        missing=np.flatnonzero(highest == 0).tolist(),
        damaged=np.flatnonzero((lowest == 0) & (highest > 0)).tolist(),
        doubled=np.flatnonzero(highest > 1).tolist(),
        backwards=[b.at for a, b in pairwise(runs) if b.sent < a.sent + a.length],
    )


def assert_bit_exact(
    channel: bytes,
    sent: bytes,
    *,
    missing_frames_allowed: int = 0,
    most_shift_ms: float | None = None,
    width: int = 1,
    rate: int = 8000,
    what: str = "the recording",
) -> Verdict:
    """Every sample of `sent` is in `channel`, once, in order, unaltered; else AssertionError tells.

    `missing_frames_allowed` whole frames may be absent. `most_shift_ms`: by how much the recording may
    stretch or shrink between one run and the next; None where the sender fell silent in between. What
    stands between the runs is not judged here: see `foreign`.
    """
    assert sent, f"{what}: nothing was sent, so there is nothing to compare"
    verdict = judge(channel, sent, width=width, frame=FRAME * rate // 8000)
    lost = len(verdict.missing) > missing_frames_allowed
    moved = max((abs(shift) for _, shift in verdict.shifts), default=0) / rate * 1000
    astray = most_shift_ms is not None and moved > most_shift_ms
    if lost or astray or verdict.damaged or verdict.doubled or verdict.backwards:
        raise AssertionError(describe(verdict, what, rate, missing_frames_allowed))
    return verdict


def describe(verdict: Verdict, what: str, rate: int = 8000, allowed: int = 0) -> str:
    """A verdict for people."""
    if not verdict.runs:
        return f"{what} is not bit-exact: nothing of the {verdict.frames} frames sent is in it"
    found = sum(run.length for run in verdict.runs)
    lines = [f"{what} is not bit-exact: {found} samples found in {len(verdict.runs)} runs"]
    tolerated = f" ({allowed} allowed)" if allowed else ""
    for label, numbers in (
        (f"missing{tolerated}", verdict.missing),
        ("damaged", verdict.damaged),
        ("doubled", verdict.doubled),
    ):
        if numbers:
            share = f"{len(numbers)} of {verdict.frames} frames"
            lines.append(f"  {label}: {share}: {', '.join(_stretches(numbers))}")
    if verdict.shifts:
        moved = [f"{shift / rate * 1000:+g} ms at {at / rate:.3f} s" for at, shift in verdict.shifts[:10]]
        lines.append(f"  shifted: {', '.join(moved)} of the recording")
    if verdict.backwards:
        places = ", ".join(f"{at / rate:.3f} s" for at in verdict.backwards[:10])
        lines.append(f"  out of order or repeated at {places} of the recording")
    lines += [
        f"  found: {run.length} samples, sent at {run.sent}, recorded at {run.at}" for run in verdict.runs[:8]
    ]
    return "\n".join(lines)


def assert_sides(channels: Mapping[str, bytes], sent: Mapping[str, bytes], *, width: int = 1) -> None:
    """Each channel holds what the phone of the same key sent, and nothing of the others.

    assert_sides({"left": …, "right": …}, {"left": caller.sent, "right": callee.sent})
    """
    for name, channel in channels.items():
        shares = {who: _share(channel, said, width) for who, said in sent.items()}
        strangers = {who: share for who, share in shares.items() if who != name and share > 0}
        if shares[name] < 0.5 or strangers:
            told = ", ".join(f"{share:.1%} of what {who!r} is to hold" for who, share in shares.items())
            swapped = " – the channels are swapped" if shares[name] == 0 and strangers else ""
            raise AssertionError(f"channel {name!r} holds {told}{swapped}")


def foreign(
    channel: bytes, runs: Sequence[Run], *, silence: bytes = SILENCE["alaw"], width: int = 1
) -> list[Run]:
    """Stretches that are neither in `runs` nor silence (announcements, music), as runs with `sent` = -1."""
    samples = np.frombuffer(channel, dtype=np.uint8 if width == 1 else np.dtype("<i2"))
    loud = samples != np.frombuffer(silence * width, dtype=samples.dtype)[0]
    for run in runs:
        loud[run.at : run.end] = False
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8)))
    stretches = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [Run(start, -1, end - start) for start, end in _merged(stretches, FRAME)]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a frame stands against where the wall clock says it belongs; `error_ms` > 0 is late."""

    frame: int
    expected_ms: float
    found_ms: float

    @property
    def error_ms(self) -> float:
        return self.found_ms - self.expected_ms


def placements(
    runs: Sequence[Run], sent_at: Sequence[float], begins_at: float, *, rate: int = 8000
) -> list[Placement]:
    """Every frame whose first sample is in a run. `sent_at` (of each frame, as in `Call.sent_at`) and
    `begins_at` (the recording's first sample) are Unix seconds; result in milliseconds from `begins_at`."""
    size = FRAME * rate // 8000
    placed = []
    for run in runs:
        first = -(-run.sent // size)
        for number in range(first, min(-(-(run.sent + run.length) // size), len(sent_at))):
            at = run.at + number * size - run.sent
            placed.append(Placement(number, (sent_at[number] - begins_at) * 1000, at / rate * 1000))
    return placed


def offset_ms(runs: Sequence[Run], sent_at: Sequence[float], begins_at: float, *, rate: int = 8000) -> float:
    """By how much the first whole frame found is late in the recording."""
    placed = placements(runs, sent_at, begins_at, rate=rate)
    assert placed, "no whole frame was found in the recording"
    return placed[0].error_ms


class _Index:
    """All words of a payload, sorted, for look-up."""

    def __init__(self, sent: bytes, width: int) -> None:
        words = _words(sent)[::width]
        self._order = np.argsort(words, kind="stable")
        self._sorted = words[self._order]
        self._sent = sent
        self._width = width

    def known(self, words: NDArray[np.uint64]) -> NDArray[np.bool_]:
        at = np.minimum(np.searchsorted(self._sorted, words), len(self._sorted) - 1)
        return np.asarray(self._sorted[at] == words)

    def best(self, channel: bytes, start: int, diagonal: int, floor: int) -> Run:
        """The run through `start`: on the given diagonal if it matches there, else the longest."""
        word = np.frombuffer(channel[start : start + WORD], dtype=np.uint64)[0]
        first = int(np.searchsorted(self._sorted, word, "left"))
        last = int(np.searchsorted(self._sorted, word, "right"))
        candidates = [int(n) * self._width for n in self._order[first : min(last, first + 64)]]
        expected = start + diagonal
        if expected >= 0 and self._sent[expected : expected + WORD] == channel[start : start + WORD]:
            candidates = [expected]
        return max((self._extend(channel, start, c, floor) for c in candidates), key=lambda run: run.length)

    def _extend(self, channel: bytes, start: int, sent: int, floor: int) -> Run:
        back = 0
        step = self._width
        while start - back > floor and sent - back > 0:
            here, there = start - back - step, sent - back - step
            if channel[here : here + step] != self._sent[there : there + step]:
                break
            back += step
        length = _common(channel, start, self._sent, sent) // step * step
        return Run(start - back, sent - back, length + back)


def _words(data: bytes) -> NDArray[np.uint64]:
    """The 8 bytes from each position on, as one number."""
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, dtype=np.uint8), WORD)
    return np.ascontiguousarray(windows).view(np.uint64).ravel()


def _common(one: bytes, at: int, other: bytes, there: int) -> int:
    """How many bytes agree from here on."""
    length = min(len(one) - at, len(other) - there)
    done, step = 0, 4096
    while done < length:
        size = min(step, length - done)
        a = np.frombuffer(one, np.uint8, size, at + done)
        b = np.frombuffer(other, np.uint8, size, there + done)
        different = np.flatnonzero(a != b)
        if len(different):
            return done + int(different[0])
        done, step = done + size, step * 2
    return length


def _share(channel: bytes, sent: bytes, width: int) -> float:
    return sum(run.length for run in find_payload(channel, sent, width=width)) / max(1, len(sent) // width)


def _stretches(numbers: Sequence[int], most: int = 10) -> Iterator[str]:
    """`312–314 (6.240–6.300 s)`"""
    spans = _merged([(n, n + 1) for n in numbers], 0)
    for start, end in spans[:most]:
        label = f"{start}" if end - start == 1 else f"{start}–{end - 1}"
        yield f"{label} ({start / 50:.3f}–{end / 50:.3f} s)"
    if len(spans) > most:
        yield f"and {len(spans) - most} more stretches"


def _merged(spans: Sequence[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged
