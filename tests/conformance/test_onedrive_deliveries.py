"""From the spool to OneDrive: what the service asks for is what the queue in front of it does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ari_recorder.model.delivery import DeliveryState
from ari_recorder.spool.folders import Spool
from tests.unit.spool.recordings import contents, sealed
from tests.unit.spool.test_delivery import delivering, done

from .onedrive_scene import Scene
from .rig_onedrive import ROOT


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    with made.peer:
        yield made
        made.close()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool") as made:
        yield made


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Folders are named by local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def test_recordings_arrive_with_links_to_their_folder(scene: Scene, spool: Spool) -> None:
    names = [f"r-{number}" for number in range(6)]
    async with delivering([scene.target()]) as (deliverer, watched):
        for own in names:
            deliverer.submit(sealed(spool, own, "archive"))
        for own in names:
            last = await watched.delivered(own)
            (delivery,) = last.deliveries
            assert {receipt.how for receipt in delivery.receipts} == {"server-hash"}
            assert {receipt.link for receipt in delivery.receipts} == {
                f"https://contoso.example/Documents/{ROOT}/2026/11/21"
            }
    wanted = {name: content for own in names for name, content in contents(own).items()}
    assert {p.name: p.read_bytes() for p in (scene.root / "2026/11/21").iterdir()} == wanted
    assert list(spool.all()) == []


async def test_nobody_asks_while_the_service_wants_to_be_left_alone(scene: Scene, spool: Spool) -> None:
    """Two recordings side by side; one is throttled, and both wait the two seconds that were named."""
    scene.peer.faults.refuse("create-session", 429, "activityLimitReached", nth=3, Retry_After="2")
    async with delivering([scene.target()]) as (deliverer, watched):
        for own in ("r-1", "r-2"):
            deliverer.submit(sealed(spool, own, "archive"))
        waiting = await watched.until(lambda r: any(d.error_code == "target.busy" for d in r.deliveries))
        begun, asked = time.monotonic(), len(scene.peer.log)
        assert {d.state for d in waiting.deliveries} == {DeliveryState.WAITING}
        for own in ("r-1", "r-2"):
            await watched.delivered(own)
        assert time.monotonic() - begun > 1.5
        refused = [number for number, entry in enumerate(scene.peer.log) if entry == ("create-session", 429)]
        assert len(refused) == 1
        assert asked <= refused[0] + 3, "only what was under way already was still answered"


async def test_a_login_that_is_mended_lets_all_of_it_go_out(scene: Scene, spool: Spool) -> None:
    scene.peer.entra.refusing = 7000222
    async with delivering([scene.target()]) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-1", "archive"))
        blocked = await watched.until(lambda r: any(d.error_code == "target.login" for d in r.deliveries))
        assert {d.state for d in blocked.deliveries} == {DeliveryState.BLOCKED}
        assert "AADSTS7000222" in (blocked.deliveries[0].error or "")
        scene.peer.entra.refusing = None
        async with asyncio.timeout(20):
            await watched.until(lambda r: done(r, "archive"))
