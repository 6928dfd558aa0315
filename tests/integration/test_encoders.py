"""What Asterisk encodes, the product encodes alike: asked of real Asterisks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ari_recorder.audio.g711 import law
from ari_recorder.lab.pbx import Pbx
from ari_recorder.model.recording import Coding
from tests.phones.judge import find_payload

from .scene import policy, scene

EVERY_SAMPLE = np.arange(-32768, 32768).astype("<i2")


@pytest.mark.parametrize("which", ["pbx22", "pbx16"])
@pytest.mark.parametrize("coding", [Coding.ALAW, Coding.ULAW])
def test_every_sample_is_encoded_as_asterisk_does(
    which: str, coding: Coding, request: pytest.FixtureRequest
) -> None:
    pbx: Pbx = request.getfixturevalue(which)
    place = pbx.spool_folder / "tmp"
    (place / "every.sln").write_bytes(EVERY_SAMPLE.tobytes())
    inside = "/var/spool/asterisk/tmp/every"
    said = pbx.cli(f"file convert {inside}.sln {inside}.{coding.value}")
    assert "Converted" in said
    codes = (place / f"every.{coding.value}").read_bytes()[: len(EVERY_SAMPLE)]
    assert law(coding).encode(EVERY_SAMPLE.astype(np.int16)).tobytes() == codes


async def test_what_the_pbx_plays_itself_stands_as_it_went_over_the_wire(pbx22: Pbx, tmp_path: Path) -> None:
    """Music from a file, then a ringing tone made in slin, then the other party: all the caller heard."""
    async with scene(pbx22, tmp_path, policy()) as stage:
        call, incoming = await stage.connect("+49301004011", ring_seconds=3)
        await call.talk(2)
        await stage.finish(call, incoming)
        result = await stage.result()
    heard = call.received
    found = sum(run.length for run in find_payload(result.right, heard))
    assert len(heard) > 6 * 8000
    # What Asterisk sent in the instants in which snoops and call came and went is not the point here.
    assert found >= len(heard) - 160 * 10
