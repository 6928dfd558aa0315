"""The same metadata for people, `<name>_info.txt`: `Key: value` lines in groups.

The text is a function of the JSON document alone. Values are made visible (visible.py), so a value can
never fake another line; an empty value leaves `Key:`. Field list: docs/reference/evidence.md.
"""

from __future__ import annotations

from typing import Any

from .manifest import Document
from .visible import revealed, visible

HEAD = "ari-recorder/info/1"

Line = tuple[str, Any]

GROUPS: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("Recording", "recording.id"),
        ("Name", "name"),
        ("Decided", "recording.decided_at"),
        ("Sealed", "recording.sealed_at"),
        ("Recorder version", "recording.recorder_version"),
        ("Certificate SHA-256", "recording.certificate_sha256"),
    ),
    (
        ("PBX", "call.pbx"),
        ("PBX version", "call.pbx_version"),
        ("Channel", "call.channel"),
        ("Channel name", "call.channel_name"),
        ("Linkedid", "call.linkedid"),
        ("SIP Call-ID", "call.sip_call_id"),
        ("Direction", "call.direction"),
        ("Caller number", "call.caller.number"),
        ("Caller name", "call.caller.name"),
        ("Callee number", "call.callee.number"),
        ("Callee name", "call.callee.name"),
        ("Trunk", "call.trunk"),
        ("Trunk number", "call.trunk_number"),
        ("Codec", "call.codec"),
        ("Encrypted", "call.encrypted"),
    ),
    (
        ("Call began", "call.created_at"),
        ("Call answered", "call.answered_at"),
        ("Call ended", "call.ended_at"),
        ("Call seconds", "call.seconds"),
        ("Answered seconds", "call.answered_seconds"),
    ),
    (
        ("Setting", "setting.name"),
        ("Setting revision", "setting.revision"),
        ("Recorded from", "setting.start"),
        ("Recorded sides", "setting.sides"),
        ("Announcement", "setting.announcement"),
    ),
    (
        ("Audio begins", "assembly.begins_at"),
        ("Audio seconds", "assembly.seconds"),
        ("Exact", "assembly.exact"),
    ),
    (
        ("Chain", "chain.name"),
        ("Chain number", "chain.number"),
        ("Previous number", "chain.previous.number"),
        ("Previous name", "chain.previous.name"),
        ("Previous signature SHA-256", "chain.previous.signature_sha256"),
    ),
)
"""Every single-valued key with its place in the JSON document. Lists follow their group's subject."""


def write(content: Document) -> bytes:
    """The text of a document that `manifest.describe` made."""
    fixed = [_fixed(content, group) for group in GROUPS]
    *first, chain = fixed
    groups = [
        *(_stated(number, item) for number, item in _numbered(content.get("statement"))),
        *first,
        *(_audio(number, item) for number, item in _numbered(content["audio"])),
        [_segment(number, item) for number, item in _numbered(content.get("segments"))],
        [_announcement(number, item) for number, item in _numbered(content.get("announcements"))],
        [_note("Note", number, item) for number, item in _numbered(content.get("notes"))],
        [_note("Edit", number, item) for number, item in _numbered(_at(content, "assembly.edits"))],
        [*chain, *_places(content)],
    ]
    blocks = ["".join(_line(key, value) for key, value in group) for group in groups if group]
    return "\n".join([HEAD + "\n", *blocks]).encode()


def read(data: bytes) -> dict[str, str]:
    """Key → original value; ValueError names the line that is not `Key: value`, or that says it again."""
    head, *lines = data.decode().split("\n")
    if head != HEAD or lines[-1:] != [""]:
        raise ValueError(f"it is not a text of format {HEAD}")
    found: dict[str, str] = {}
    for number, line in enumerate(lines[:-1], 2):
        if not line:
            continue
        key, colon, value = line.partition(":")
        if not colon or key in found or value[:1] not in ("", " "):
            raise ValueError(f"line {number} is not a line of its own")
        found[key] = revealed(value[1:])
    return found


def disagreements(content: Document, told: dict[str, str]) -> list[str]:
    """Keys whose value in the text is not the one in the JSON document."""
    expected = [line for group in GROUPS for line in _fixed(content, group)]
    for number, item in _numbered(content.get("audio")):
        expected += _audio(number, item)
    for number, item in _numbered(content.get("statement")):
        expected += _stated(number, item)
    expected += _places(content)
    return [key for key, value in expected if told.get(key) != as_text(value)]


def _fixed(content: Document, group: tuple[tuple[str, str], ...]) -> list[Line]:
    return [(key, _at(content, path)) for key, path in group]


def _at(content: Any, path: str) -> Any:
    for step in path.split("."):
        content = content.get(step) if isinstance(content, dict) else None
    return content


def _numbered(items: Any) -> list[tuple[int, Document]]:
    if not isinstance(items, list):
        return []
    return [(number, item) for number, item in enumerate(items, 1) if isinstance(item, dict)]


def _audio(number: int, item: Document) -> list[Line]:
    channels = item.get("channels")
    sides = [str(side) for side in channels] if isinstance(channels, list) else []
    where = ("left", "right") if len(sides) > 1 else ("mono",)
    told = ", ".join(f"{place} = {side}" for place, side in zip(where, sides, strict=False))
    keys = (
        ("coding", "coding"),
        ("rate", "rate"),
        ("samples", "samples"),
        ("bytes", "bytes"),
        ("SHA-256", "sha256"),
    )
    rest = [(f"Audio {number} {key}", item.get(field)) for key, field in keys]
    return [(f"Audio {number}", item.get("name")), (f"Audio {number} channels", told), *rest]


def _stated(number: int, item: Document) -> list[Line]:
    keys = (("PBX", "pbx"), ("from", "at"), ("until", "until"), ("reason", "reason"), ("detail", "detail"))
    rest = [(f"Statement {number} {key}", item.get(field)) for key, field in keys]
    return [(f"Statement {number}", item.get("kind")), *rest]


def _places(content: Document) -> list[Line]:
    lines: list[Line] = []
    for number, item in _numbered(_at(content, "chain.places")):
        lines += [
            (f"Place {number} target", item.get("target")),
            (f"Place {number} number", item.get("number")),
            (f"Place {number} previous name", item.get("previous")),
        ]
    return lines


def _segment(number: int, item: Document) -> Line:
    legs = [f"{side} {_span(item[side]['started_at'], item[side]['finished_at'])}" for side in _SIDES]
    faults = [f"{side}: {item[side]['error']}" for side in _SIDES if item[side]["error"]]
    told = [f"{item['codec']} {item['rate']} Hz, {item['why']}", *legs, *faults]
    return f"Segment {number}", "; ".join(told)


_SIDES = ("remote", "local")


def _announcement(number: int, item: Document) -> Line:
    heard = "heard to its end" if item["heard"] else "not heard to its end"
    span = _span(item["started_at"], item["finished_at"])
    return f"Announcement {number}", f"{item['prompt']}, SHA-256 {item['sha256']}, {span}, {heard}"


def _note(kind: str, number: int, item: Document) -> Line:
    span = _span(item["at"], item["until"]) if item["until"] else item["at"]
    told = f"{item['what']}, {span}"
    return f"{kind} {number}", f"{told}: {item['detail']}" if item["detail"] else told


def _span(begin: str | None, end: str | None) -> str:
    return f"{begin or 'unknown'} to {end or 'unknown'}"


def _line(key: str, value: Any) -> str:
    shown = visible(as_text(value))
    return f"{key}: {shown}\n" if shown else f"{key}:\n"


def as_text(value: Any) -> str:
    """A scalar as the text shows it, unescaped. What is no scalar has no text: it is `{}`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        return "{}"
    return "" if value is None else str(value)
