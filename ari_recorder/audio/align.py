"""Two sides on one timeline: from a recording's legs and their clock times to a plan of pieces.

Each leg stands where Asterisk's clock says it began (RecordingStarted, ms; the first sample follows within
20 ms), and whatever no leg covers is silence. Pure: what the legs hold is told by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from ..model.call import Side
from ..model.errors import PermanentError, RecorderError
from ..model.recording import Leg, Note, Recording, Segment, Sides, Start
from .choice import Choice, choose
from .plan import Format, Part, Piece, Plan, Silence, Track, format_of, time_of

TOLERANCE = timedelta(milliseconds=20)
"""How much later than RecordingStarted a leg's first sample may come: less than this is no edit."""

MOST_SILENCE = timedelta(hours=24)
"""Unrecorded time that one recording may hold."""

LegKey: TypeAlias = tuple[int, Side]
Sounding: TypeAlias = Callable[[int, Side, int], int]
"""(segment number, side, first sample) → how many samples from there on are not 0."""

SIDES = {
    Sides.STEREO: (Side.REMOTE, Side.LOCAL),
    Sides.SEPARATE: (Side.REMOTE, Side.LOCAL),
    Sides.REMOTE: (Side.REMOTE,),
    Sides.LOCAL: (Side.LOCAL,),
}


@dataclass(frozen=True, slots=True)
class _Take:
    """What is used of one leg: `count` samples from `first` on; sample `first` was spoken at `began`."""

    segment: Segment
    side: Side
    began: datetime
    first: int
    count: int


def align(recording: Recording, sizes: Mapping[LegKey, int], sounding: Sounding) -> Plan:
    """The plan for `recording` whose leg files have these sizes in bytes (missing legs are not in it).

    `sounding` is asked only when the call's formats differ. RecorderError `capture.no-legs` when there is
    nothing to place at all; PermanentError `audio.too-long` when the clock times cannot be true.
    """
    never = recording.setting.start is Start.ANSWER and recording.call.answered_at is None
    if not sizes and not never:
        raise RecorderError(
            "capture.no-legs",
            f"No recorded leg of {recording.id} is there.",
            remedy="Look for them in Asterisk's recording folder, under the recording's id.",
        )
    begins_at = _begins_at(recording, sizes)
    takes = [] if never else _takes(recording, sizes, begins_at)
    choice = choose(_seconds(takes, sounding), _usual_format(recording, takes))
    timeline = _Timeline(begins_at, choice, {side: _Lane(side) for side in SIDES[recording.setting.sides]})
    timeline.notes += [note for take in takes for note in _leg_notes(take, sizes)]
    if never:
        timeline.notes.append(Note(begins_at, "unanswered", "kept from the answer on, and never answered"))
    for segment in recording.segments if not never else ():
        timeline.add(segment, [take for take in takes if take.segment is segment], sounding)
    plan = timeline.finish()
    _check_length(recording, plan, takes)
    return plan


def _check_length(recording: Recording, plan: Plan, takes: list[_Take]) -> None:
    """Refuse a timeline that a wrong clock made long: it would fill the disk with silence."""
    seconds = plan.frames / plan.format.rate
    if seconds - sum(take.count / take.segment.rate for take in takes) > MOST_SILENCE.total_seconds():
        raise PermanentError(
            "audio.too-long",
            f"The legs of {recording.id} spread over {seconds / 3600:.0f} hours, most of them without sound.",
            remedy="See whether the PBX clock was set in the call; correct `started_at` of the legs, retry.",
        )


def leg_began(segment: Segment, side: Side) -> datetime | None:
    """When a leg began, Asterisk's clock; by its neighbour's or the order's time where that is unknown."""
    leg, other = segment.leg(side), segment.remote if side is Side.LOCAL else segment.local
    return leg.started_at or other.started_at or leg.asked_at or other.asked_at


def _begins_at(recording: Recording, sizes: Mapping[LegKey, int]) -> datetime:
    call, setting = recording.call, recording.setting
    if setting.start is Start.ANSWER and call.answered_at is not None:
        return call.answered_at
    earliest = _first_sample_at(recording, sizes) or call.created_at or recording.decided_at
    if setting.start is Start.AFTER_ANNOUNCEMENT:
        ends = [a.finished_at for a in recording.announcements if a.finished_at is not None]
        return max([earliest, *ends])
    return earliest


def _first_sample_at(recording: Recording, sizes: Mapping[LegKey, int]) -> datetime | None:
    """When the first segment that holds something began; where none does, the first with a known time.

    Segments are in the call's order, which a PBX clock that was set back does not change.
    """
    for least in (2, 0):
        for segment in recording.segments:
            begun = [
                began
                for side in SIDES[recording.setting.sides]
                if sizes.get((segment.number, side), 0) >= least and (began := leg_began(segment, side))
            ]
            if begun:
                return min(begun)
    return None


def _takes(recording: Recording, sizes: Mapping[LegKey, int], begins_at: datetime) -> list[_Take]:
    takes: list[_Take] = []
    for segment in recording.segments:
        # Once something is kept nothing later is cut, whatever the PBX clock did in between.
        cut = not takes
        for side in SIDES[recording.setting.sides]:
            samples = sizes.get((segment.number, side), 0) // 2
            began = leg_began(segment, side) or begins_at
            first = max(0, min(samples, _samples(begins_at - began, segment.rate))) if cut else 0
            if samples > first:
                takes.append(_Take(segment, side, max(began, begins_at), first, samples - first))
    return takes


def _samples(duration: timedelta, rate: int) -> int:
    """A duration in whole samples, to the nearest."""
    return (duration // timedelta(microseconds=1) * rate + 500_000) // 1_000_000


def _seconds(takes: list[_Take], sounding: Sounding) -> dict[Format, float]:
    formats = {format_of(take.segment) for take in takes}
    if len(formats) == 1:
        return dict.fromkeys(formats, 1.0)
    seconds = dict.fromkeys(formats, 0.0)
    for take in takes:
        form = format_of(take.segment)
        seconds[form] += sounding(take.segment.number, take.side, take.first) / form.rate
    return seconds


def _usual_format(recording: Recording, takes: list[_Take]) -> Format:
    if takes:
        return format_of(takes[0].segment)
    if recording.segments:
        return format_of(recording.segments[0])
    nothing = Leg(name="", snoop="")
    codec = recording.call.codec or "alaw"
    return format_of(Segment(0, 8000, codec, "start", nothing, nothing))


def _leg_notes(take: _Take, sizes: Mapping[LegKey, int]) -> Iterator[Note]:
    segment, side = take.segment, take.side
    if segment.leg(side).started_at is None:
        detail = f"{side}: when segment {segment.number} began was not reported; placed by what else is known"
        yield Note(take.began, "placed", detail)
    if sizes[segment.number, side] % 2:
        ended = take.began + timedelta(seconds=take.count / segment.rate)
        yield Note(
            ended, "odd-byte", f"{side}: half a sample at the end of segment {segment.number} left out"
        )


def _missing(segment: Segment, side: Side, takes: list[_Take]) -> Iterator[str]:
    """Why a leg is not there, or not whole; a leg that was merely empty needs no word."""
    leg = segment.leg(side)
    absent = leg.bytes is None and all(take.side is not side for take in takes)
    if leg.error is not None or absent:
        yield f"{side}: segment {segment.number}: {leg.error or 'no file'}"


@dataclass(slots=True)
class _Lane:
    """One side's track while it grows."""

    side: Side
    parts: list[Part] = field(default_factory=list)
    end: int = 0
    missing: list[str] = field(default_factory=list)
    """Why segments since the last part are not there."""

    def put(self, part: Part) -> None:
        if part.length:
            self.parts.append(part)
            self.end = part.at + part.length


@dataclass(slots=True)
class _Timeline:
    begins_at: datetime
    choice: Choice
    lanes: dict[Side, _Lane]
    notes: list[Note] = field(default_factory=list)
    exact: bool = True

    @property
    def rate(self) -> int:
        return self.choice.format.rate

    def add(self, segment: Segment, takes: list[_Take], sounding: Sounding) -> None:
        """Place one segment; both its sides move together when the one before it reaches into it."""
        for side, lane in self.lanes.items():
            lane.missing += _missing(segment, side, takes)
        if not takes:
            return
        places = {take.side: _samples(take.began - self.begins_at, self.rate) for take in takes}
        late = max(0, *(self.lanes[side].end - at for side, at in places.items()))
        if late > _samples(TOLERANCE, self.rate):
            self.exact = False
            detail = f"segment {segment.number}: {late / self.rate:.3f} s later than its clock time"
            self._note("moved", min(places.values()) + late, detail)
        parts = []
        for take in takes:
            lane, at = self.lanes[take.side], places[take.side] + late
            self._gap(lane, at, edge=not lane.parts)
            parts.append(self._part(take, at, sounding))
            lane.put(parts[-1])
        self._converted(segment, [p for p in parts if isinstance(p, Piece) and p.converted])

    def finish(self) -> Plan:
        frames = max((lane.end for lane in self.lanes.values()), default=0)
        for lane in self.lanes.values():
            self._gap(lane, frames, edge=True)
            self.notes += [Note(self._time(lane.end), "leg-error", why) for why in lane.missing]
        if self.choice.mixed and frames:
            self._note("coding", 0, f"the codec changed in the call: kept as {self.choice.format}", frames)
        tracks = tuple(Track(lane.side, tuple(lane.parts)) for lane in self.lanes.values())
        notes = tuple(sorted(self.notes, key=lambda note: note.at))
        return Plan(self.begins_at, self.choice.format, frames, tracks, notes, self.exact)

    def _part(self, take: _Take, at: int, sounding: Sounding) -> Part:
        number, rate = take.segment.number, take.segment.rate
        # To the nearest, but never to none: what was recorded stands in the file, be it half a sample long.
        length = max(1, (take.count * self.rate * 2 + rate) // (2 * rate))
        converted = self.choice.converts(format_of(take.segment))
        if converted and not sounding(number, take.side, take.first):
            return Silence(at, length)
        return Piece(number, take.side, rate, take.first, take.count, at, length, converted)

    def _gap(self, lane: _Lane, until: int, *, edge: bool) -> None:
        """Fill with silence up to `until`, and say so unless it is the slack at the recording's edge."""
        length = until - lane.end
        if length > (_samples(TOLERANCE, self.rate) if edge else 0):
            missing = f"{lane.side}: {length} samples ({length / self.rate:.3f} s) without a recording"
            self._note("gap", lane.end, "; ".join([missing, *lane.missing]), until)
            lane.missing.clear()
        lane.put(Silence(lane.end, max(0, length)))

    def _converted(self, segment: Segment, pieces: list[Piece]) -> None:
        if not pieces:
            return
        self.exact = False
        source = format_of(segment)
        what = "resampled" if source.rate != self.rate else "converted"
        codec = segment.codec or "before the codec was settled"
        detail = f"segment {segment.number} ({codec}): from {source} to {self.choice.format}"
        self._note(what, min(p.at for p in pieces), detail, max(p.at + p.length for p in pieces))

    def _note(self, what: str, at: int, detail: str, until: int | None = None) -> None:
        self.notes.append(Note(self._time(at), what, detail, None if until is None else self._time(until)))

    def _time(self, at: int) -> datetime:
        return time_of(self.begins_at, at, self.rate)
