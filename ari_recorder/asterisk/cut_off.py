"""A call that Asterisk's own end cut off: what the metadata says of it. Pure.

`capture/reconcile.py` notes that it was cut off, and when that was noticed; when it was cut off only the legs
can tell, once they are fetched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from ..capture.reconcile import CUT_OFF
from ..model.recording import Note, Recording


def timed(recording: Recording, end: datetime | None, written: Iterable[datetime | None]) -> Recording:
    """The recording whose note `cut-off` runs from the last sample on the disk until it was noticed.

    `end`: of the audio; `written`: when Asterisk last wrote to the legs of the last segment. A recording that
    was not cut off, or was told its time already, stays as it is.
    """
    if all(note.what != CUT_OFF for note in recording.notes):
        return recording
    last = max((at for at in written if at is not None), default=None)
    notes = tuple(_timed(note, end, last) for note in recording.notes)
    return replace(recording, notes=tuple(sorted(notes, key=lambda note: note.at)))


def _timed(note: Note, end: datetime | None, last: datetime | None) -> Note:
    if note.what != CUT_OFF or note.until is not None or end is None:
        return note
    told = f"; last written to the disk at {last:%H:%M:%S.%f}"[:-3] + " UTC" if last is not None else ""
    return replace(note, at=min(end, note.at), until=note.at, detail=note.detail + told)
