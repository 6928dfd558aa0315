"""Telephone numbers as the network presents them, brought into one form.

Numbers come from outside: a caller may send anything. Reading never fails and never takes long; what is
no number stays a harmless text that equals only itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache

import phonenumbers

LONGEST = 64
"""Characters looked at. E.164 allows 15 digits; what is longer than this is no number."""

_SEPARATORS = frozenset(" -/.()\u00a0\t")
_DIGITS = frozenset("0123456789")
_SCHEMES = ("sips:", "sip:", "tel:")
_WITHHELD = frozenset({"", "anonymous", "unknown", "restricted", "private", "unavailable", "withheld"})


class NumberKind(StrEnum):
    EXTENSION = "extension"
    """Digits only, and no more than the policy's `extension_length`: never read as a public number."""
    FEATURE_CODE = "feature-code"
    """Begins with `*` or `#`."""
    PUBLIC = "public"
    """A public number; `e164` holds it."""
    ANONYMOUS = "anonymous"
    """Withheld or empty."""
    OTHER = "other"
    """A SIP user's name, a number that exists nowhere, or rubbish."""


@dataclass(frozen=True)
class Number:
    """A number after reading."""

    text: str
    """What is compared: the E.164 form of a public number; of any other what was written, without separators,
    lower case, at most 64 printable characters."""
    kind: NumberKind
    e164: str | None = None
    """`+4930123456`."""
    national: str | None = None
    """`030123456`, for public numbers of the policy's own country."""

    @cached_property
    def forms(self) -> tuple[str, ...]:
        """Every way of writing it that a glob or regular expression may match."""
        written = (self.e164, self.national, self.text)
        return tuple(dict.fromkeys(form for form in written if form is not None))

    def same(self, other: Number) -> bool:
        """Whether both are one number: by E.164 where both have it, else by what was written."""
        return self.text == other.text

    def __str__(self) -> str:
        if self.kind is NumberKind.ANONYMOUS:
            return "anonymous"
        return self.e164 or self.text


@dataclass(frozen=True, slots=True)
class Numbering:
    """How numbers are to be read: the PBX's country and dialling habits."""

    country: str = "DE"
    international_prefix: str | None = None
    """What is dialled for other countries, where it is not the country's usual one."""
    outside_prefix: str | None = None
    """What users dial to get a line."""
    extension_length: int = 6

    @property
    def country_code(self) -> int:
        """49 of DE."""
        return phonenumbers.country_code_for_region(self.country)

    def after_international_prefix(self, digits: str) -> str | None:
        """What follows the prefix for other countries (`49*` of `0049*`); None without one."""
        prefix = self.international_prefix
        if prefix is not None:
            return digits.removeprefix(prefix) if digits.startswith(prefix) else None
        found = _international_prefix(self.country).match(digits)
        return digits[found.end() :] if found is not None else None

    def read(self, text: str, *, dialled: bool = False) -> Number:
        """Any text as a number; `dialled` numbers may carry the prefix for an outside line."""
        # Cut before it becomes a key of the cache: the network decides how long it is.
        return _read(self, text[: LONGEST + 1], dialled)


def printable(text: str) -> str:
    """A text from the network, fit for a sentence or a log line: one line, at most 64 characters."""
    return "".join(c if c.isprintable() else "�" for c in text[:LONGEST])


@lru_cache(maxsize=8192)
def _read(numbering: Numbering, text: str, dialled: bool) -> Number:
    bare = _bare(text)
    if bare.casefold() in _WITHHELD:
        return Number("", NumberKind.ANONYMOUS)
    digits = "".join(c for c in bare if c not in _SEPARATORS)
    if digits[:1] in ("*", "#"):
        return Number(printable(digits.casefold()), NumberKind.FEATURE_CODE)
    plain = digits.removeprefix("+")
    if len(text) > LONGEST or not plain or not _DIGITS.issuperset(plain):
        return Number(printable(bare.casefold()), NumberKind.OTHER)
    if digits == plain and len(plain) <= numbering.extension_length:
        return Number(digits, NumberKind.EXTENSION)
    return _public(numbering, digits, dialled) or Number(digits, NumberKind.OTHER)


def _bare(text: str) -> str:
    """`+49 30 123` of ` sip:+49 30 123@example.org;user=phone `."""
    text = text.strip()
    for scheme in _SCHEMES:
        if text[: len(scheme)].casefold() == scheme:
            text = text[len(scheme) :]
            break
    return text.split("@", 1)[0].split(";", 1)[0].strip()


def _public(numbering: Numbering, digits: str, dialled: bool) -> Number | None:
    outside = numbering.outside_prefix
    if dialled and outside and digits.startswith(outside) and len(digits) > len(outside):
        # The prefix first: "0 030 123456" is Berlin although "00 30 123456" could be Greece.
        inner = _parsed(numbering, digits[len(outside) :])
        if inner is not None:
            return inner
    return _parsed(numbering, digits)


def _parsed(numbering: Numbering, digits: str) -> Number | None:
    for candidate in _candidates(numbering, digits):
        found = _settled(candidate, numbering.country)
        if found is None:
            continue
        # A number in international form may be newer than the tables; a guessed one must be known.
        if phonenumbers.is_valid_number(found) or (
            digits.startswith("+") and candidate == digits and phonenumbers.is_possible_number(found)
        ):
            return _as_number(found, numbering)
    return None


def _candidates(numbering: Numbering, digits: str) -> tuple[str, ...]:
    """The ways in which digits can be meant, the likeliest first."""
    prefix = numbering.international_prefix
    if digits.startswith("+"):
        return (digits,)
    if prefix and digits.startswith(prefix):
        return ("+" + digits[len(prefix) :], digits)
    if _trunk_prefix(numbering.country) == "0" and not digits.startswith("0"):
        # Where every national number begins with 0, one without is E.164 that lost its plus.
        return ("+" + digits, digits)
    return (digits,)


def _settled(text: str, country: str) -> phonenumbers.PhoneNumber | None:
    """Parsed until nothing changes any more: of "+49 00 30 …" each reading sheds one zero only."""
    for _ in range(LONGEST):
        try:
            found = phonenumbers.parse(text, country)
        except phonenumbers.NumberParseException:
            return None
        e164 = _e164(found)
        if e164 == text:
            return found
        text = e164
    return None


def _e164(found: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)


def _as_number(found: phonenumbers.PhoneNumber, numbering: Numbering) -> Number:
    e164 = _e164(found)
    national = None
    if found.country_code == numbering.country_code:
        significant = phonenumbers.national_significant_number(found)
        prefix = _trunk_prefix(numbering.country)
        national = prefix + significant if prefix == "0" else significant
    return Number(e164, NumberKind.PUBLIC, e164, national)


@lru_cache(maxsize=512)
def _international_prefix(country: str) -> re.Pattern[str]:
    """Of the country by Google's tables: `00`, `011`, or one of several by carrier, as `00(?:12|14|15)`."""
    tables = phonenumbers.PhoneMetadata.metadata_for_region(country, None)
    return re.compile((tables.international_prefix if tables is not None else None) or "00")


@lru_cache(maxsize=512)
def _trunk_prefix(country: str) -> str:
    return phonenumbers.ndd_prefix_for_region(country, True) or ""
