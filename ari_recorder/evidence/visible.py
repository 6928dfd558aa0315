"""Text from the network made harmless: one value can never look like, or become, another line.

Everything that Unicode does not call printable (controls, line ends, bidi overrides, zero-width signs,
lone surrogates, unassigned code points) becomes a visible escape. `revealed` turns it back, so nothing
is lost: `\\\\` is a backslash, `\\uXXXX` and `\\UXXXXXXXX` are code points in hexadecimal.
"""

from __future__ import annotations

import json
import re
from typing import Any

_ESCAPE = re.compile(r"\\(?:\\|u[0-9a-f]{4}|U000[0-9a-f]{5}|U0010[0-9a-f]{4})")
_NOT_ASCII = re.compile(r"[^\n\x20-\x7e]")


def visible(text: str) -> str:
    """`text` on one line, every sign that cannot be seen written as an escape."""
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return "".join(_escaped(sign) for sign in text)


def revealed(text: str) -> str:
    """The original of what `visible` wrote. A backslash that begins no escape stays as it is."""
    return _ESCAPE.sub(lambda match: _original(match.group()), text)


def json_text(value: object) -> str:
    """JSON in UTF-8, two spaces of indentation, what cannot be seen as `\\uXXXX`; ends with a line end.

    Unlike plain `json.dumps` the result can always be encoded, even with lone surrogates in a name.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return _NOT_ASCII.sub(lambda match: _json_escaped(match.group()), text)


def parsed(data: bytes) -> Any:
    """JSON of unknown origin; ValueError for everything that is not JSON, also when nested too deep."""
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _escaped(sign: str) -> str:
    if sign == "\\":
        return "\\\\"
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"


def _original(escape: str) -> str:
    return "\\" if escape == "\\\\" else chr(int(escape[2:], 16))


def _json_escaped(sign: str) -> str:
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else json.dumps(sign)[1:-1]
