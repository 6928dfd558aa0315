"""The line of every key of a TOML text."""

from __future__ import annotations

import textwrap
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.config.lines import KeyPath, Lines

TEXT = """\
# comment with [brackets] = "and more"
country = "DE"
"quoted key" = 1
dotted . "a.b".c = '''
[not a table]
x = 1
'''

[recorder]   # after a header
spool = "/a # no comment"
list = [
    "one",  # 12
    { number = "x", comment = "]}" },
    [1, 2,
     3],
]

[[setting]]
name = "first"
[setting.announcement]
prompt = \"\"\"a\\
    b \\" \"\"\"

[[setting]]
name = 'C:\\no escape'
[[setting.entries]]
number = 1
[[setting.entries]]
number = 2
[pbx."my pbx"]
url = "x"
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("country",), 2),
        (("quoted key",), 3),
        (("dotted", "a.b", "c"), 4),
        (("recorder",), 9),
        (("recorder", "spool"), 10),
        (("recorder", "list"), 11),
        (("recorder", "list", 0), 12),
        (("recorder", "list", 1, "comment"), 13),
        (("recorder", "list", 2, 1), 14),
        (("recorder", "list", 2, 2), 15),
        (("setting", 0), 18),
        (("setting", 0, "announcement", "prompt"), 21),
        (("setting", 1), 24),
        (("setting", 1, "name"), 25),
        (("setting", 1, "entries", 0, "number"), 27),
        (("setting", 1, "entries", 1), 28),
        (("setting", 1, "entries", 1, "number"), 29),
        (("pbx", "my pbx", "url"), 31),
        (("setting", 0, "missing"), 18),
        (("nowhere",), None),
        ((), None),
    ],
)
def test_every_key_has_its_line(path: KeyPath, line: int | None) -> None:
    tomllib.loads(TEXT)
    assert Lines(TEXT).of(path) == line


def test_windows_line_ends_count_like_others() -> None:
    assert Lines(TEXT.replace("\n", "\r\n")).of(("pbx", "my pbx", "url")) == 31


def test_repeated_keys_are_told_with_both_lines() -> None:
    text = textwrap.dedent("""\
        a = 1
        [t]
        b = 1
        b = 2
        [t]
        [[s]]
        b = 1
        [[s]]
        b = 1
        """)
    assert Lines(text).repeated == [(("t", "b"), 3, 4), (("t",), 2, 5)]


@given(st.text(alphabet="ab[]{}=.,\"'\\#\n \r1", max_size=80))
def test_no_text_is_too_strange(text: str) -> None:
    Lines(text).of(("a", 0, "b"))


_KEYS = st.sampled_from(["a", "b", "c d", "e.f", "ü", '"', "#"])
_DATA = st.recursive(
    st.integers(0, 9) | st.booleans() | st.text(alphabet="xy]}#\"'\\", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(_KEYS, _DATA, min_size=1, max_size=4))
def test_each_key_of_any_document_is_found_in_its_own_line(data: dict[str, Any]) -> None:
    text = "".join(f"{_quoted(key)} = {_toml(value)}\n" for key, value in data.items())
    assert tomllib.loads(text) == data
    lines = Lines(text)
    assert [lines.of((key,)) for key in data] == list(range(1, len(data) + 1))
    assert all(
        lines.of(path) == line for line, key in enumerate(data, 1) for path in _paths(data[key], (key,))
    )
    assert lines.repeated == []


def _paths(value: Any, at: KeyPath) -> list[KeyPath]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, item in inner for path in _paths(item, (*at, key)))]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return "{" + ", ".join(f"{_quoted(key)} = {_toml(item)}" for key, item in value.items()) + "}"
