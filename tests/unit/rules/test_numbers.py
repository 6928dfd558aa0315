"""Numbers into one form; nothing that the network sends may hurt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.rules.numbers import LONGEST, Number, Numbering, NumberKind

DE = Numbering("DE")

HOSTILE = [
    "x" * 300,
    "1" * 300,
    "../../x",
    "😀",
    "\0",
    "a\nb",
    "+",
    "++49",
    "*" * 100,
    "sip:",
    "@",
    ";",
    "٠٣٠١٢٣٤٥٦٧٨",
    "1800FLOWERS",
    "+49" + "0" * 40,
    "\ud800",
    "%s%n",
    "'; DROP TABLE",
    "\u202e",
    " ",
]


@pytest.mark.parametrize(
    "written",
    [
        "+4930123456",
        "030123456",
        "030/123 456",
        "(030) 123-456",
        "004930123456",
        "+49 (0)30 123456",
        "4930123456",
        "tel:+4930123456",
        "sip:+4930123456@example.org;user=phone",
        " +49.30.123456 ",
        "+49\u00a030\u00a0123456",
    ],
)
def test_one_number_many_spellings(written: str) -> None:
    number = DE.read(written)
    assert (number.e164, number.national, number.kind) == ("+4930123456", "030123456", NumberKind.PUBLIC)
    assert str(number) == "+4930123456"


@pytest.mark.parametrize(
    ("numbering", "written", "e164"),
    [
        (Numbering("US"), "212-555-1234", "+12125551234"),
        (Numbering("US"), "12125551234", "+12125551234"),
        (Numbering("US"), "011493012345678", "+493012345678"),
        (Numbering("IT"), "06 1234567", "+39061234567"),
        (Numbering("IT"), "3331234567", "+393331234567"),
        (Numbering("GB"), "02079460000", "+442079460000"),
        (Numbering("GB"), "442079460000", "+442079460000"),
        (DE, "33123456789", "+33123456789"),
        (DE, "00302101234567", "+302101234567"),
        (Numbering("DE", international_prefix="000"), "000302101234567", "+302101234567"),
        (DE, "1234567", None),
        (DE, "+", None),
        (DE, "+999123456789", None),
        (DE, "080012345678901234", None),
    ],
)
def test_each_country_has_its_own_way(numbering: Numbering, written: str, e164: str | None) -> None:
    assert numbering.read(written).e164 == e164


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("1001", NumberKind.EXTENSION),
        ("110", NumberKind.EXTENSION),
        ("123456", NumberKind.EXTENSION),
        ("1234567", NumberKind.OTHER),
        ("*72", NumberKind.FEATURE_CODE),
        ("#31#", NumberKind.FEATURE_CODE),
        ("alice", NumberKind.OTHER),
        ("", NumberKind.ANONYMOUS),
        ("  ", NumberKind.ANONYMOUS),
        ("Anonymous", NumberKind.ANONYMOUS),
        ("anonymous@anonymous.invalid", NumberKind.ANONYMOUS),
        ("Restricted", NumberKind.ANONYMOUS),
        ("+491001", NumberKind.PUBLIC),
    ],
)
def test_kinds(written: str, kind: NumberKind) -> None:
    assert DE.read(written).kind is kind


def test_an_extension_never_becomes_a_public_number() -> None:
    assert DE.read("1001").e164 is None
    assert not DE.read("1001").same(DE.read("+491001"))
    assert Numbering("DE", extension_length=3).read("1001").kind is NumberKind.OTHER
    assert Numbering("DE", extension_length=9).read("030123456").kind is NumberKind.EXTENSION


def test_the_outside_prefix_is_taken_from_dialled_numbers_only() -> None:
    numbering = Numbering("DE", outside_prefix="0")
    assert numbering.read("0030123456", dialled=True).e164 == "+4930123456"
    assert numbering.read("030123456", dialled=True).e164 == "+4930123456"
    assert numbering.read("0004930123456", dialled=True).e164 == "+4930123456"
    assert numbering.read("00302101234567").e164 == "+302101234567"
    assert numbering.read("01001", dialled=True).kind is NumberKind.EXTENSION


def test_names_are_compared_without_regard_to_case() -> None:
    assert DE.read("Alice").same(DE.read("sip:alice@example.org"))
    assert not DE.read("alice").same(DE.read("bob"))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_harmless(text: str) -> None:
    number = DE.read(text)
    assert len(number.text) <= LONGEST
    assert str(number).isprintable()
    assert number.same(DE.read(text))


numberings = st.builds(
    Numbering,
    st.sampled_from(["DE", "US", "IT", "GB", "FR", "AR", "BR", "MX", "SE"]),
    st.sampled_from([None, "00", "000", "011"]),
    st.sampled_from([None, "0", "9"]),
    st.integers(1, 12),
)
texts = (
    st.text(max_size=80)
    | st.from_regex(r"\A(\+|00|0|9|011)?[0-9 ]{1,20}\Z")
    | st.from_regex(r"\A\+(49|39|1|44|54|52|55)0{0,5}[0-9]{1,13}\Z")
    | st.sampled_from(HOSTILE)
)


@given(numberings, texts, st.booleans())
def test_reading_never_fails_and_is_idempotent(numbering: Numbering, text: str, dialled: bool) -> None:
    number = numbering.read(text, dialled=dialled)
    assert (number.e164 is not None) == (number.kind is NumberKind.PUBLIC)
    assert number.text.isprintable()
    assert all(len(form) <= LONGEST for form in number.forms)
    if number.e164 is not None:
        again = numbering.read(number.e164)
        assert (again.e164, again.national) == (number.e164, number.national)


@given(numberings, texts, texts)
def test_being_the_same_is_symmetric(numbering: Numbering, one: str, other: str) -> None:
    first, second = numbering.read(one), numbering.read(other)
    assert first.same(second) == second.same(first)
    assert first.same(first)


def test_forms_are_each_given_once() -> None:
    assert DE.read("+4930123456").forms == ("+4930123456", "030123456")
    assert DE.read("1001").forms == ("1001",)
    assert Number("", NumberKind.ANONYMOUS).forms == ("",)
