"""SIGTERM in the middle of everything: an end in order, and the next start goes on where this one stopped."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.progress import spoken
from ari_recorder.lab.sftpd import SftpServer
from tests.integration.scene import policy, scene
from tests.integration.vault import vault_policy

from .calls import Spoken, Traffic, all_of, until

LIMIT = 15.0
"""Seconds in which the recorder must have ended."""


@pytest.fixture
def frozen_server(sftp_server: SftpServer) -> Iterator[SftpServer]:
    """Accepts connections and answers nothing."""
    sftp_server.freeze()
    yield sftp_server
    sftp_server.thaw()


async def test_stopped_in_calls_and_in_a_delivery(
    pbx22: Pbx, tmp_path: Path, frozen_server: SftpServer
) -> None:
    rules = policy(more=vault_policy(frozen_server), targets='["archive", "vault"]')
    async with scene(pbx22, tmp_path, rules) as stage:
        traffic = await Traffic(stage).open()
        await traffic.whole(0.3)
        await until("a delivery to the archive", lambda: list(stage.archive.rglob("*.sig")))
        rings, talks = await traffic.place(), await traffic.place()
        for call in (rings, talks):
            await traffic.ring(call)
            await traffic.rolling(call)
        await traffic.pick_up(talks)
        begun = time.monotonic()
        status = await asyncio.to_thread(stage.recorder.stop)
        took = time.monotonic() - begun
        assert status == 0
        assert took < LIMIT
        await _go_on(traffic, rings)  # nobody is there to see it
        frozen_server.thaw()
        await asyncio.to_thread(stage.recorder.start)
        await traffic.talk(talks, 0.5)
        await traffic.finish(talks)
        results = await traffic.settled()
        for call in traffic.calls:
            traffic.judge(call, results)
    spoken(f"ended in {took:.1f} s with a hanging delivery")
    names = sorted(path.name for path in frozen_server.folder.rglob("*.*") if path.is_file())
    assert names == sorted(path.name for path in stage.archive.rglob("*.*") if path.is_file())


async def _go_on(traffic: Traffic, call: Spoken) -> None:
    await traffic.pick_up(call)
    await traffic.talk(call, 0.5)
    await traffic.finish(call)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stopped_again_and_again_with_nothing_in_the_way(
    pbx22: Pbx, tmp_path: Path, number: signal.Signals
) -> None:
    """Ends at once; a second signal while it ends changes nothing."""
    async with scene(pbx22, tmp_path, policy()) as stage:
        traffic = await Traffic(stage).open()
        calls = [await traffic.place() for _ in range(3)]
        await all_of([_answered(traffic, call) for call in calls])
        pid = stage.recorder.pid
        assert pid is not None
        begun = time.monotonic()
        stage.recorder.send(number)
        stage.recorder.send(number)
        assert await asyncio.to_thread(stage.recorder.wait, limit=LIMIT) == 0
        assert time.monotonic() - begun < 5
        await all_of([traffic.talk(call, 0.3) for call in calls])
        await asyncio.to_thread(stage.recorder.start)
        await all_of([traffic.finish(call) for call in calls])
        results = await traffic.settled()
        for call in calls:
            traffic.judge(call, results)


async def _answered(traffic: Traffic, call: Spoken) -> None:
    await traffic.ring(call)
    await traffic.rolling(call)
    await traffic.pick_up(call)
    await traffic.talk(call, 0.3)
