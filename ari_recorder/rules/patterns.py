"""Number patterns of the policy: an exact number, a prefix or glob, a regular expression, `anonymous`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .numbers import Number, Numbering, NumberKind
from .regex import LONGEST_PATTERN, compile_safely

MOST_STARS = 3

_FILLINGS = tuple(dict.fromkeys(
    (run * 2)[:length]
    for length in (7, 8, 6, 5, 4, 9, 3, 10, 2, 11, 1, 12, 0)
    for run in ("2345678", "1234567", *(digit * 7 for digit in "0123456789"))
))  # fmt: skip
"""What a `*` may stand for, the likeliest first."""

_SEPARATORS = re.compile(r"[ \-/.()\u00a0]")
_NUMERIC = re.compile(r"[+0-9*?#]+")
_ASTERISK_PATTERN = re.compile(r"_[0-9XZNxzn!.\[\]-]+")


class PatternKind(StrEnum):
    EXACT = "exact"
    GLOB = "glob"
    REGEX = "regex"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern bound to the policy's way of reading numbers."""

    text: str
    kind: PatternKind
    number: Number | None = None
    regex: re.Pattern[str] | None = None

    def matches(self, number: Number) -> bool:
        """Never raises, whatever the number is."""
        if self.kind is PatternKind.ANONYMOUS:
            return number.kind is NumberKind.ANONYMOUS
        if self.number is not None:
            return self.number.same(number)
        assert self.regex is not None  # noqa: S101 - of the other two kinds, by construction
        search = self.regex.fullmatch if self.kind is PatternKind.GLOB else self.regex.search
        return any(search(form) is not None for form in number.forms)


def bind(text: str, numbering: Numbering) -> Pattern:
    """A pattern ready to match. ValueError with a sentence when the text is no pattern."""
    kind = kind_of(text)
    if kind is PatternKind.ANONYMOUS:
        return Pattern(text, kind)
    if kind is PatternKind.REGEX:
        return Pattern(text, kind, regex=compile_safely(text.strip()[1:-1]))
    if kind is PatternKind.GLOB:
        return Pattern(text, kind, regex=_glob(text, numbering))
    number = numbering.read(text)
    if number.kind is NumberKind.ANONYMOUS:
        raise ValueError('is a word for withheld numbers; write "anonymous"')
    return Pattern(text, kind, number=number)


class PatternList:
    """Many patterns at once: exact numbers are looked up, only the others are tried one by one."""

    def __init__(self, texts: Iterable[str], numbering: Numbering) -> None:
        self._exact: dict[str, int] = {}
        self._others: list[tuple[int, Pattern]] = []
        for index, pattern in enumerate(bind(text, numbering) for text in texts):
            if pattern.number is not None:
                self._exact.setdefault(pattern.number.text, index)
            else:
                self._others.append((index, pattern))

    def first(self, number: Number) -> int | None:
        """The place of the first pattern that matches; None when none does."""
        exact = self._exact.get(number.text)
        for index, pattern in self._others:
            if exact is not None and index > exact:
                break
            if pattern.matches(number):
                return index
        return exact


def kind_of(text: str) -> PatternKind:
    """What sort of pattern a text is. ValueError when it looks like none, with what was probably meant."""
    text = text.strip()
    if not text:
        raise ValueError('must not be empty; write "anonymous" for withheld numbers and "*" for all')
    if len(text) > LONGEST_PATTERN + 2 or not text.isprintable():
        raise ValueError(f"must be at most {LONGEST_PATTERN} printable characters")
    if text.casefold() == "anonymous":
        return PatternKind.ANONYMOUS
    if text.startswith("/"):
        if len(text) < 3 or not text.endswith("/"):
            raise ValueError("begins like a regular expression but does not end with a slash: /…/")
        return PatternKind.REGEX
    if _ASTERISK_PATTERN.fullmatch(text):
        raise ValueError('looks like a dialplan pattern; write "?" for each X, as in "10??"')
    if re.search(r"[\^$\\\[\]{}|]", text):
        raise ValueError("looks like a regular expression; put it between slashes: /…/")
    if re.search(r"[,;<>\"]", text):
        raise ValueError("must be one number or pattern; write several as a list")
    if "*" in text or "?" in text:
        return PatternKind.GLOB
    return PatternKind.EXACT


def check_pattern(text: str) -> str:
    """The text itself when it is a pattern, for the policy's model."""
    # Reading a number takes its time; what consists of digits only is always a pattern.
    plain = re.fullmatch(r"[+]?[0-9]+", _SEPARATORS.sub("", text))
    if plain is None or kind_of(text) is not PatternKind.EXACT:
        bind(text, Numbering())
    return text


def _glob(text: str, numbering: Numbering) -> re.Pattern[str]:
    """`*` any characters, `?` one; a leading international prefix stands for `+`, and for the numbers of all
    other countries where nothing but such a sign follows: the own one's are not dialled with it."""
    bare = text.strip().casefold()
    if _NUMERIC.fullmatch(plain := _SEPARATORS.sub("", bare)):
        bare = plain
    bare = re.sub(r"\*+", "*", bare)
    if bare.count("*") > MOST_STARS:
        raise ValueError(f'has more than {MOST_STARS} "*"')
    spellings = [_translated(bare)]
    abroad = numbering.after_international_prefix(bare)
    if abroad:
        others = f"(?!{numbering.country_code})" if abroad[0] in "*?" else ""
        spellings.append(rf"\+{others}{_translated(abroad)}")
    return re.compile("|".join(spellings), re.DOTALL)


def misunderstood(text: str, numbering: Numbering) -> Number | None:
    """A number that is written as a glob of digits says, and that the glob does not fit: then it fits none,
    for how a number was written is forgotten once it is read. None where it fits some."""
    plain = _SEPARATORS.sub("", text.strip())
    if kind_of(text) is not PatternKind.GLOB or not _NUMERIC.fullmatch(plain):
        return None
    pattern, other = bind(text, numbering), None
    for filling in _FILLINGS:
        number = numbering.read(plain.replace("*", filling).replace("?", filling[:1] or "1"))
        if number.kind is NumberKind.OTHER:
            continue
        if pattern.matches(number):
            return None
        other = other or number
    return other


def _translated(glob: str) -> str:
    return re.escape(glob).replace(r"\*", ".*").replace(r"\?", ".")


def endpoint_matches(glob: str, endpoint: str) -> bool:
    """Whether an endpoint such as `PJSIP/trunk-berlin` fits a glob such as `PJSIP/trunk-*`."""
    return re.fullmatch(_translated(glob), endpoint[:200], re.DOTALL) is not None
