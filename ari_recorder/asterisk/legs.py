"""Fetches finished legs from Asterisk, and has them cleared away there once they are sealed here.

Two ways lead to them, each a `LegStore`: Asterisk's recording folder, where the recorder sees it
(`SharedFolder`), and ARI, where Asterisk runs on another host (`remote_legs.RemoteLegs`). Either way the copy
in the spool is fsynced before anything is deleted: Asterisk closes a file before it says RecordingFinished,
but does not fsync it (ASTERISK.md, "Files").
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from ..disk import durable
from ..disk.faults import fault_point
from ..model.call import Side
from ..model.errors import PermanentError, TransientError
from ..model.recording import Leg, Recording, Segment, State
from . import cut_off
from .orders import FORMATS

QUIET = timedelta(seconds=5)
"""A leg whose end was not reported counts as closed once it has not grown for so long: while Asterisk records
it writes at least every 2 s, silence too (ASTERISK.md, "Files")."""

log = logging.getLogger(__name__)

LegFile = Callable[[int, Side], str]
"""Segment number and side → the leg's file name in the spool."""

Found = Mapping[tuple[int, Side], int]
"""Segment number and side of a leg that lies on the PBX → its sampling rate."""


class LegStore(Protocol):
    """Where Asterisk's files are got from. All methods block."""

    def found(self, recording: Recording) -> Found:
        """The recording's legs that lie there, also those that its journal does not know of. TransientError
        `capture.no-legs` when that cannot be told: unseen is not the same as not there."""

    def fetch(self, leg: Leg, rate: int, copy: Path, /) -> Leg:
        """Bring one leg to `copy`, whole and durable; the leg with its size, or with why there is none.

        TransientError `capture.no-legs` while it cannot be reached or may still grow, `spool.full`.
        """

    def demand(self, leg: Leg, /) -> None:
        """TransientError `capture.no-legs` when nothing can be said of legs that are not there."""

    def written_at(self, leg: Leg, rate: int, /) -> datetime | None:
        """When Asterisk last wrote to it (its clock), where that can be told."""

    def discard(self, recording: Recording) -> tuple[str, ...]:
        """Delete the legs on Asterisk's side; the names (`Leg.name`) of those that Asterisk must delete.

        Of a refused call all go, of any other only what was fetched, and fetched whole. TransientError
        `capture.no-legs` while audio of a refused call lies where it cannot be reached.
        """

    @property
    def place(self) -> str:
        """For messages: `in /var/spool/asterisk/recording`."""


def path_of(leg: Leg, rate: int, recordings: Path) -> Path:
    """Where Asterisk wrote the leg; the extension is the format's name."""
    return recordings / f"{leg.name}.{FORMATS[rate]}"


def collect(
    recording: Recording,
    source: Path | LegStore,
    destination: Path,
    name_of: LegFile,
    learnt: Callable[[Recording], None] = lambda _recording: None,
) -> Recording:
    """Copy every leg into the spool, durably; the recording with the legs' sizes.

    `learnt` is to journal what the files tell and the journal did not, before the first is copied: a copy
    does not tell its rate, and Asterisk's own file may be gone with its host the next time.

    A leg that Asterisk never wrote is stated in `Leg.error`. Idempotent: a leg copied whole is not copied
    again. What a recorder that was killed had no time to journal, rate and begin of a segment, or a whole
    segment, is told by the files. TransientError `capture.no-legs` while they cannot be reached or a leg may
    still grow, PermanentError when they can and there is none at all; TransientError `spool.full` or
    `spool.unusable`.
    """
    store = source if not isinstance(source, Path) else SharedFolder(source)
    with durable.explained(f"Making {destination}"):
        destination.mkdir(mode=0o700, exist_ok=True)
    known = _with_all_there_is(recording, store)
    if known != recording:
        learnt(known)
    recording = known
    segments = tuple(_collected(segment, store, destination, name_of) for segment in recording.segments)
    if not any(leg.bytes for s in segments for leg in (s.remote, s.local)):
        raise _nothing(store)
    # Neither journal nor Asterisk knows a rate: killed before it was recorded, it never began.
    segments = tuple(s for s in segments if s.rate)
    recording = replace(recording, segments=segments)
    end = _end(segments)
    if recording.call.ended_at is None:
        recording = replace(recording, call=replace(recording.call, ended_at=end))
    return cut_off.timed(recording, end, [store.written_at(s.leg(side), s.rate) for s in segments[-1:]
                                          for side in Side])  # fmt: skip


def discard(recording: Recording, source: Path | LegStore) -> tuple[str, ...]:
    """See `LegStore.discard`."""
    return (source if not isinstance(source, Path) else SharedFolder(source)).discard(recording)


def segment_of(leg_name: str) -> tuple[int, Side] | None:
    """`ari-recorder/<recording>/2-remote` → (2, remote)."""
    number, _, side = leg_name.rpartition("/")[2].partition("-")
    return (int(number), Side(side)) if number.isdecimal() and side in {*Side} else None


def rate_of_format(name: str) -> int | None:
    """8000 of `sln`."""
    return next((rate for rate, known in FORMATS.items() if known == name), None)


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """Asterisk's recording folder, as the recorder sees it."""

    path: Path

    @property
    def place(self) -> str:
        return f"in {self.path}"

    def found(self, recording: Recording) -> Found:
        legs: dict[tuple[int, Side], int] = {}
        folder = self.path / "ari-recorder" / recording.id
        try:
            for entry in folder.iterdir():
                key, rate = segment_of(entry.stem), rate_of_format(entry.suffix[1:])
                if key is not None and rate is not None:
                    legs[key] = rate
        except FileNotFoundError:
            return {}  # whether the whole of it is out of reach, `demand` asks
        except OSError as error:
            raise TransientError(
                "capture.no-legs", f"Asterisk's folder {folder} cannot be read: {error.strerror}."
            ) from error
        return legs

    def fetch(self, leg: Leg, rate: int, copy: Path) -> Leg:
        source = path_of(leg, rate, self.path)
        try:
            closed_at = datetime.fromtimestamp(source.stat().st_mtime, UTC)
            if leg.finished_at is None and datetime.now(UTC) - closed_at < QUIET:
                raise TransientError(
                    "capture.no-legs", f"Asterisk may still be writing the recorded leg {source}."
                )
            size = durable.copy(source, copy)
        except FileNotFoundError:
            if copy.is_file():
                return fetched_before(leg, copy)
            self.demand(leg)
            return replace(leg, error=leg.error or "Asterisk left no file")
        except PermissionError as error:
            raise TransientError(
                "capture.no-legs",
                f"The recorded leg {source} may not be read.",
                remedy="Let the recorder's user read Asterisk's recording folder (for example by its group).",
            ) from error
        except OSError as error:
            if error.errno in durable.FULL:
                raise spool_full(copy) from error
            raise TransientError(
                "capture.no-legs", f"{source} cannot be copied: {error.strerror}."
            ) from error
        if leg.asked_at is None and leg.started_at is None:
            leg = replace(leg, asked_at=closed_at - timedelta(seconds=size / 2 / rate))
        return replace(leg, bytes=size)

    def demand(self, leg: Leg) -> None:
        """Asterisk makes our folder below its own with the first leg, and nobody removes it."""
        if not (self.path / leg.name.partition("/")[0]).is_dir():
            raise TransientError(
                "capture.no-legs",
                f"Asterisk's recording folder {self.path} is not there, or holds nothing of the recorder's.",
                remedy='Mount it, or correct "recordings" in the configuration; the recording waits for it.',
            )

    def written_at(self, leg: Leg, rate: int) -> datetime | None:
        try:
            return datetime.fromtimestamp(path_of(leg, rate, self.path).stat().st_mtime, UTC)
        except OSError:
            return None

    def discard(self, recording: Recording) -> tuple[str, ...]:
        folders = set()
        left = []
        all_of_it = recording.state is State.REFUSED
        # A sealed recording has all its rates: it need not wait for a folder that cannot be looked into.
        found = self.found(recording) if not all(s.rate for s in recording.segments) else {}
        for segment in (_rated(s, found) for s in recording.segments):
            for leg in (segment.remote, segment.local):
                if all_of_it and leg.started_at is not None:
                    self.demand(leg)
                if segment.rate in FORMATS:
                    path = path_of(leg, segment.rate, self.path)
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
    except FileNotFoundError:
        return False
    except OSError as error:
        log.warning("leg-kept: %s cannot be looked at: %s", path, error.strerror)
        return True
    if size == leg.bytes:
        return False
    log.warning("leg-kept: %s holds %d bytes, of which %d are in the recording", path, size, leg.bytes or 0)
    return True


def _with_all_there_is(recording: Recording, store: LegStore) -> Recording:
    """Rates that the journal does not know, and segments that it does not know at all: an earlier life began
    them when the journal could not be written."""
    found = store.found(recording)
    segments = tuple(_rated(segment, found) for segment in recording.segments)
    known = {segment.number for segment in segments}
    adopted = tuple(
        _adopted(recording, number, rate)
        for number, rate in sorted({n: rate for (n, _), rate in found.items() if n not in known}.items())
    )
    return replace(recording, segments=tuple(sorted((*segments, *adopted), key=lambda s: s.number)))


def _adopted(recording: Recording, number: int, rate: int) -> Segment:
    log.warning("segment-adopted: %s had a segment %d that its journal did not know", recording.id, number)
    legs = {
        side: Leg(f"ari-recorder/{recording.id}/{number}-{side}", f"{recording.id}.{number}-{side}")
        for side in Side
    }
    codec = recording.call.codec or ""
    return Segment(number, rate, codec, "adopted", legs[Side.REMOTE], legs[Side.LOCAL])


def _rated(segment: Segment, found: Found) -> Segment:
    """The segment with its rate; where the journal has none, by the files."""
    if segment.rate:
        return segment
    return replace(
        segment, rate=next((found[k] for side in Side if (k := (segment.number, side)) in found), 0)
    )


def _collected(segment: Segment, store: LegStore, destination: Path, name_of: LegFile) -> Segment:
    for side in Side:
        leg = segment.leg(side)
        copy = destination / name_of(segment.number, side)
        segment = segment.with_leg(side, _fetched(leg, segment.rate, store, copy))
    return segment


def _fetched(leg: Leg, rate: int, store: LegStore, copy: Path) -> Leg:
    if leg.bytes is not None and copy.exists() and copy.stat().st_size == leg.bytes:
        return leg
    if rate not in FORMATS:
        store.demand(leg)
        return replace(leg, error=leg.error or "its recording never began")
    fault_point("legs.copy")
    return store.fetch(leg, rate, copy)


def fetched_before(leg: Leg, copy: Path) -> Leg:
    """What has its final name is whole: an earlier life fetched it and had no time to journal its size."""
    return replace(leg, bytes=copy.stat().st_size)


def spool_full(copy: Path) -> TransientError:
    return TransientError(
        "spool.full", f"No space is left for {copy}.", remedy="Free space on the spool's disk."
    )


def _nothing(store: LegStore) -> PermanentError:
    return PermanentError(
        "capture.no-legs",
        f"Asterisk left no audio of this call {store.place}.",
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
