"""What every crash test owes the PBX."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.programs import wait_until

from .calls import channels_of


@pytest.fixture(autouse=True)
def nothing_left_on_the_pbx(request: pytest.FixtureRequest) -> Iterator[None]:
    """No channel outlives its call; a probe that was killed ends by itself, see test_aimed_kills.py."""
    yield
    for name in ("pbx22", "pbx22_debian"):
        if name in request.fixturenames:
            pbx: Pbx = request.getfixturevalue(name)
            wait_until("a PBX without calls", partial(_no_calls, pbx), limit=20)


def _no_calls(pbx: Pbx) -> bool:
    return all(channel.startswith("probe-") for channel in channels_of(pbx))
