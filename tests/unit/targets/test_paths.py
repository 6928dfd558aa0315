"""Names that every file system takes, whatever the network sent."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.config.targets import TEMPLATE_WORDS
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.errors import ConfigError
from ari_recorder.model.recording import Call, Chosen, Recording, State
from ari_recorder.targets.paths import base_name, certificate_name, component, folder

AT = datetime(2026, 11, 21, 22, 50, 46, tzinfo=UTC)
HOSTILE = [
    "../../etc/passwd",
    "x" * 300,
    "☎️📞💥",
    "a\0b",
    "new\nline\r\n",
    "",
    " ",
    ".",
    "..",
    "~$lock",
    "CON",
    'a<b>c:d"e/f\\g|h?i*j#k%l',
    "\ud800lone",
    "e\u200b\u0301",
    "\u202egnp.exe",
    "\uff0e\uff0e\uff0f",
    "*98",
    "+4930123456",
    "日本語" * 50,
    "\u0301combining",
    "\u3164",
    "$(reboot)",
    "-rf",
]
SAFE = re.compile(r'[^\x00-\x1f\x7f-\x9f\\/:*?"<>|#%\ud800-\udfff]+')
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|desktop\.ini)(\..*)?", re.IGNORECASE)


def recording(number: str = "+4930123456", name: str = "", **changes: object) -> Recording:
    call = Call("pbx", "c1", Direction.INBOUND, Party(number, name), Party("1001"), created_at=AT)
    made = Recording("r-1", State.SEALED, AT, call, Chosen("Sales team", "7"))
    return replace(made, **changes)  # type: ignore[arg-type]


def assert_safe(name: str) -> None:
    assert SAFE.fullmatch(name), name
    assert len(name.encode("utf-8")) <= 120
    assert name == unicodedata.normalize("NFC", name)
    assert name[0] not in ". ~"
    assert name[-1] not in ". "
    assert not RESERVED.fullmatch(name)
    assert name not in (".", "..")
    assert len(PurePosixPath(name).parts) == 1


def test_a_plain_name() -> None:
    assert re.fullmatch(r"20261121-225046Z_\+4930123456_1001_[0-9a-f]{10}", base_name(recording()))


def test_the_time_is_utc_and_falls_back_to_the_decision() -> None:
    local = AT.astimezone(ZoneInfo("Asia/Kolkata"))
    call = replace(recording().call, created_at=local)
    assert base_name(recording(call=call)).startswith("20261121-225046Z_")
    assert base_name(recording(call=replace(call, created_at=None))).startswith("20261121-225046Z_")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_callers(text: str) -> None:
    for one in (recording(text), recording("", text), recording(text, text)):
        name = base_name(one)
        assert_safe(name)
        assert len(name.split("_")) == 4
        assert " " not in name


@given(st.text(st.characters()), st.text(st.characters()), st.text(min_size=1))
def test_any_text_gives_a_safe_name(number: str, name: str, own: str) -> None:
    call = replace(recording().call, caller=Party(number, name), callee=Party(name, number), pbx=number)
    made = recording(call=call, id=own, setting=Chosen(name, "1"))
    assert_safe(base_name(made))
    template = "/".join(f"${word}" for word in (*TEMPLATE_WORDS, "id"))
    place = folder(template, made)
    assert len(place.parts) == len(TEMPLATE_WORDS) + 1
    for part in place.parts:
        assert_safe(part)


@given(st.text(st.characters()))
def test_any_text_gives_a_safe_component(text: str) -> None:
    assert_safe(component(text))


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_names_differ_when_ids_do(one: str, other: str) -> None:
    same = base_name(recording(id=one)).lower() == base_name(recording(id=other)).lower()
    assert same == (one == other)


def test_a_name_stands_in_where_there_is_no_number() -> None:
    assert "_Müller-Ilse_" in base_name(recording("", "Müller, Ilse".replace(",", "")))
    assert "_unknown_" in base_name(recording("", ""))


def test_a_long_number_leaves_room_for_everything_else() -> None:
    call = replace(recording().call, caller=Party("ü" * 300), callee=Party("日" * 300))
    name = base_name(recording(call=call))
    assert len(name.encode()) <= 110
    assert name.split("_")[3] == base_name(recording()).split("_")[3]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("$Y/$M/$D", "2026/11/21"),
        ("$Y$M$D-$h$m$s", "20261121-225046"),
        ("${Y}archive", "2026archive"),
        ("$setting/$direction", "Sales-team/inbound"),
        ("$caller-$callee", "+4930123456-1001"),
        ("$remote-$local", "+4930123456-1001"),
        ("$trunk/$trunk_number/$pbx", "unknown/unknown/pbx"),
        ("$id", "r-1"),
        ("$$Y", "$Y"),
        ("Our calls/ü", "Our calls/ü"),
        ("CON/nul.txt/a.", "_CON/_nul.txt/a"),
        ("a//b/./c/", "a/b/c"),
        ("", "."),
    ],
)
def test_templates(template: str, expected: str) -> None:
    assert str(folder(template, recording(), zone=UTC)) == expected


def test_outbound_calls_swap_the_sides() -> None:
    call = replace(recording().call, direction=Direction.OUTBOUND)
    assert str(folder("$remote-$local", recording(call=call))) == "1001-+4930123456"


def test_times_are_local() -> None:
    assert str(folder("$Y-$M-$D $h", recording(), zone=ZoneInfo("Asia/Kolkata"))) == "2026-11-22 04"


@pytest.mark.parametrize(
    ("template", "hint"), [("$Yr", "$Y"), ("$calee", "$callee"), ("$setings", "$setting")]
)
def test_an_unknown_word_is_named_with_the_nearest(template: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        folder(template, recording())
    assert caught.value.code == "config.value"
    assert f'"{hint}"' in caught.value.remedy


@pytest.mark.parametrize("template", ["/abs", "a/../b", "..", "$", "${}", "${Y"])
def test_templates_that_cannot_be(template: str) -> None:
    with pytest.raises(ConfigError):
        folder(template, recording())


def test_a_hostile_number_cannot_make_folders() -> None:
    call = replace(recording().call, caller=Party("../../x"))
    assert folder("$caller", recording(call=call)).parts == ("x",)


def test_every_documented_word_is_known() -> None:
    for word in TEMPLATE_WORDS:
        assert folder(f"${word}", recording()).parts


def test_certificate_name() -> None:
    assert certificate_name("ABCDEF0123456789" * 4) == "ari-recorder-abcdef0123456789.crt"
