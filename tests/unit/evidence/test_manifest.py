"""E1: metadata for machines and people; no value from the network can become another line or value."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.evidence import info, manifest
from ari_recorder.evidence.visible import revealed, visible
from ari_recorder.model.call import Party
from ari_recorder.model.evidence import ArchivePlace, Link, Predecessor
from ari_recorder.model.recording import Assembled, Note, Recording

from .archives import NOON, assembled, recording

ANYTHING = st.text(st.characters(codec=None), max_size=300) | st.text(
    st.sampled_from("\n\r\t\v\f\0\x1b\x7f\x85\u2028\u2029\u202e\u2066\ufeff\ud83d\udc80\\: x"), max_size=40
)
LINK = Link(
    number=7,
    recording="id-00001",
    name="x",
    sealed_at=NOON,
    signature_sha256="",
    previous=Predecessor(6, "w", "e" * 64),
    places=(ArchivePlace("archive", 2, "v"), ArchivePlace("off: site", 1, None)),
    chain="c" * 64,
)


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Assembled:
    return assembled(tmp_path_factory.mktemp("audio"), "x", 1)


def both(made: Recording) -> tuple[manifest.Document, dict[str, str], bytes, bytes]:
    encoded = manifest.encode(manifest.describe(made, LINK, "f" * 64))
    content = manifest.decode(encoded)
    text = info.write(content)
    return content, info.read(text), encoded, text


def merged(text: str) -> str:
    """Two surrogates side by side are one sign to JSON."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@given(name=ANYTHING, detail=ANYTHING)
def test_hostile_values_stay_values(audio: Assembled, name: str, detail: str) -> None:
    tame = both(recording(1, audio))
    content, told, encoded, text = both(recording(1, audio, caller=Party(name, name), detail=detail))
    assert content["call"]["caller"] == {"number": merged(name), "name": merged(name)}
    assert content["notes"][0]["detail"] == merged(detail)
    assert told["Caller name"] == merged(name)
    assert list(told) == list(tame[1])
    assert {key for key in told if told[key] != tame[1][key]} <= {"Caller name", "Caller number", "Note 1"}
    assert text.count(b"\n") == tame[3].count(b"\n")
    assert info.disagreements(content, told) == []
    for data in (encoded, text):
        shown = data.decode()
        assert all(sign == "\n" or unicodedata.category(sign)[0] not in "C" for sign in shown)
        assert not set(shown) & set("\u2028\u2029")


@given(ANYTHING)
def test_what_is_made_visible_can_be_revealed(text: str) -> None:
    assert visible(text).isprintable()
    assert revealed(visible(text)) == text


@given(ANYTHING)
def test_revealing_never_fails(text: str) -> None:
    assert isinstance(revealed(text), str)


def test_one_line_cannot_fake_another(audio: Assembled) -> None:
    _, told, _, text = both(
        recording(1, audio, caller=Party("1\nEncrypted: yes", "a\r\n\r\nChain number: 1"))
    )
    assert b"Caller number: 1\\u000aEncrypted: yes\n" in text
    assert told["Encrypted"] == "unknown"
    assert told["Chain number"] == "7"


def test_umlauts_stay_readable(audio: Assembled) -> None:
    _, _, encoded, text = both(recording(1, audio))
    assert "Caller name: Änne Müller\n" in text.decode()
    assert '"name": "Änne Müller"' in encoded.decode()


@pytest.mark.parametrize(("encrypted", "word"), [(True, "yes"), (False, "no"), (None, "unknown")])
def test_encryption_is_told_in_three_words(audio: Assembled, encrypted: bool | None, word: str) -> None:
    made = recording(1, audio)
    content, told, _, _ = both(replace(made, call=replace(made.call, encrypted=encrypted)))
    assert content["call"]["encrypted"] == told["Encrypted"] == word


def test_the_text_holds_what_a_person_asks_for(audio: Assembled) -> None:
    audio = replace(audio, edits=(Note(NOON, "stretch", "20 ms"),), exact=False)
    _, told, _, _ = both(recording(1, audio))
    assert told["Answered seconds"] == "60.0"
    assert told["Audio 1 channels"] == "left = remote, right = local"
    assert told["Note 1"] == "hold, 2026-03-01T12:01:00.000000Z to 2026-03-01T12:01:02.000000Z: music"
    assert told["Announcement 1"].endswith("heard to its end")
    assert told["Edit 1"] == "stretch, 2026-03-01T12:00:00.000000Z: 20 ms"
    assert told["Exact"] == "no"
    assert told["Place 2 target"] == "off: site"
    assert told["Place 2 previous name"] == ""
    assert told["Previous signature SHA-256"] == "e" * 64


def test_the_link_comes_back_from_the_document(audio: Assembled) -> None:
    content, _, _, _ = both(recording(1, audio))
    assert manifest.link_in(content, "a" * 64) == replace(LINK, signature_sha256="a" * 64)


def test_the_keys_are_in_a_fixed_order(audio: Assembled) -> None:
    content, told, _, _ = both(recording(1, audio))
    assert list(content) == [
        "format",
        "name",
        "recording",
        "call",
        "setting",
        "audio",
        "assembly",
        "segments",
        "announcements",
        "notes",
        "chain",
    ]
    assert list(told)[:3] == ["Recording", "Name", "Decided"]


def test_every_key_of_the_text_is_documented(audio: Assembled) -> None:
    reference = (Path(__file__).parents[3] / "docs/reference/evidence.md").read_text()
    for group in info.GROUPS:
        for key, path in group:
            assert f"| `{key}` | `{path}` |" in reference, key


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\n",
        b"other/1\n\nA: b\n",
        b"ari-recorder/info/1\nA: b",
        b"ari-recorder/info/1\nA: b\nA: c\n",
        b"ari-recorder/info/1\nno colon\n",
        b"ari-recorder/info/1\nA:b\n",
    ],
)
def test_a_damaged_text_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        info.read(text)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"\xff", b'{"format":"ari-recorder/metadata/2"}', b"[" * 100_000]
)
def test_a_damaged_document_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        manifest.decode(data)


def test_a_difference_between_text_and_document_is_named(audio: Assembled) -> None:
    content, told, _, _ = both(recording(1, audio))
    told["Caller number"] = "112"
    told["Audio 1 SHA-256"] = ""
    assert info.disagreements(content, told) == ["Caller number", "Audio 1 SHA-256"]
