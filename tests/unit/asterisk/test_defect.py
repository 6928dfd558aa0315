"""The probe's judgement over what was recorded."""

from __future__ import annotations

import itertools
import struct

import pytest

from ari_recorder.asterisk.ari.client import AriClient
from ari_recorder.asterisk.defect import (
    BACK,
    FIRST,
    HIGH_SAMPLE,
    LOW_SAMPLE,
    SECOND,
    START,
    judge,
    packets,
    probe,
)
from ari_recorder.asterisk.dummy_call import FRAME

from .stand_in import PASSWORD, USER, StandIn


def recorded(first: int, second: int, silence: int = 7) -> bytes:
    """A recording with so many frames of each stretch, silence before and after."""
    values = (
        [0] * silence * FRAME + [HIGH_SAMPLE] * first * FRAME + [LOW_SAMPLE] * second * FRAME + [0] * FRAME
    )
    return struct.pack(f"<{len(values)}h", *values)


@pytest.mark.parametrize(
    ("first", "second", "affected"),
    [
        (FIRST, SECOND, False),
        (FIRST, SECOND - 2, False),
        (FIRST - 4, SECOND - 5, False),
        (FIRST, 0, True),
        (FIRST - 4, 3, True),
        (FIRST, SECOND // 3, False),
        (FIRST, SECOND // 6, None),
        (0, 0, None),
        (0, SECOND, None),
        (FIRST // 2 - 1, 0, None),
    ],
)
def test_only_a_clear_recording_is_a_verdict(first: int, second: int, affected: bool | None) -> None:
    verdict = judge(recorded(first, second))
    assert verdict.affected is affected
    assert f"{first:.1f} of {FIRST}" in verdict.detail


@pytest.mark.parametrize("junk", [b"", b"\x00", b"\x00" * 9999])
def test_silence_is_no_verdict(junk: bytes) -> None:
    assert judge(junk).affected is None


def test_the_numbers_step_back_once() -> None:
    numbers = [number for number, _ in packets()]
    steps = [later - earlier for earlier, later in itertools.pairwise(numbers)]
    assert steps.count(1) == len(steps) - 1
    assert min(steps) == -BACK - FIRST + 1
    assert START - BACK > 0
    assert all(len(payload) == FRAME for _, payload in packets())


async def test_a_probe_that_cannot_be_made_is_no_verdict_and_no_error(pbx: StandIn) -> None:
    pbx.answers["POST", "/channels/externalMedia"] = (404, {"message": "no such thing"})
    async with AriClient(pbx.url, USER, PASSWORD) as client:
        verdict = await probe(client)
    assert verdict.affected is None
    assert "no such thing" in verdict.detail
    hung_up = [each for each in pbx.requests if each.method == "DELETE"]
    assert [each.path.split("/")[1] for each in hung_up] == ["channels"]


async def test_without_an_asterisk_there_is_no_verdict() -> None:
    async with AriClient("http://127.0.0.1:9", USER, PASSWORD, limit=0.5) as client:
        assert (await probe(client)).affected is None
