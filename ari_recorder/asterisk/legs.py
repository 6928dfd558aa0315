"""Fetches finished legs out of Asterisk's recording folder, and clears them away once they are sealed.

Asterisk closes a file before it says RecordingFinished, but does not fsync it (ASTERISK.md, "Files"): the
copy in the spool is fsynced before anything is deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..disk import durable
from ..disk.faults import fault_point
from ..model.call import Side
from ..model.errors import PermanentError, TransientError
from ..model.recording import Leg, Recording, Segment, State
from .orders import FORMATS

QUIET = timedelta(seconds=5)
"""A leg whose end was not reported counts as closed once it has not grown for so long: while Asterisk records
it writes at least every 2 s, silence too (ASTERISK.md, "Files")."""

log = logging.getLogger(__name__)

LegFile = Callable[[int, Side], str]
"""Segment number and side → the leg's file name in the spool."""


def path_of(leg: Leg, rate: int, recordings: Path) -> Path:
    """Where Asterisk wrote the leg; the extension is the format's name."""
    return recordings / f"{leg.name}.{FORMATS[rate]}"


def collect(recording: Recording, recordings: Path, destination: Path, name_of: LegFile) -> Recording:
    """Copy every leg into the spool, durably; the recording with the legs' sizes.

    A leg that Asterisk never wrote is stated in `Leg.error`. Idempotent: a leg copied whole is not copied
    again. What a recorder that was killed had no time to journal, rate and begin of a segment, is told by
    the files. TransientError `capture.no-legs` while Asterisk's folder cannot be reached or a leg may still
    grow, PermanentError when it can and holds no leg at all; TransientError `spool.full` or `spool.unusable`.
    """
    with durable.explained(f"Making {destination}"):
        destination.mkdir(mode=0o700, exist_ok=True)
    segments = tuple(
        _collected(_rated(s, recordings), recordings, destination, name_of) for s in recording.segments
    )
    if not any(leg.bytes for s in segments for leg in (s.remote, s.local)):
        raise _nothing(recordings)
    if recordings.is_dir():
        # Neither journal nor folder knows a rate: killed before it was recorded, it never began.
        segments = tuple(s for s in segments if s.rate)
    recording = replace(recording, segments=segments)
    if recording.call.ended_at is None:
        recording = replace(recording, call=replace(recording.call, ended_at=_end(segments)))
    return recording


def discard(recording: Recording, recordings: Path) -> tuple[str, ...]:
    """Delete the legs on Asterisk's side; the names (`Leg.name`) of those that could not be.

    Of a refused call all go, of any other only what was fetched, and fetched whole. TransientError
    `capture.no-legs` while audio of a refused call lies where it cannot be reached.
    """
    folders = set()
    left = []
    all_of_it = recording.state is State.REFUSED
    for segment in (_rated(s, recordings) for s in recording.segments):
        for leg in (segment.remote, segment.local):
            if all_of_it and leg.started_at is not None:
                _demand_folder(leg, recordings)
            if segment.rate in FORMATS:
                path = path_of(leg, segment.rate, recordings)
                folders.add(path.parent)
                if not all_of_it and _holds_more(path, leg):
                    continue
                try:
                    path.unlink(missing_ok=True)
                except OSError:
                    left.append(leg.name)
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
    return tuple(left)


def _holds_more(path: Path, leg: Leg) -> bool:
    """Whether a leg's file is not the one that was fetched: then it stays, for a person."""
    try:
        size = path.stat().st_size
    except OSError:
        return False
    if size == leg.bytes:
        return False
    log.warning("leg-kept: %s holds %d bytes, of which %d are in the recording", path, size, leg.bytes or 0)
    return True


def _rated(segment: Segment, recordings: Path) -> Segment:
    """The segment with its rate; where the journal has none, by the files' extensions."""
    if segment.rate:
        return segment
    legs = (segment.remote, segment.local)
    there = (rate for rate in FORMATS if any(path_of(leg, rate, recordings).exists() for leg in legs))
    return replace(segment, rate=next(there, 0))


def _collected(segment: Segment, recordings: Path, destination: Path, name_of: LegFile) -> Segment:
    for side in Side:
        leg = segment.leg(side)
        copy = destination / name_of(segment.number, side)
        segment = segment.with_leg(side, _fetched(leg, segment.rate, recordings, copy))
    return segment


def _fetched(leg: Leg, rate: int, recordings: Path, copy: Path) -> Leg:
    if leg.bytes is not None and copy.exists() and copy.stat().st_size == leg.bytes:
        return leg
    if rate not in FORMATS:
        _demand_folder(leg, recordings)
        return replace(leg, error=leg.error or "its recording never began")
    source = path_of(leg, rate, recordings)
    fault_point("legs.copy")
    try:
        closed_at = datetime.fromtimestamp(source.stat().st_mtime, UTC)
        if leg.finished_at is None and datetime.now(UTC) - closed_at < QUIET:
            raise TransientError(
                "capture.no-legs", f"Asterisk may still be writing the recorded leg {source}."
            )
        size = durable.copy(source, copy)
    except FileNotFoundError:
        _demand_folder(leg, recordings)
        return replace(leg, error=leg.error or "Asterisk left no file")
    except PermissionError as error:
        raise TransientError(
            "capture.no-legs",
            f"The recorded leg {source} may not be read.",
            remedy="Let the recorder's user read Asterisk's recording folder (for example by its group).",
        ) from error
    except OSError as error:
        if error.errno in durable.FULL:
            raise TransientError(
                "spool.full", f"No space is left for {copy}.", remedy="Free space on the spool's disk."
            ) from error
        raise TransientError("capture.no-legs", f"{source} cannot be copied: {error.strerror}.") from error
    if leg.asked_at is None and leg.started_at is None:
        leg = replace(leg, asked_at=closed_at - timedelta(seconds=size / 2 / rate))
    return replace(leg, bytes=size)


def _demand_folder(leg: Leg, recordings: Path) -> None:
    """Asterisk makes our folder below its own with the first leg, and nobody removes it."""
    if not (recordings / leg.name.partition("/")[0]).is_dir():
        raise TransientError(
            "capture.no-legs",
            f"Asterisk's recording folder {recordings} is not there, or holds nothing of the recorder's.",
            remedy='Mount it, or correct "recordings" in the configuration; the recording waits for it.',
        )


def _nothing(recordings: Path) -> PermanentError:
    return PermanentError(
        "capture.no-legs",
        f"Asterisk left no audio of this call in {recordings}.",
        remedy='Check that "recordings" is the folder Asterisk writes to, and that nothing else empties it.',
    )


def _end(segments: tuple[Segment, ...]) -> datetime | None:
    """When the audio ends: stands for the call's end where nobody saw it."""
    ends = [
        begun + timedelta(seconds=(leg.bytes or 0) / 2 / segment.rate)
        for segment in segments
        for leg in (segment.remote, segment.local)
        if segment.rate and (begun := leg.started_at or leg.asked_at)
    ]
    return max(ends, default=None)
