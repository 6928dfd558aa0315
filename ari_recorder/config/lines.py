"""In which line of a TOML text each key stands.

`tomllib` keeps no positions. This reads the same text a second time, only for its structure, and only when
there is something to complain about. It never judges: where the text stops making sense, it stops.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""`("setting", 1, "users")` is `users` in the second `[[setting]]`."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")
_REST = re.compile(r"[^\n]*")


class _StopError(Exception):
    """The text is not TOML from here on."""


class Lines:
    """The line of every key, counted from 1, and the keys that are given twice."""

    def __init__(self, text: str) -> None:
        self.repeated: list[tuple[KeyPath, int, int]] = []
        """Keys given again: which, in which line first, in which line again."""
        self._text = text
        self._at = 0
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._lines: dict[KeyPath, int] = {}
        self._given: dict[KeyPath, int] = {}
        self._counts: dict[KeyPath, int] = {}
        try:
            self._document()
        except (_StopError, RecursionError):
            self._at = len(text)

    def of(self, path: KeyPath) -> int | None:
        """The line of a key, or of the nearest table around it; None for the file as a whole."""
        for length in range(len(path), 0, -1):
            line = self._lines.get(path[:length])
            if line is not None:
                return line
        return None

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)

    def _document(self) -> None:
        table: KeyPath = ()
        while self._skip(_BLANK) and self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_REST)

    def _header(self) -> KeyPath:
        line = self._line()
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        key = self._key()
        self._expect("]]" if many else "]")
        path = self._inside(key[:-1])
        if many:
            place = (*path, key[-1])
            self._lines.setdefault(place, line)
            self._counts[place] = self._counts.get(place, 0) + 1
            path = (*place, self._counts[place] - 1)
        else:
            path = self._inside(key)
            self._give(path, line)
        self._lines[path] = line
        return path

    def _inside(self, key: tuple[str, ...]) -> KeyPath:
        """A header's key with the index of the latest element wherever it passes an array of tables."""
        path: KeyPath = ()
        for part in key:
            path = (*path, part)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        return path

    def _give(self, path: KeyPath, line: int) -> None:
        if path in self._given:
            self.repeated.append((path, self._given[path], line))
        else:
            self._given[path] = line

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._give(path, line)
        self._expect("=")
        self._value(path)

    def _key(self) -> tuple[str, ...]:
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            parts.append(self._key_part())
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return tuple(parts)
            self._at += 1

    def _key_part(self) -> str:
        if self._text[self._at : self._at + 1] in ('"', "'"):
            try:
                return str(tomllib.loads(f"key = {self._take(_STRING)}")["key"])
            except tomllib.TOMLDecodeError:
                raise _StopError from None
        return self._take(_BARE_KEY)

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        opening = self._text[self._at : self._at + 1]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        elif opening in ('"', "'"):
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while not self._closed("]"):
            item = (*path, index)
            self._lines[item] = self._line()
            self._value(item)
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while not self._closed("}"):
            self._pair(path)

    def _closed(self, bracket: str) -> bool:
        """Pass blanks and a comma; True when the bracket closed."""
        self._skip(_BLANK)
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip(_BLANK)
        if self._at >= len(self._text):
            raise _StopError
        if self._text[self._at] != bracket:
            return False
        self._at += 1
        return True

    def _expect(self, token: str) -> None:
        self._skip(_SPACE)
        if not self._text.startswith(token, self._at):
            raise _StopError
        self._at += len(token)

    def _take(self, kind: re.Pattern[str]) -> str:
        found = kind.match(self._text, self._at)
        if found is None:
            raise _StopError
        self._at = found.end()
        return found.group()

    def _skip(self, kind: re.Pattern[str]) -> bool:
        found = kind.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return True
