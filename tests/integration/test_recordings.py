"""Recordings judged sample by sample: what the phones sent is what stands in the sealed file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ari_recorder.lab.pbx import Pbx
from tests.phones.judge import assert_bit_exact

from .scene import policy, scene

EVERY_PBX = pytest.mark.parametrize("which", ["pbx22", "pbx16"])


@pytest.fixture
def pbx(which: str, request: pytest.FixtureRequest) -> Pbx:
    found: Pbx = request.getfixturevalue(which)
    return found


@EVERY_PBX
async def test_an_inbound_a_law_call_is_the_bytes_on_the_wire(pbx: Pbx, tmp_path: Path) -> None:
    async with scene(pbx, tmp_path, policy()) as stage:
        call, incoming = await stage.connect(ring_seconds=0.5)
        await call.talk(4)
        await stage.finish(call, incoming)
        result = await stage.result()
    assert result.wave.tag == 6
    assert result.wave.rate == 8000
    assert_bit_exact(result.left, call.sent, what="the left channel (caller)")
    assert_bit_exact(result.right, incoming.sent, what="the right channel (callee)")
