from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ari_recorder.asterisk.ari.client import AriClient

from .stand_in import PASSWORD, USER, StandIn, stand_in


@pytest.fixture
async def pbx() -> AsyncIterator[StandIn]:
    """An Asterisk to be told what to answer."""
    async with stand_in() as served:
        yield served


@pytest.fixture
async def client(pbx: StandIn) -> AsyncIterator[AriClient]:
    async with AriClient(pbx.url, USER, PASSWORD, limit=1.0) as found:
        yield found
