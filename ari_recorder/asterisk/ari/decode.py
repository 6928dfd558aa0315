"""ARI's JSON as values of ours. Strings in it come from the network: any length, any character."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ...capture.events import Channel
from ...model.call import Party

LONGEST_MESSAGE = 300


class MalformedError(ValueError):
    """The JSON does not have the shape that ARI documents."""


def text(value: object) -> str:
    """A string that can be encoded; "" for what is no string. Lone surrogates become U+FFFD."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def identifier(data: Mapping[str, Any], key: str) -> str:
    """A string that must be there."""
    value = text(data.get(key))
    if not value:
        raise MalformedError(f"{key} is missing")
    return value


def whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def texts(value: object) -> tuple[str, ...]:
    return tuple(text(item) for item in value) if isinstance(value, list) else ()


def mapping(value: object) -> dict[str, Any]:
    """A JSON object; MalformedError for anything else."""
    if not isinstance(value, dict):
        raise MalformedError("an object is missing")
    return value


def mappings(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise MalformedError("a list is missing")
    return [mapping(item) for item in value]


def moment(value: object) -> datetime:
    """`2026-11-21T22:50:46.123+0000` as an aware time in UTC."""
    try:
        at = datetime.fromisoformat(text(value))
        if at.tzinfo is None:
            raise MalformedError(f"time without zone: {value!r}")
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"no time: {printable(str(value))}") from error


def party(value: object) -> Party:
    data = value if isinstance(value, dict) else {}
    return Party(number=text(data.get("number")), name=text(data.get("name")))


def channel(value: object) -> Channel:
    """A `Channel` from ARI's Channel model, the same in Asterisk 16 and 22 but for `protocol_id`."""
    data = mapping(value)
    dialplan = data.get("dialplan")
    dialplan = dialplan if isinstance(dialplan, dict) else {}
    variables = data.get("channelvars")
    variables = variables if isinstance(variables, dict) else {}
    created = data.get("creationtime")
    return Channel(
        id=identifier(data, "id"),
        name=text(data.get("name")),
        state=text(data.get("state")),
        caller=party(data.get("caller")),
        connected=party(data.get("connected")),
        exten=text(dialplan.get("exten")),
        context=text(dialplan.get("context")),
        app=text(dialplan.get("app_name")),
        app_data=text(dialplan.get("app_data")),
        created_at=moment(created) if created else None,
        linkedid=text(variables.get("CHANNEL(linkedid)")),
        protocol_id=text(data.get("protocol_id")),
    )


def printable(message: str) -> str:
    """Foreign text on one line of a terminal: control characters escaped, length bounded."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text(message))
    return shown if len(shown) <= LONGEST_MESSAGE else shown[:LONGEST_MESSAGE] + "…"
