"""Which coding a call keeps when its codec changed."""

from __future__ import annotations

import pytest

from ari_recorder.audio.choice import choose
from ari_recorder.audio.plan import Format
from ari_recorder.model.recording import Coding

ALAW, ULAW = Format(Coding.ALAW, 8000), Format(Coding.ULAW, 8000)
NARROW, WIDE, FULL = (Format(Coding.PCM16, rate) for rate in (8000, 16000, 48000))


@pytest.mark.parametrize(
    ("seconds", "chosen", "mixed"),
    [
        ({ALAW: 60.0}, ALAW, False),
        ({ALAW: 60.0, WIDE: 0.0}, ALAW, False),
        ({ALAW: 60.0, WIDE: 1.99}, ALAW, False),
        ({ALAW: 60.0, WIDE: 2.0}, WIDE, True),
        ({ALAW: 60.0, WIDE: 1.5, ULAW: 1.5}, WIDE, True),
        ({ALAW: 0.5, WIDE: 60.0}, WIDE, False),
        ({ALAW: 30.0, ULAW: 30.0}, NARROW, True),
        ({ALAW: 9.0, WIDE: 9.0, FULL: 9.0}, FULL, True),
        ({ALAW: 0.3, WIDE: 0.2}, ALAW, False),
        ({ALAW: 0.0, WIDE: 0.0}, ULAW, False),
        ({}, ULAW, False),
    ],
)
def test_choice(seconds: dict[Format, float], chosen: Format, mixed: bool) -> None:
    choice = choose(seconds, otherwise=ULAW)
    assert (choice.format, choice.mixed) == (chosen, mixed)


@pytest.mark.parametrize(
    ("target", "source", "converts"),
    [
        (ALAW, ALAW, False),
        (ALAW, ULAW, True),
        (ALAW, NARROW, True),
        (ALAW, WIDE, True),
        (NARROW, ALAW, False),
        (WIDE, ALAW, True),
        (WIDE, WIDE, False),
    ],
)
def test_g711_kept_as_pcm_at_its_own_rate_is_no_conversion(
    target: Format, source: Format, converts: bool
) -> None:
    assert choose({target: 9.0}, otherwise=target).converts(source) is converts
