"""Files that are no TOML, or none at all: a sentence each, and the line where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.config.machine import parse_machine
from ari_recorder.config.problems import MOST_SHOWN, ConfigFileError
from ari_recorder.config.table import Table
from ari_recorder.config.toml import LARGEST, build, parse, read
from ari_recorder.model.errors import ConfigError


class Sample(Table):
    name: str
    count: int = 0


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        (b'a = "x\n', 1, "this is not TOML"),
        (b"a = 1\nb = yes\n", 2, "write true or false"),
        (b"a = True\n", 1, "write true or false"),
        (b"a = PJSIP/x\n", 1, "put text in quotes"),
        (b'a = "C:\\path"\n', 1, "single quotes"),
        (b"a = [1,\n2\n", 2, "at the end of the file"),
        (b"a = 1\nc = 3\na = 2\n", 3, "a is given twice, first in line 1."),
        (b"[t]\nx = 1\n[t]\n", 3, "t is given twice, first in line 1."),
        (b'a = 1\nb = "\x00"\n', 2, "NUL byte"),
        (b'a = 1\n\nb = "\xff"\n', 3, "byte 0xff here is not UTF-8"),
        ("a = 1\nb = 2".encode("utf-16"), 1, "not UTF-8"),
        (b"a = 2024-13-41\n", 1, "this is not TOML"),
        (b"a = " + b"9" * 6000, None, "a number or date that cannot be read"),
        (b"a = " + b"[" * 20_000, None, "nests lists or tables too deeply"),
        (b"a = " + b"{a = " * 20_000, None, "nests lists or tables too deeply"),
        (b"x = 1\n" + b"a." * 100_000 + b"b = 1", 2, "more parts than any that is known"),
        (b"\x7fELF\x02\x01\x01" + bytes(100), 1, "NUL byte"),
    ],
)
def test_what_is_no_toml_is_said_with_its_line(source: bytes, line: int | None, says: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        parse(source, name="policy.toml", folder=Path())
    (problem,) = caught.value.problems
    assert (problem.line, problem.code, caught.value.code) == (line, "config.syntax", "config.syntax")
    assert says in problem.sentence
    assert str(caught.value).startswith("policy.toml" + (f" line {line}: " if line else ": "))


@pytest.mark.parametrize("source", [b'\xef\xbb\xbfname = "x"\r\ncount = 2\r\n', b'name="x"\ncount=2'])
def test_byte_order_mark_and_windows_line_ends_are_no_matter(source: bytes) -> None:
    built = build(Sample, parse(source, name="x", folder=Path()))
    assert built == Sample(name="x", count=2)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError) as caught:
        read(tmp_path / "none.toml")
    assert caught.value.code == "config.missing"
    assert "does not exist" in str(caught.value)
    assert "ari-recorder init" in caught.value.remedy


@pytest.mark.parametrize("kind", ["folder", "pipe", "huge", "below-a-file", "nul"])
def test_unreadable_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "config.toml"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "huge":
            with path.open("wb") as stream:
                stream.truncate(50 * 1024 * 1024)
        case "below-a-file":
            path.write_text("")
            path = path / "config.toml"
        case "nul":
            path = tmp_path / "a\0b"
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert caught.value.code == "config.unreadable"
    assert "cannot be read" in caught.value.sentence


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"#" * (LARGEST - 9) + b"\nname=''\n")
    assert read(path).data == {"name": ""}


def test_many_problems_are_told_together_but_not_endlessly() -> None:
    text = 'name = "x"\n' + "".join(f"wrong{number} = 1\n" for number in range(200))
    with pytest.raises(ConfigFileError) as caught:
        build(Sample, parse(text, name="x.toml", folder=Path()))
    assert len(caught.value.problems) == 200
    assert [problem.line for problem in caught.value.problems] == list(range(2, 202))
    told = caught.value.sentence.split("\n")
    assert len(told) == MOST_SHOWN + 1
    assert told[-1] == "x.toml: and 180 more problems like these."


@given(st.binary(max_size=200))
def test_any_bytes_give_a_machine_or_sentences(source: bytes) -> None:
    with pytest.raises(ConfigFileError) as caught:
        build(Sample, parse(source + b"\nnever = 1", name="x", folder=Path()))
    assert all(problem.sentence.endswith((".", "?")) for problem in caught.value.problems)


@given(st.text(max_size=60))
def test_a_hostile_key_stays_on_one_line(key: str) -> None:
    quoted = '"' + "".join(f"\\U{ord(c):08x}" for c in key if not "\ud800" <= c <= "\udfff") + '"'
    with pytest.raises(ConfigFileError) as caught:
        parse_machine(f"{quoted} = 1")
    assert all(len(line) < 400 and line.isprintable() for line in str(caught.value).split("\n"))
