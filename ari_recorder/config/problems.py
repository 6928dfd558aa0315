"""What is wrong with a file: line, key, one sentence each, and all of them at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..model.errors import ConfigError
from .lines import KeyPath

MOST_SHOWN = 20
"""A file with more problems than this is told so; nobody reads two hundred lines."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `sentence` begins with the key where there is one."""

    line: int | None
    key: str
    """`setting[2].directions`: elements count from 1, as people count. Empty for the file as a whole."""
    sentence: str
    code: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """A problem that a checker found in data it knows by path, before its line is known."""

    path: KeyPath
    says: str
    """What is wrong, to be read after the key: `names no target; did you mean "archive"?`."""
    code: str = "config.value"


class ConfigFileError(ConfigError):
    """A configuration file that cannot be used. `code` is that of the first problem."""

    def __init__(self, file: str, problems: Sequence[Problem], *, remedy: str = "") -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        shown = [located(file, problem) for problem in self.problems[:MOST_SHOWN]]
        if len(self.problems) > MOST_SHOWN:
            shown.append(f"{file}: and {len(self.problems) - MOST_SHOWN} more problems like these.")
        super().__init__(self.problems[0].code, "\n".join(shown), remedy=remedy)


def located(file: str, problem: Problem) -> str:
    """`policy.toml line 14: setting[2].directons is not known; did you mean "directions"?`"""
    place = f"{file} line {problem.line}" if problem.line else file
    return f"{place}: {problem.sentence}"


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that looks most like this one, whatever its case; None when none comes near."""
    by_case = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(word.casefold()[:200], by_case, 1, cutoff)
    return by_case[found[0]] if found else None


def suggestion(word: str, known: Iterable[str], what: str = "known here") -> str:
    """`did you mean "directions"?`, or the whole choice when nothing comes near."""
    choice = list(known)
    near = nearest(word, choice)
    if near is not None:
        return f'did you mean "{near}"?'
    if not choice:
        return f"none is {what}"
    listed = ", ".join(choice[:MOST_SHOWN]) + (", …" if len(choice) > MOST_SHOWN else "")
    return f"{what}: {listed}"


def key_text(path: KeyPath) -> str:
    """`setting[2].directions` of `("setting", 1, "directions")`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += ("." if text else "") + quoted_key(part)
    return text


def quoted_key(part: str) -> str:
    """A key as it may stand in a sentence: whatever is not a plain word is quoted and cut."""
    if part and part.isascii() and part.replace("-", "").replace("_", "").isalnum():
        return part[:80]
    return shown_value(part)


def shown_value(value: object, longest: int = 60) -> str:
    """A value as a person wrote it, without control characters and not endless."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        clean = "".join(c if c.isprintable() else "�" for c in value[: longest + 1])
        return f'"{clean[:longest]}{"…" if len(value) > longest else ""}"'
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a table"
    return str(value)[:longest]
