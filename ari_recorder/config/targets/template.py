"""Path templates: where inside a target each recording goes."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from ..problems import suggestion
from ..table import Called

TEMPLATE_WORDS: dict[str, str] = {
    "Y": "year of the call's begin, four digits (recorder's local time)",
    "M": "month, two digits",
    "D": "day of the month, two digits",
    "h": "hour, two digits",
    "m": "minute, two digits",
    "s": "second, two digits",
    "direction": "`inbound`, `outbound` or `internal`",
    "setting": "name of the setting that decided",
    "caller": "number of the caller",
    "callee": "number of the callee",
    "remote": "number of the outside party",
    "local": "number of the PBX's own party",
    "trunk": "name of the trunk",
    "trunk_number": "the PBX's own public number",
    "pbx": "name of the PBX",
    "id": "the recording's id",
}
"""What may stand after `$` in a path template."""

_BARE = "|".join(sorted(TEMPLATE_WORDS, key=len, reverse=True))
TEMPLATE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<braced>[A-Za-z_]*)\}"
    rf"|(?P<bare>{_BARE})(?![A-Za-z])|(?P<wrong>\{{?[A-Za-z_]*))"
)
"""Finds `$Y`, `${Y}`, `$$` and, as `wrong`, whatever else begins with a dollar sign."""


def _template(text: str) -> str:
    for found in TEMPLATE.finditer(text):
        word = found["bare"] or found["braced"]
        if found["dollar"] or word in TEMPLATE_WORDS:
            continue
        wrong = (word or found["wrong"] or "").strip("{}")
        hint = suggestion(f"${wrong}", [f"${known}" for known in TEMPLATE_WORDS], "known are")
        raise ValueError(f'holds "${wrong}", which is not known; {hint}')
    if any(ord(character) < 32 or character in "\\\x7f" for character in text):
        raise ValueError("must not hold a backslash or a control character")
    if PurePosixPath(text).is_absolute() or ".." in PurePosixPath(text).parts:
        raise ValueError('must stay inside the folder: neither a leading "/" nor ".."')
    return text


PathTemplate = Annotated[
    str, StringConstraints(max_length=500), AfterValidator(_template), Called("path template")
]
"""A sub-folder made of text and `$` words, see `TEMPLATE_WORDS`; always relative, may be empty."""
