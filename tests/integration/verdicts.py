"""What a sealed recording must hold of a call: every frame, unaltered, at its place; what not is stated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from ari_recorder.model.call import Side
from tests.phones import Call
from tests.phones.judge import FRAME, Run, Verdict, describe, judge, placements
from tests.phones.sdp import AUDIO_TYPES

from .scene import Result, moment

TICK = 0.020
"""Seconds by which a frame may be off on an idle machine: a snoop's first sample comes up to a tick after
RecordingStarted, and each frame waits up to a tick in the snoop's queue (ALIGNMENT.md)."""
CALM_MS = 5.0
"""Delays of packets that a machine shows which has time for its work."""
QUEUE_MS = 500.0
"""The most that a snoop's queue holds (ALIGNMENT.md)."""
MUCH = 0.1
"""Seconds by which packets were late on a machine so busy that a snoop's queue may overflow."""
OVERFLOW = 24
"""Frames that are lost at least when a snoop's queue of half a second overflows."""
FLUSHED = 5
"""Frames that one flush of an old Asterisk takes at most on a machine that has time: those that waited."""
FEW = 0.05
"""Share of a call's frames that an old Asterisk's flushes may take altogether."""
WINDOW = 5 * 8000
"""Samples in which the next telling frame is looked for: quiet music may be in between."""
TELLING = 16
"""Different codes in a frame that cannot be taken for another one."""
ROUNDING_MS = 1.5
"""Asterisk tells its clock in whole milliseconds; ours are rounded to samples."""


@dataclass(frozen=True)
class Placed:
    """Where the frames of one side stand, in ms after (+) or before (-) the moment they were sent at."""

    first: float
    earliest: float
    latest: float
    disturbed: float
    """By how much packets were late on their way, at worst: the machine's doing, not the recorder's."""

    def __str__(self) -> str:
        errors = f"first {self.first:+.1f}, all {self.earliest:+.1f} to {self.latest:+.1f} ms"
        return f"{errors}; packets up to {self.disturbed:.1f} ms late"


def disturbance_ms(said: Call, heard: Call | None) -> float:
    """How late packets were at worst: in leaving their phone, and on their way through Asterisk.

    A snoop never catches up what it waited for once (ALIGNMENT.md), so each frame may be late by as much as
    the latest packet so far; the same delays show at the phone that hears them.
    """
    sent = said.stream.sent
    leaving = max(sent.lateness, default=0.0)
    if heard is None:
        return leaving * 1000
    octets = bytes(sent.audio)
    left = {octets[n * FRAME : (n + 1) * FRAME]: at for n, at in enumerate(sent.wall)}
    transit = [p.arrived_at - left[p.payload] for p in heard.packets if p.payload in left]
    return (leaving + max(transit, default=0.0) - min(transit, default=0.0)) * 1000


def assert_said(
    result: Result,
    side: Side,
    said: Call,
    *,
    heard: Call | None = None,
    since: float | None = None,
    answered_by_pbx: bool = False,
) -> Placed:
    """The side holds what `said` sent, every frame once, in order, unaltered and at its place.

    Missing may be only what the metadata states as a gap, and what was sent before `since` (Unix seconds;
    for calls that were up before anything could record). `heard` is the other phone, where it got the same
    bytes: it tells how late they were. `answered_by_pbx`: the dialplan's Answer() reads the caller's first
    frame, puts it back and reads it again, so that all who listen in hear it twice (Asterisk 16 and 22,
    channel.c, __ast_answer).
    """
    verdict = judge(channel_of(result, side), said.sent)
    known = Stated(result, side, verdict, said.sent_at, said.stream.sent.lateness, since)
    first = [verdict.runs[0].sent // FRAME] if verdict.runs else []
    twice = answered_by_pbx and verdict.doubled == first and len(verdict.backwards) == 1
    repeated = (verdict.doubled or verdict.backwards) and not twice
    if not verdict.runs or repeated or known.silent or known.torn:
        raise AssertionError(known.told())
    return assert_placed(result, side, verdict, said, heard, repeated_ms=TICK * 1000 if twice else 0.0)


def assert_heard(
    result: Result, listener: Call, *, since: float | None = None, until: float = inf
) -> Verdict:
    """The local side holds all that reached the outside party's phone, whoever said or played it.

    Left out is what arrived before `since` and after `until` (Unix seconds), and frames so quiet that they
    could be found anywhere. Music may repeat itself, so that something stands twice is no fault here.
    """
    packets = [p for p in listener.packets if p.payload_type in AUDIO_TYPES and p.arrived_at <= until]
    telling = [p for p in packets if len(set(p.payload)) >= TELLING]
    assert telling, f"{listener!r} heard nothing"
    verdict = in_order(channel_of(result, Side.LOCAL), [p.payload for p in telling])
    known = Stated(result, Side.LOCAL, verdict, [p.arrived_at for p in telling], (), since)
    if known.silent:
        raise AssertionError(known.told())
    return verdict


def in_order(channel: bytes, frames: Sequence[bytes]) -> Verdict:
    """Where each frame stands, one after the other, as a verdict without damage and repetition."""
    runs, missing, position = [], [], 0
    for number, frame in enumerate(frames):
        found = channel.find(frame, position, position + WINDOW)
        if found < 0:
            missing.append(number)
            continue
        runs.append(Run(found, number * FRAME, len(frame)))
        position = found + len(frame)
    return Verdict(runs, len(frames), missing)


def channel_of(result: Result, side: Side) -> bytes:
    channels: list[str] = result.metadata["audio"][0]["channels"]
    return result.wave.channels[channels.index(side.value)]


def assert_placed(
    result: Result,
    side: Side,
    verdict: Verdict,
    said: Call,
    heard: Call | None = None,
    *,
    repeated_ms: float = 0.0,
) -> Placed:
    """Every frame stands where the wall clock says, within a tick and the delays of its packets.

    Where packets were seen to be late, so that Asterisk's threads had no turn either, only within what a
    snoop's queue can hold. `repeated_ms`: what Asterisk itself played twice before the frames, which stand
    that much later for it.
    """
    found = [place.error_ms for place in placements(verdict.runs, said.sent_at, result.begins_at)]
    placed = Placed(found[0], min(found), max(found), disturbance_ms(said, heard))
    bound = TICK * 1000 + ROUNDING_MS + placed.disturbed + repeated_ms
    if placed.disturbed > CALM_MS:
        bound += QUEUE_MS  # nobody tells by how much Asterisk's own threads were late
    assert -bound - missed_ticks_ms(result, side) <= placed.earliest, f"too early: {placed}"
    assert placed.latest <= bound, f"too late: {placed}"
    return placed


def missed_ticks_ms(result: Result, side: Side) -> float:
    """By how much the legs are shorter than the clock says: ticks at which Asterisk's thread had no turn.

    Nothing said is lost by it, but in a pause no silence is written then, and what follows stands too early.
    """
    missed = 0.0
    for segment in result.metadata["segments"]:
        leg = segment[side.value]
        if leg["started_at"] and leg["finished_at"]:
            lasted = moment(leg["finished_at"]) - moment(leg["started_at"])
            missed += max(0.0, lasted - leg["bytes"] / 2 / segment["rate"])
    return missed * 1000


class Stated:
    """Which frames are missing or torn, and of which of them the metadata does not tell.

    `times` are when each frame was on the wire, `lateness` by how much each was late (seconds).
    """

    def __init__(
        self,
        result: Result,
        side: Side,
        verdict: Verdict,
        times: Sequence[float],
        lateness: Sequence[float],
        since: float | None,
    ) -> None:
        self._result, self._side, self._verdict, self._times = result, side, verdict, times
        late = 2 * TICK + max(lateness, default=0.0)
        edges = [(self._cut_off(), inf)]
        edges += [(0.0, since + late)] if since is not None else []
        told = [(begin - late, end + late) for begin, end in self._gaps()]
        excused = set(overflow(verdict.missing)) if max(lateness, default=0.0) > MUCH else set()
        excused |= flushed(result, verdict)
        self.silent = [n for n in verdict.missing if n not in excused and not self._in(n, [*edges, *told])]
        """Frames of which nothing is there, and nobody says so."""
        self.torn = [n for n in verdict.damaged if not self._in(n, [*edges, *told])]
        """Frames of which a part is there, and nobody says so."""

    def _in(self, frame: int, stretches: Sequence[tuple[float, float]]) -> bool:
        return any(begin <= self._times[frame] <= end for begin, end in stretches)

    def _gaps(self) -> Iterator[tuple[float, float]]:
        """What the metadata tells: edits, and the time between one segment's end and the next one's start."""
        for edit in self._result.metadata["assembly"]["edits"]:
            gap = edit["what"] == "gap" and edit["detail"].startswith(self._side.value)
            if gap or edit["what"] == "resampled":
                yield moment(edit["at"]), moment(edit["until"])
        for one, other in pairwise(self._result.metadata["segments"]):
            yield moment(one[self._side.value]["finished_at"]), moment(other[self._side.value]["started_at"])

    def _cut_off(self) -> float:
        """From when on a frame cannot be there: it still waited in the snoop's queue when the call ended.

        The queue is as long as the silence that Asterisk inserted when packets were late; what waits there
        at the end is lost (ALIGNMENT.md).
        """
        placed = placements(self._verdict.runs, self._times, self._result.begins_at)
        behind = max(placed[-1].error_ms, 0.0) / 1000 if placed else 0.0
        length: float = self._result.metadata["assembly"]["seconds"]
        return self._result.begins_at + length - behind - 2 * TICK

    def told(self) -> str:
        """For people."""
        lines = [describe(self._verdict, f"{self._side} of {self._result.file.stem}")]
        lines += [f"  missing without a word: frames {self.silent}"] if self.silent else []
        edits = self._result.metadata["assembly"]["edits"]
        lines += [f"  edit {e['at']} to {e['until']}: {e['what']} {e['detail']}" for e in edits]
        return "\n".join(lines)


def overflow(missing: Sequence[int]) -> Iterator[int]:
    """The frames of stretches so long that a snoop's queue overflowed and was emptied: on every Asterisk it
    holds half a second, which packets fill that come in a burst after a stall (ALIGNMENT.md)."""
    for stretch in stretches(missing):
        yield from stretch if len(stretch) >= OVERFLOW else ()


def stretches(frames: Sequence[int]) -> Iterator[list[int]]:
    """Frame numbers in rising order, those that follow each other together."""
    stretch: list[int] = []
    for frame in [*frames, -1]:
        if stretch and frame != stretch[-1] + 1:
            yield stretch
            stretch = []
        stretch.append(frame)


def flushed(result: Result, verdict: Verdict) -> set[int]:
    """The frames that this Asterisk may have thrown away by itself: short stretches, and few in all."""
    found = [stretch for stretch in stretches(verdict.missing) if len(stretch) <= FLUSHED]
    lost = {frame for stretch in found for frame in stretch}
    return lost if flushes(result) and len(lost) <= FEW * verdict.frames else set()


def flushes(result: Result) -> bool:
    """Before 16.30, 18.16 and 20.1 a snoop collects the side that nobody reads, too, and empties both queues
    each time that one is half a second long (audiohook.c; mended by ASTERISK-30252). Frames that waited
    there, because one before them was late, are lost."""
    version = tuple(int(part) for part in re.findall(r"\d+", result.call["pbx_version"])[:2])
    return version < (16, 30)
