"""TOML files into typed tables. Whatever is wrong is told with file, line and key, all at once."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .complaints import flaw_of
from .lines import KeyPath, Lines
from .problems import ConfigFileError, Flaw, Problem, key_text

M = TypeVar("M", bound=BaseModel)

LARGEST = 4 * 1024 * 1024
"""Bytes; room for some 100 000 exceptions."""

_DEEP_KEY = re.compile(r"""(?<![\w"'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){32}""")
"""A dotted key of more than 32 parts: tomllib's memory grows with the square of their number."""


@dataclass(frozen=True)
class Document:
    """A TOML text that could be parsed. `folder` is where its relative paths count from."""

    name: str
    """How messages call the file."""
    text: str
    data: dict[str, Any]
    folder: Path

    @cached_property
    def lines(self) -> Lines:
        return Lines(self.text)

    def problem(self, flaw: Flaw) -> Problem:
        key = key_text(flaw.path)
        says = flaw.says if flaw.says.endswith((".", "?")) else f"{flaw.says}."
        sentence = f"{key} {says}" if key else f"the file {says}"
        return Problem(self.lines.of(flaw.path), key, sentence, flaw.code)


def read(path: Path) -> Document:
    """Read and parse a file.

    Raises ConfigFileError: `config.missing`, `config.unreadable` or `config.syntax`.
    """
    return parse(_bytes(path), name=path.name, folder=path.absolute().parent)


def parse(source: bytes | str, *, name: str, folder: Path) -> Document:
    """Parse a text that came from anywhere; ConfigFileError as for `read`."""
    text = _decoded(source, name) if isinstance(source, bytes) else source
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _syntax(name, line, "the file holds a NUL byte here; it is damaged or no text file.")
    if deep := _DEEP_KEY.search(text):
        line = text.count("\n", 0, deep.start()) + 1
        raise _syntax(name, line, "this key has more parts than any that is known.")
    try:
        return Document(name, text, tomllib.loads(text), folder)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(name, text, error) from error
    except RecursionError as error:
        raise _syntax(name, None, "the file nests lists or tables too deeply.") from error
    except ValueError as error:
        # Numbers of thousands of digits and impossible dates do not come as TOMLDecodeError.
        raise _syntax(name, None, "the file holds a number or date that cannot be read.") from error


def build(model: type[M], document: Document, check: Callable[[M], Iterable[Flaw]] | None = None) -> M:
    """The document as a `model`; `check` looks for what the model alone cannot know.

    Raises ConfigFileError with every problem found.
    """
    try:
        built = model.model_validate(document.data, context={"folder": document.folder})
    except ValidationError as error:
        flaws = [flaw_of(detail, model) for detail in error.errors(include_url=False)]
        raise ConfigFileError(document.name, [document.problem(flaw) for flaw in flaws]) from None
    found = list(check(built)) if check is not None else []
    if found:
        raise ConfigFileError(document.name, [document.problem(flaw) for flaw in found])
    return built


def _bytes(path: Path) -> bytes:
    try:
        with open(path, "rb", opener=_without_waiting) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _unreadable(path, "it is not a regular file")
            if status.st_size > LARGEST:
                raise _unreadable(path, f"it has {status.st_size} bytes, at most {LARGEST} are read")
            return stream.read(LARGEST)
    except FileNotFoundError:
        problem = Problem(None, "", "the file does not exist.", "config.missing")
        remedy = 'Write it, or let "ari-recorder init" write a commented one.'
        raise ConfigFileError(str(path), [problem], remedy=remedy) from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or "no file can have this name") from error


def _without_waiting(path: str, flags: int) -> int:
    """A pipe in the file's place must not hang the recorder."""
    return os.open(path, flags | os.O_NONBLOCK)


def _unreadable(path: Path, why: str) -> ConfigFileError:
    return ConfigFileError(
        str(path), [Problem(None, "", f"the file cannot be read: {why}.", "config.unreadable")]
    )


def _decoded(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _syntax(
            name, line, f"the byte 0x{raw[error.start]:02x} here is not UTF-8; save the file as UTF-8."
        ) from error


def _syntax(name: str, line: int | None, sentence: str, key: str = "") -> ConfigFileError:
    return ConfigFileError(name, [Problem(line, key, sentence, "config.syntax")])


def _not_toml(name: str, text: str, error: tomllib.TOMLDecodeError) -> ConfigFileError:
    repeated = Lines(text).repeated
    if repeated and re.match(r"Cannot (overwrite|declare)|Duplicate", str(error)):
        problems = [_repeated(path, first, again) for path, first, again in repeated]
        return ConfigFileError(name, problems)
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
    if found is None:
        return _syntax(name, None, f"this is not TOML: {error}.")
    said, line, column = found.groups()
    if line is None:
        line = text.rstrip().count("\n") + 1
        return _syntax(name, line, f"this is not TOML: {said} at the end of the file.")
    return _syntax(name, int(line), f"this is not TOML: {said} at column {column}{_hint(text, int(line))}.")


def _hint(text: str, line: int) -> str:
    """What people get wrong most often in TOML."""
    written = text.split("\n")[line - 1].split("#")[0]
    value = written.partition("=")[2].strip()
    if re.fullmatch(r"(True|False|yes|no|on|off)", value):
        return "; write true or false"
    if re.fullmatch(r"[A-Za-z/+*][^\"'\[\]{}]*", value) and value not in ("true", "false"):
        return "; put text in quotes"
    if "\\" in value and '"' in value:
        return "; put text with backslashes in 'single quotes'"
    return ""


def _repeated(path: KeyPath, first: int, again: int) -> Problem:
    key = key_text(path)
    return Problem(again, key, f"{key} is given twice, first in line {first}.", "config.syntax")
