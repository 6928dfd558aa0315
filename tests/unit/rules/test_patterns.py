"""Patterns: what matches, what is refused, and that none can run for ever."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.rules.doubts import doubts
from ari_recorder.rules.numbers import Numbering
from ari_recorder.rules.patterns import (
    PatternKind,
    PatternList,
    bind,
    endpoint_matches,
    kind_of,
    misunderstood,
)
from ari_recorder.rules.policy import parse_policy
from ari_recorder.rules.regex import LONGEST_SUBJECT, compile_safely

DE = Numbering("DE")


@pytest.mark.parametrize(
    ("pattern", "number", "matches"),
    [
        ("+4930123456", "030123456", True),
        ("030 / 123456", "+4930123456", True),
        ("+4930123456", "+4930123457", False),
        ("1001", "1001", True),
        ("1001", "+491001", False),
        ("+491001", "1001", False),
        ("alice", "Alice", True),
        ("+4930*", "030123456", True),
        ("+49 30 *", "030123456", True),
        ("+4930*", "+4989123456", False),
        ("+4930*", "4930", False),
        ("030*", "+4930123456", True),
        ("004930*", "030123456", True),
        ("10??", "1001", True),
        ("10??", "10011", False),
        ("10??", "+4910011234", False),
        ("?????", "😀", False),
        ("*", "", True),
        ("*", "x" * 300, True),
        ("PJSIP/*", "pjsip/alice", True),
        ("anonymous", "", True),
        ("Anonymous", "unknown", True),
        ("anonymous", "1001", False),
        ("/^[+]49(30|40)/", "030123456", True),
        ("/^[+]49(30|40)/", "089123456", False),
        ("/^0800/", "+498001234567", True),
        ("/ALICE/", "alice", True),
        ("/^$/", "anonymous", True),
        ("/^[*]72$/", "*72", True),
        ("*72", "*72", True),
        ("a.b", "axb", False),
    ],
)
def test_matching(pattern: str, number: str, matches: bool) -> None:
    assert bind(pattern, DE).matches(DE.read(number)) is matches


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1001", PatternKind.EXACT),
        ("1*", PatternKind.GLOB),
        ("/1/", PatternKind.REGEX),
        ("ANONYMOUS", PatternKind.ANONYMOUS),
    ],
)
def test_kinds(text: str, kind: PatternKind) -> None:
    assert kind_of(text) is kind


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        ("_10XX", r'as in "10\?\?"'),
        ("_X.", "dialplan pattern"),
        ("^49", "between slashes"),
        (r"\d+", "between slashes"),
        ("1001|1002", "between slashes"),
        ("1001,1002", "as a list"),
        ("/49", "does not end with a slash"),
        ("/", "does not end with a slash"),
        ("//", "does not end with a slash"),
        ("/(/", "not a regular expression"),
        ("/[[a]/", "not a regular expression"),
        ("/(?i)a/", r"\(\?i"),
        (r"/(.)\1/", "refers back"),
        ("/(?P<a>.)(?P=a)/", r"\(\?P"),
        ("/" + "a" * 201 + "/", "at most 200"),
        ("a" * 300, "at most 200"),
        ("1\0", "printable"),
        ("*1*2*3*", "more than 3"),
        ("unknown", 'write "anonymous"'),
    ],
)
def test_what_is_no_pattern_is_refused_with_what_was_meant(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        bind(text, DE)


@pytest.mark.parametrize(
    "evil",
    [
        r"(\d+)+$",
        r"(a|a)*b",
        r"(\d|\d\d)+x",
        r"(.*)*",
        r"\d*\d*\d*\d*x",
        "(1?){40}1{40}",
        "1?" * 30 + "1" * 30,
        "(((a*)*)*)*",
        r"(?:\d{1,3}){1,20}x",
        r"(?=(\d+)+x)",
        r"((1|2|3)*)",
        r"(?>(\d+)+)+x",
    ],
)
def test_expressions_that_could_run_for_ever_are_refused(evil: str) -> None:
    with pytest.raises(ValueError, match="take very long"):
        compile_safely(evil)


@pytest.mark.parametrize(
    "good",
    [
        r"^\+49(30|40)\d*$",
        r"^(\+49|0)?30\d{3,8}(-?\d+)?$",
        "[]a)(*]+",
        r"\(\)*",
        r"((\d{2})+)?x",
        "a{,3}b{2}c{1,}",
        "{",
        r"(?:ab)*?c++",
        r"(?<!0)1",
        "(?P<a>1)+",
        r"\d{1000}",
        "",
        "a|b|c",
    ],
)
def test_usual_expressions_are_taken(good: str) -> None:
    assert compile_safely(good).pattern == good


def test_an_endless_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 200"):
        compile_safely("a" * 201)


_ATOMS = st.sampled_from(["1", r"\d", ".", "[12]", "(1)", "(1|2)", "(?:1|11)", r"(\d+)", "(1?)", r"(?:\d*1)"])
_TIMES = st.sampled_from(["", "*", "+", "?", "{2,5}", "*?", "{3}"])


@given(st.lists(st.tuples(_ATOMS, _TIMES), min_size=1, max_size=8))
def test_what_is_taken_ends_soon(parts: list[tuple[str, str]]) -> None:
    text = "".join(atom + times for atom, times in parts) + "x"
    try:
        compiled = compile_safely(text)
    except ValueError:
        return
    begun = time.process_time()
    assert compiled.search("1" * LONGEST_SUBJECT) is None
    assert time.process_time() - begun < 2, "a hundred times what was measured"


@given(st.text(alphabet="()[]{}|*+?\\a1,:=!<>P^$-", max_size=30))
def test_no_expression_is_too_strange_for_the_guard(text: str) -> None:
    try:
        taken = compile_safely(text)
    except ValueError as error:
        said = str(error)
    else:
        said = f"is {taken.pattern}"
        re.compile(text)
    assert said.isprintable()


@given(st.text(max_size=30), st.text(max_size=100))
def test_any_pattern_and_any_number(pattern: str, number: str) -> None:
    try:
        bound = bind(pattern, DE)
    except ValueError:
        return
    assert bound.matches(DE.read(number)) in (True, False)


@given(
    st.lists(
        st.sampled_from(["1001", "10??", "030123456", "+4930*", "*", "anonymous", "alice", "/^0/"]),
        max_size=5,
    ),
    st.sampled_from(["1001", "1002", "+4930123456", "+4930999999", "+33123456789", "", "Alice", "x"]),
)
def test_a_list_of_patterns_finds_the_first(patterns: list[str], text: str) -> None:
    number = DE.read(text)
    one_by_one = [index for index, pattern in enumerate(patterns) if bind(pattern, DE).matches(number)]
    assert PatternList(patterns, DE).first(number) == (one_by_one[0] if one_by_one else None)


@pytest.mark.parametrize(
    ("glob", "endpoint", "matches"),
    [
        ("PJSIP/trunk-berlin", "PJSIP/trunk-berlin", True),
        ("PJSIP/trunk-berlin", "PJSIP/trunk-berlin2", False),
        ("PJSIP/trunk-*", "PJSIP/trunk-", True),
        ("PJSIP/trunk-?", "PJSIP/trunk-12", False),
        ("PJSIP/a.b", "PJSIP/axb", False),
        ("*/out", "IAX2/out", True),
        ("PJSIP/trunk", "pjsip/trunk", False),
    ],
)
def test_endpoints(glob: str, endpoint: str, matches: bool) -> None:
    assert endpoint_matches(glob, endpoint) is matches


@pytest.mark.parametrize(
    ("numbering", "glob", "number", "matches"),
    [
        (Numbering("US"), "01149*", "+4930123456", True),
        (Numbering("US"), "01149*", "+33123456789", False),
        (Numbering("US"), "01149*", "011 49 30 123456", True),
        (Numbering("US"), "011*", "+4930123456", True),
        (Numbering("US"), "011*", "+12125551234", False),
        (Numbering("DE"), "00*", "+33123456789", True),
        (Numbering("DE"), "00*", "0033123456789", True),
        (Numbering("DE"), "00*", "+4930123456", False),
        (Numbering("DE"), "00*", "030123456", False),
        (Numbering("DE"), "0033*", "+33123456789", True),
        (Numbering("DE"), "0044*", "+4930123456", False),
        (Numbering("AU"), "001149*", "+4930123456", True),
        (Numbering("BR"), "001549*", "+4930123456", True),
        (Numbering("US", international_prefix="00"), "0049*", "+4930123456", True),
        (Numbering("US", international_prefix="00"), "01149*", "+4930123456", False),
    ],
)
def test_a_glob_may_begin_with_the_countrys_international_prefix(
    numbering: Numbering, glob: str, number: str, matches: bool
) -> None:
    assert bind(glob, numbering).matches(numbering.read(number)) is matches


@pytest.mark.parametrize(
    ("country", "glob", "read_as"),
    [("DE", "49301234*", "+4930123"), ("US", "1212555*", "+1212555")],
)
def test_a_glob_that_fits_no_number_is_found_with_what_was_meant(
    country: str, glob: str, read_as: str
) -> None:
    found = misunderstood(glob, Numbering(country))
    assert found is not None
    assert str(found).startswith(read_as)
    (doubt,) = doubts(parse_policy(f'country = "{country}"\n[[setting]]\nname = "S"\nremote = ["{glob}"]\n'))
    assert doubt.name == "S"
    assert str(found) in doubt.sentence


@pytest.mark.parametrize(
    "glob", ["*", "10??", "030*", "+4930*", "0049*", "00*", "49*", "*1234", "*72", "#1*", "alice*", "0800*"]
)
def test_a_glob_that_may_fit_is_not_doubted(glob: str) -> None:
    assert misunderstood(glob, Numbering()) is None
