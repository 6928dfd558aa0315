"""G.711 against the formulae of ITU-T G.711, and against values Asterisk 22.10.1 gave (`file convert`)."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.audio.g711 import law
from ari_recorder.model.recording import Coding

EVERY_CODE = np.arange(256, dtype=np.uint8)
EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)
LAWS = [Coding.ALAW, Coding.ULAW]


def itu_alaw(code: int) -> int:
    """Table 1a of G.711: segments of doubling steps, 4096 full scale, here times 8; bits inverted by 0x55."""
    bits = code ^ 0x55
    segment, step = bits >> 4 & 7, bits & 15
    value = 2 * step + 1 if segment == 0 else (2 * step + 33) << segment - 1
    return (value if bits & 0x80 else -value) * 8


def itu_ulaw(code: int) -> int:
    """Table 2a of G.711: 8159 full scale, here times 4; all bits inverted."""
    bits = ~code & 0xFF
    value = (2 * (bits & 15) + 33 << (bits >> 4 & 7)) - 33
    return (-value if bits & 0x80 else value) * 4


@pytest.mark.parametrize(("coding", "formula"), [(Coding.ALAW, itu_alaw), (Coding.ULAW, itu_ulaw)])
def test_decodes_as_the_standard_says(coding: Coding, formula: object) -> None:
    assert callable(formula)
    assert law(coding).decode(EVERY_CODE).tolist() == [formula(code) for code in range(256)]


@pytest.mark.parametrize(
    ("coding", "code", "sample"),
    [
        (Coding.ALAW, 0x55, -8),
        (Coding.ALAW, 0xD5, 8),
        (Coding.ALAW, 0x2A, -32256),
        (Coding.ALAW, 0xAA, 32256),
        (Coding.ULAW, 0xFF, 0),
        (Coding.ULAW, 0x7F, 0),
        (Coding.ULAW, 0x00, -32124),
        (Coding.ULAW, 0x80, 32124),
    ],
)
def test_decodes_as_asterisk_does(coding: Coding, code: int, sample: int) -> None:
    assert law(coding).decode(np.array([code], dtype=np.uint8)).tolist() == [sample]


def test_every_alaw_code_comes_back() -> None:
    alaw = law(Coding.ALAW)
    assert alaw.encode(alaw.decode(EVERY_CODE)).tolist() == EVERY_CODE.tolist()


def test_every_ulaw_code_but_one_comes_back() -> None:
    ulaw = law(Coding.ULAW)
    back = ulaw.encode(ulaw.decode(EVERY_CODE)).tolist()
    assert {code: back[code] for code in range(256) if back[code] != code} == {0x7F: 0xFF}


@pytest.mark.parametrize(("coding", "code"), [(Coding.ALAW, 0xD5), (Coding.ULAW, 0xFF)])
def test_inserted_silence_is_the_quietest_code_and_on_grid(coding: Coding, code: int) -> None:
    zeros = np.zeros(3, dtype=np.int16)
    assert law(coding).encode(zeros).tolist() == [code] * 3
    assert law(coding).on_grid(zeros)


@pytest.mark.parametrize(
    ("coding", "sha256"),
    [
        (Coding.ALAW, "38488f6fd710f4686360edc4d38639f96c491595ef93f8eb8d62d5e07ca6ce7b"),
        (Coding.ULAW, "90c29de505fb68e766118303bd552a16005dcf810873698bee1d8f3b247ce28c"),
    ],
)
def test_encodes_every_sample_as_asterisk_does(coding: Coding, sha256: str) -> None:
    """The sums are those of `file convert` of all samples, -32768 first, by Asterisk 16.28 and 22.10.1;
    tests/integration/test_encoders.py asks Asterisk again."""
    assert hashlib.sha256(law(coding).encode(EVERY_SAMPLE).tobytes()).hexdigest() == sha256


@pytest.mark.parametrize("coding", LAWS)
def test_the_code_is_next_to_the_nearest_at_most(coding: Coding) -> None:
    table = law(coding)
    grid = np.array(sorted(set(table.samples.tolist())))
    wide = EVERY_SAMPLE.astype(np.int64)
    nearest = np.abs(grid[:, None] - wide[None, ::7]).argmin(axis=0)
    chosen = np.searchsorted(grid, table.decode(table.encode(EVERY_SAMPLE[::7])))
    assert np.abs(nearest - chosen).max() <= 1


@pytest.mark.parametrize("coding", LAWS)
def test_on_grid_means_what_it_says_for_every_sample(coding: Coding) -> None:
    table = law(coding)
    grid = set(table.samples.tolist()) | {0}
    for sample in (*range(-300, 301), -32768, -32256, 32124, 32256, 32767):
        assert table.on_grid(np.array([sample], dtype=np.int16)) is (sample in grid)


def test_an_empty_block_is_on_grid() -> None:
    assert law(Coding.ALAW).on_grid(np.empty(0, dtype=np.int16))


def test_pcm_is_no_g711() -> None:
    with pytest.raises(ValueError, match=r"not G\.711"):
        law(Coding.PCM16)


@given(st.sampled_from(LAWS), st.lists(st.integers(-32768, 32767)))
def test_encoding_twice_changes_nothing_more(coding: Coding, values: list[int]) -> None:
    table = law(coding)
    once = table.decode(table.encode(np.array(values, dtype=np.int16)))
    assert table.on_grid(once)
    assert table.decode(table.encode(once)).tolist() == once.tolist()
