"""Regular expressions that cannot be made to run for ever.

A caller chooses the number that an expression is matched against, and Python's `re` tries every way of
dividing it among the repetitions: `(\\d+)+$` needs hours for 64 digits. So before an expression is taken,
the number of ways it could be tried is bounded from its text; one that exceeds the bound is refused.
"""

from __future__ import annotations

import re
import warnings

LONGEST_PATTERN = 200
"""Characters of an expression."""

LONGEST_SUBJECT = 64
"""Characters it is ever matched against (`numbers.LONGEST`)."""

MOST_WAYS = 300_000
"""Ways of matching one number: three unlimited repetitions in a row, some 5 ms at worst [measured]."""

_OPENERS = re.compile(r"\(\?(?::|=|!|<=|<!|>|P<[A-Za-z_][A-Za-z0-9_]*>)")
_BRACES = re.compile(r"\{(\d{0,6})(,?)(\d{0,6})\}")
_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)


def compile_safely(text: str) -> re.Pattern[str]:
    """The expression, ignoring case. ValueError with a sentence when it is wrong or could run too long."""
    if len(text) > LONGEST_PATTERN:
        raise ValueError(f"is longer than {LONGEST_PATTERN} characters; divide it into several")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled = re.compile(text, re.IGNORECASE | re.ASCII)
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    if _Ways(text).count() > MOST_WAYS:
        raise ValueError(
            "could take very long on some numbers: too many repetitions in a row or inside one another; "
            "write it more simply, or as several patterns"
        )
    return compiled


class _Ways:
    """Upper bound for the ways in which an expression, known to be valid, can match one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def count(self) -> int:
        """Of alternatives the sum, of a sequence the product, of a repetition the sum of the powers."""
        total, sequence = 0, 1
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == ")":
                break
            if character == "|":
                self._at += 1
                total, sequence = total + sequence, 1
                continue
            sequence = _capped(sequence * self._repeated(self._atom()))
        return _capped(total + sequence)

    def _atom(self) -> int:
        character = self._text[self._at]
        if character == "(":
            return self._group()
        if character == "\\":
            if self._text[self._at + 1] in "123456789":
                raise ValueError("refers back to a group, which is not allowed here")
            self._at += 2
            return 1
        found = _CLASS.match(self._text, self._at) if character == "[" else None
        self._at = found.end() if found is not None else self._at + 1
        return 1

    def _group(self) -> int:
        opener = _OPENERS.match(self._text, self._at)
        if opener is None and self._text.startswith("(?", self._at):
            raise ValueError(f'uses "{self._text[self._at : self._at + 3]}", which is not allowed here')
        self._at = opener.end() if opener is not None else self._at + 1
        ways = self.count()
        self._at += 1
        return ways

    def _repeated(self, ways: int) -> int:
        bounds = self._quantifier()
        if bounds is None:
            return ways
        least, most = bounds
        if ways == 1:
            return most - least + 1
        total = 0
        for times in range(least, most + 1):
            total = _capped(total + _power(ways, times))
        return total

    def _quantifier(self) -> tuple[int, int] | None:
        simple = {"*": (0, LONGEST_SUBJECT), "+": (1, LONGEST_SUBJECT), "?": (0, 1)}
        bounds = simple.get(self._text[self._at : self._at + 1])
        if bounds is not None:
            self._at += 1
        else:
            found = _BRACES.match(self._text, self._at)
            if found is None or found.group() in ("{}",):
                return None
            self._at = found.end()
            least = int(found[1] or 0)
            most = (int(found[3]) if found[3] else LONGEST_SUBJECT) if found[2] else least
            bounds = (min(least, LONGEST_SUBJECT), min(most, LONGEST_SUBJECT))
        if self._text[self._at : self._at + 1] in ("?", "+"):
            self._at += 1
        return bounds


def _capped(ways: int) -> int:
    return min(ways, MOST_WAYS + 1)


def _power(ways: int, times: int) -> int:
    result = 1
    for _ in range(times):
        result = _capped(result * ways)
    return result
