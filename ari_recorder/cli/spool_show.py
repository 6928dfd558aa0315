"""`ari-recorder spool show`: everything that is known of one recording in the spool."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ..model.call import Party
from ..model.delivery import Delivery, DeliveryState
from ..model.document import plain
from ..model.errors import PermanentError
from ..model.recording import Note, Recording, Segment
from ..runtime.foundations import spools
from ..spool.folders import RecordingFolder, Spool
from ..spool.stuck import homeless, trouble
from .console import ConfigPath, Json, emit, errors_explained, machine, out, shown
from .spool_rows import MARKS, call, owed

RecordingId = Annotated[str, typer.Argument(help="The recording's id, as `spool list` shows it.")]


def show(recording: RecordingId, config: ConfigPath = None, json: Json = False) -> None:
    """Show one recording: parties, state, deliveries with errors and next try, files, notes."""
    with errors_explained(json):
        settings = machine(config)
        folder = found(spools(settings), recording)
        one = folder.load()
        files = dict(_files(folder.path))
    if json:
        document: dict[str, Any] = {"folder": str(folder.path), "recording": plain(one), "files": files}
        emit(document)
        return
    for line in _lines(homeless(one, settings.pbx), folder.path, files):
        out.print(line)


def found(spool: Spool, recording_id: str) -> RecordingFolder:
    """The folder of a recording; PermanentError `spool.no-recording`."""
    folder = spool.get(recording_id)
    if folder is None:
        raise PermanentError(
            "spool.no-recording",
            f'There is no recording "{recording_id}" in the spool.',
            remedy='It was delivered, or never was here. "ari-recorder spool list" shows what there is.',
        )
    return folder


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(place) / name
            yield str(path.relative_to(folder)), path.stat().st_size


def _lines(one: Recording, folder: Path, files: dict[str, int]) -> Iterator[str]:
    its = one.call
    yield f"[bold]{shown(one.id)}[/]  {shown(call(one))}"
    yield _line("state", f"{one.state.value}" + (f": {shown(why)}" if (why := trouble(one)) else ""))
    yield _line("setting", f"{shown(one.setting.name)} (policy {shown(one.setting.revision)})")
    yield _line("caller", _party(its.caller))
    yield _line("callee", _party(its.callee))
    way, channel = its.direction or "direction unknown", shown(its.channel_name or its.channel)
    yield _line("call", f"{way}, PBX {shown(its.pbx)}, {channel}")
    for word, at in (("decided", one.decided_at), ("created", its.created_at), ("answered", its.answered_at),
                     ("ended", its.ended_at)):  # fmt: skip
        if at is not None:
            yield _line(word, _time(at))
    if one.sealed is not None:
        yield _line("sealed", f"{_time(one.sealed.link.sealed_at)}, link {one.sealed.link.number}")
        yield _line("certificate", one.sealed.certificate_sha256)
    for segment in one.segments:
        yield _line(f"segment {segment.number}", _segment(segment))
    for delivery in owed(one):
        yield _line("target", _delivery(delivery))
    for note in one.notes:
        yield _line("note", _note(note))
    yield _line("folder", shown(folder))
    for name, size in files.items():
        yield _line("", f"{size:>12,}  {shown(name)}")


def _line(word: str, text: str) -> str:
    return f"[dim]{word:<12}[/] {text}"


def _party(party: Party) -> str:
    return shown(" ".join(word for word in (party.number or "anonymous", party.name) if word))


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _segment(segment: Segment) -> str:
    legs = ", ".join(
        f"{side} {leg.bytes if leg.bytes is not None else 'not fetched'}"
        + (f" ({shown(leg.error)})" if leg.error else "")
        for side, leg in (("remote", segment.remote), ("local", segment.local))
    )
    return f"{segment.rate} Hz, {shown(segment.codec)}, bytes: {legs}"


def _delivery(one: Delivery) -> str:
    text = f"{MARKS[one.state]} {shown(one.target)}: {one.state.value}"
    if one.folder:
        text += f" in {shown(one.folder)}"
    if one.receipts:
        text += f", {len(one.receipts)} file(s) confirmed"
    if one.state is not DeliveryState.DELIVERED:
        text += f", {one.attempts} attempt(s)"
        text += f", next try {_time(one.next_try_at)}" if one.next_try_at else ""
    return text + (f"\n{'':<13}{shown(one.error)}" if one.error else "")


def _note(note: Note) -> str:
    until = f" to {note.until:%H:%M:%S}" if note.until is not None else ""
    return f"{_time(note.at)}{until} {shown(note.what)} {shown(note.detail)}".rstrip()
