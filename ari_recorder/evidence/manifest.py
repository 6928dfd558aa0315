"""The metadata of a sealed recording as a JSON document, `<name>.json`.

Shape and meaning of every field: docs/reference/evidence.md. The format is frozen: a change that an old
reader would misunderstand gets a new number in `FORMAT`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from .. import __version__
from ..model import document
from ..model.call import Party
from ..model.evidence import Link
from ..model.recording import Announcement, Assembled, AudioFile, Call, Leg, Note, Recording, Segment
from ..model.statement import Entry
from .visible import json_text, parsed

FORMAT = "ari-recorder/metadata/1"

Document = dict[str, Any]


def describe(recording: Recording, link: Link, certificate_sha256: str) -> Document:
    """The document of an assembled recording that takes the place `link` in the chain."""
    assembled = recording.assembled
    if recording.statement:
        return _statement(recording, link, certificate_sha256)
    if assembled is None:
        raise ValueError(f"recording {recording.id} is not assembled")
    names = audio_names(link.name, assembled)
    return {
        **_head(recording, link, certificate_sha256),
        "call": _call(recording.call),
        "setting": _setting(recording),
        "audio": [_audio(file, name) for file, name in zip(assembled.files, names, strict=True)],
        "assembly": {
            "begins_at": _time(assembled.begins_at),
            "seconds": round(assembled.seconds, 6),
            "exact": assembled.exact,
            "edits": [_note(edit) for edit in assembled.edits],
        },
        "segments": [_segment(segment) for segment in recording.segments],
        "announcements": [_announcement(item) for item in recording.announcements],
        "notes": [_note(note) for note in recording.notes],
        "chain": _chain(link),
    }


def _head(recording: Recording, link: Link, certificate_sha256: str) -> Document:
    return {
        "format": FORMAT,
        "name": link.name,
        "recording": {
            "id": recording.id,
            "decided_at": _time(recording.decided_at),
            "sealed_at": _time(link.sealed_at),
            "recorder_version": __version__,
            "certificate_sha256": certificate_sha256,
        },
    }


def _statement(recording: Recording, link: Link, certificate_sha256: str) -> Document:
    """The same format with nothing in the fields of a call: a verifier that knows no statements takes it for
    a recording without sound, and still checks signature, hashes and chain."""
    return {
        **_head(recording, link, certificate_sha256),
        "statement": [_entry(entry) for entry in recording.statement],
        "audio": [],
        "chain": _chain(link),
    }


def _entry(entry: Entry) -> Document:
    return {
        "kind": entry.kind.value,
        "pbx": entry.pbx,
        "at": _time(entry.at),
        "until": _time(entry.until),
        "reason": entry.reason,
        "detail": entry.detail,
    }


def encode(content: Document) -> bytes:
    return json_text(content).encode()


def decode(data: bytes) -> Document:
    """The document from bytes; ValueError says what is wrong. Only for bytes whose hash was proven."""
    content = parsed(data)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    return content


def link_in(content: Document, signature_sha256: str) -> Link:
    """The link a document states; ValueError when it states none. `signature_sha256`: of its `.sig`."""
    recording, chain = content.get("recording"), content.get("chain")
    if not (isinstance(recording, dict) and isinstance(chain, dict)):
        raise ValueError("it states no place in a chain")  # noqa: TRY004 - content, not a caller's type
    raw = {
        "number": chain.get("number"),
        "recording": recording.get("id"),
        "name": content.get("name"),
        "sealed_at": recording.get("sealed_at"),
        "signature_sha256": signature_sha256,
        "previous": chain.get("previous"),
        "places": chain.get("places"),
        "chain": chain.get("name"),
    }
    try:
        return document.load(Link, json.dumps(raw))
    except RecursionError as error:
        raise ValueError("its chain is nested too deep") from error


def audio_names(name: str, assembled: Assembled) -> tuple[str, ...]:
    """Final names of the audio files: `<name>.wav`, or `<name>_remote.wav` and `<name>_local.wav`."""
    if len(assembled.files) == 1:
        return (f"{name}.wav",)
    names = tuple(f"{name}_{'_'.join(file.channels)}.wav" for file in assembled.files)
    if len(set(names)) < len(names):
        raise ValueError("two audio files of one recording hold the same sides")
    return names


def _call(call: Call) -> Document:
    encrypted = {None: "unknown", True: "yes", False: "no"}[call.encrypted]
    return {
        "pbx": call.pbx,
        "pbx_version": call.pbx_version,
        "channel": call.channel,
        "channel_name": call.channel_name,
        "linkedid": call.linkedid,
        "sip_call_id": call.sip_call_id,
        "direction": None if call.direction is None else call.direction.value,
        "caller": _party(call.caller),
        "callee": _party(call.callee),
        "trunk": call.trunk,
        "trunk_number": call.trunk_number,
        "codec": call.codec,
        "encrypted": encrypted,
        "created_at": _time(call.created_at),
        "answered_at": _time(call.answered_at),
        "ended_at": _time(call.ended_at),
        "seconds": _between(call.created_at, call.ended_at),
        "answered_seconds": _between(call.answered_at, call.ended_at),
    }


def _party(party: Party) -> Document:
    return {"number": party.number, "name": party.name}


def _setting(recording: Recording) -> Document:
    chosen = recording.setting
    return {
        "name": chosen.name,
        "revision": chosen.revision,
        "start": chosen.start.value,
        "sides": chosen.sides.value,
        "targets": list(chosen.targets),
        "announcement": chosen.announcement,
    }


def _audio(file: AudioFile, name: str) -> Document:
    return {
        "name": name,
        "channels": [side.value for side in file.channels],
        "coding": file.coding.value,
        "rate": file.rate,
        "samples": file.samples,
        "bytes": file.bytes,
        "sha256": file.sha256,
    }


def _segment(segment: Segment) -> Document:
    return {
        "number": segment.number,
        "codec": segment.codec,
        "rate": segment.rate,
        "why": segment.why,
        "remote": _leg(segment.remote),
        "local": _leg(segment.local),
    }


def _leg(leg: Leg) -> Document:
    return {
        "started_at": _time(leg.started_at),
        "finished_at": _time(leg.finished_at),
        "bytes": leg.bytes,
        "error": leg.error,
    }


def _announcement(item: Announcement) -> Document:
    return {
        "prompt": item.prompt,
        "sha256": item.sha256,
        "started_at": _time(item.started_at),
        "finished_at": _time(item.finished_at),
        "heard": item.heard,
    }


def _note(note: Note) -> Document:
    return {"at": _time(note.at), "until": _time(note.until), "what": note.what, "detail": note.detail}


def _chain(link: Link) -> Document:
    return {
        "name": link.chain,
        "number": link.number,
        "previous": document.plain(link.previous),
        "places": [document.plain(place) for place in link.places],
    }


def _time(at: datetime | None) -> str | None:
    """UTC, ISO 8601, microseconds, `Z`."""
    if at is None:
        return None
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _between(begin: datetime | None, end: datetime | None) -> float | None:
    return None if begin is None or end is None else round((end - begin).total_seconds(), 6)
