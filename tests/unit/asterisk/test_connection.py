"""One WebSocket for ever: nothing is lost or out of order, and a dead line is noticed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ari_recorder.asterisk.ari import connection as module
from ari_recorder.asterisk.ari.client import AriClient
from ari_recorder.asterisk.ari.connection import AriConnection, Connected, Disconnected, Item, Pauses
from ari_recorder.capture.events import PlaybackStarted
from ari_recorder.model.errors import TransientError

from .stand_in import DEADLINE, PASSWORD, USER, StandIn

QUICK = Pauses(
    first=0.01,
    longest=0.05,
    replaced=0.2,
    between_pings=0.05,
    ping_limit=0.2,
    heartbeat=5,
    first_pulse=0.01,
    pulse_limit=0.3,
    calm=60,
)


@pytest.fixture
async def client(pbx: StandIn) -> AsyncIterator[AriClient]:
    async with AriClient(pbx.url, USER, PASSWORD, limit=0.3) as found:
        yield found


def connect(client: AriClient, pauses: Pauses = QUICK, **how: Any) -> AriConnection:
    return AriConnection(client, "ari-recorder", ("PJSIP",), pauses=pauses, **how)


async def take(line: AriConnection) -> Item:
    async with asyncio.timeout(DEADLINE):
        return await anext(line)


async def connected(line: AriConnection) -> Connected:
    item = await take(line)
    assert isinstance(item, Connected), item
    return item


async def disconnected(line: AriConnection) -> Disconnected:
    item = await take(line)
    assert isinstance(item, Disconnected), item
    return item


def playing(number: int) -> dict[str, Any]:
    at = "2026-11-21T22:50:46.123+0000"
    return {"type": "PlaybackStarted", "timestamp": at, "playback": {"id": str(number)}}


async def numbers(line: AriConnection, count: int) -> list[int]:
    items = [await take(line) for _ in range(count)]
    return [int(item.playback) for item in items if isinstance(item, PlaybackStarted)]


async def test_it_subscribes_reads_the_state_and_delivers_in_order(pbx: StandIn, client: AriClient) -> None:
    async with connect(client) as line:
        state = await connected(line)
        assert state.snapshot.gated == {"c1"}
        for number in range(200):
            await pbx.send(playing(number))
        assert await numbers(line, 200) == list(range(200))
    sources = [
        each.query["eventSource"] for each in pbx.asked("POST", "/applications/ari-recorder/subscription")
    ]
    assert sources == ["endpoint:PJSIP", "bridge:"]
    (filtered,) = pbx.asked("PUT", "/applications/ari-recorder/eventFilter")
    assert {"type": "ChannelVarset"} in filtered.body["disallowed"]
    (opened,) = pbx.asked("GET", "/events")
    assert opened.query == {"app": "ari-recorder", "subscribeAll": "false"}


async def test_the_snapshot_asks_about_the_recordings_wanted_just_then(
    pbx: StandIn, client: AriClient
) -> None:
    running = {"name": "r", "format": "sln", "state": "recording", "target_uri": "channel:s"}
    pbx.answers["GET", "/recordings/live/r"] = (200, running)
    wanted: list[str] = []
    async with connect(client, wanted=lambda: wanted) as line:
        assert (await connected(line)).snapshot.live_recordings == frozenset()
        wanted.append("r")
        await pbx.sockets[0].close()
        await disconnected(line)
        assert (await connected(line)).snapshot.live_recordings == {"r"}


async def test_events_during_the_snapshot_come_after_it(pbx: StandIn, client: AriClient) -> None:
    sending: list[asyncio.Task[None]] = []

    def speak(path: str) -> None:
        if path == "/bridges":
            sending.append(asyncio.ensure_future(pbx.send(playing(1))))

    pbx.before = speak
    async with connect(client) as line:
        await connected(line)
        await pbx.send(playing(2))
        assert await numbers(line, 2) == [1, 2]


async def test_a_closed_socket_comes_back(pbx: StandIn, client: AriClient) -> None:
    async with connect(client) as line:
        for turn in range(3):
            await connected(line)
            await pbx.send(playing(turn))
            assert await numbers(line, 1) == [turn]
            await pbx.sockets[-1].close()
            lost = await disconnected(line)
            assert lost.error.code == "ari.unreachable"
            assert "websocket_write_timeout" in lost.error.remedy


async def test_a_frozen_asterisk_is_noticed_and_comes_back(pbx: StandIn, client: AriClient) -> None:
    async with connect(client) as line:
        await connected(line)
        pbx.freeze()
        lost = await disconnected(line)
        assert lost.error.code == "ari.timeout"
        pbx.thaw()
        await connected(line)


async def test_the_defaults_notice_a_frozen_asterisk_within_ten_seconds() -> None:
    usual = Pauses()
    assert usual.between_pings + usual.ping_limit < 10
    assert usual.between_pings + usual.pulse_limit < 11
    assert usual.heartbeat * 1.5 < 10


async def test_a_socket_that_stands_but_carries_nothing_is_noticed(pbx: StandIn, client: AriClient) -> None:
    pbx.echo_events = False
    async with connect(client) as line:
        await connected(line)
        lost = await disconnected(line)
        assert lost.error.code == "ari.timeout"
        assert "events do not arrive" in lost.reason


async def test_an_application_that_asterisk_has_forgotten_is_noticed(pbx: StandIn, client: AriClient) -> None:
    forgotten = (404, {"message": "Application not found"})

    def forget(path: str) -> None:
        if path.startswith("/events/user/") and len(pbx.sockets) == 1:
            pbx.answers["POST", path] = forgotten

    async with connect(client) as line:
        await connected(line)
        pbx.before = forget
        assert "events do not arrive" in (await disconnected(line)).reason
        await connected(line)


async def test_without_user_events_the_pulse_is_left_out(pbx: StandIn, client: AriClient) -> None:
    def refuse(path: str) -> None:
        if path.startswith("/events/user/"):
            pbx.answers["POST", path] = (405, {"message": "no"})

    pbx.before = refuse
    async with connect(client) as line:
        await connected(line)
        await pbx.until(lambda: len(pbx.asked("GET", "/asterisk/ping")) > 12)
        await pbx.send(playing(1))
        assert await numbers(line, 1) == [1]
        assert len([each for each in pbx.requests if each.path.startswith("/events/user/")]) == 1


async def test_a_replaced_recorder_says_so_and_waits(pbx: StandIn, client: AriClient) -> None:
    loop = asyncio.get_running_loop()
    async with connect(client) as line:
        await connected(line)
        await pbx.send({"type": "ApplicationReplaced", "application": "ari-recorder"})
        lost = await disconnected(line)
        began = loop.time()
        assert lost.error.code == "ari.replaced"
        await connected(line)
        assert loop.time() - began > QUICK.replaced * 0.9


async def test_a_ghost_of_our_own_is_not_a_rival(pbx: StandIn, client: AriClient) -> None:
    """An attempt that timed out is served late, and takes the application from us [measured]."""
    patient = Pauses(**{**{f: getattr(QUICK, f) for f in QUICK.__slots__}, "replaced": 60.0})
    async with connect(client, patient) as line:
        await connected(line)
        pbx.freeze()
        await disconnected(line)
        await pbx.until(lambda: len(pbx.asked("GET", "/events")) >= 2)
        await pbx.until(lambda: len(pbx.asked("GET", "/events")) >= 3)
        pbx.thaw()
        await connected(line)
        await pbx.send({"type": "ApplicationReplaced", "application": "ari-recorder"})
        assert (await disconnected(line)).error.code == "ari.timeout"
        await connected(line)


async def test_an_asterisk_that_stays_away_is_said_once_and_not_pressed(
    client: AriClient, pbx: StandIn
) -> None:
    pbx.answers["GET", "/events"] = (503, "booting")
    async with connect(client) as line:
        assert (await disconnected(line)).error.code == "ari.unreachable"
        await pbx.until(lambda: len(pbx.asked("GET", "/events")) >= 4)
        assert line.waiting == 0
        pbx.answers["GET", "/events"] = (401, "no")
        assert (await disconnected(line)).error.code == "ari.unauthorised"
        del pbx.answers["GET", "/events"]
        await connected(line)


async def test_what_an_asterisk_is_away_for_is_what_is_so_now(client: AriClient, pbx: StandIn) -> None:
    """The socket was closed, and then nothing answered: the second is what an admin has to mend."""
    async with connect(client) as line:
        await connected(line)
        pbx.answers["GET", "/events"] = (503, "booting")
        await pbx.sockets[-1].close()
        closed, refused = [(await disconnected(line)).error for _ in range(2)]
        assert closed.code == refused.code == "ari.unreachable"
        assert "websocket_write_timeout" in closed.remedy
        assert "websocket_write_timeout" not in refused.remedy


async def test_pauses_grow_to_their_limit(client: AriClient) -> None:
    line = connect(client, Pauses())
    error = TransientError("ari.unreachable", "gone")
    grown = [line._pause(error, failures) for failures in range(12)]
    assert 0.1 <= grown[0] <= 0.2
    assert all(5 <= pause <= 10 for pause in grown[8:])


async def test_a_line_that_falls_at_once_again_and_again_is_not_pressed(
    pbx: StandIn, client: AriClient
) -> None:
    """It stands each time, so each time there is a Connected; yet the pauses grow."""
    slower = Pauses(first=0.05, longest=10, between_pings=5, heartbeat=20)
    loop = asyncio.get_running_loop()
    turns: list[float] = []
    async with connect(client, slower) as line:
        for _ in range(5):
            await connected(line)
            began = loop.time()
            await pbx.sockets[-1].close()
            await disconnected(line)
            turns.append(loop.time() - began)
            began = loop.time()
            await pbx.until(lambda: len(pbx.sockets) > len(turns))
            turns[-1] = loop.time() - began
    assert turns[4] > 0.05 * 2**4 * 0.5 * 0.9
    assert turns[4] > turns[0]


async def test_a_technology_that_asterisk_does_not_have_is_left_out(pbx: StandIn, client: AriClient) -> None:
    def answer(path: str) -> None:
        if path.endswith("/subscription"):
            known = pbx.requests[-1].query["eventSource"] != "endpoint:IAX2"
            usual = (200, {"name": "ari-recorder", "channel_ids": []})
            refused = (422, {"message": "Event source does not exist"})
            pbx.answers["POST", "/applications/ari-recorder/subscription"] = usual if known else refused

    pbx.before = answer
    async with AriConnection(client, "ari-recorder", ("PJSIP", "IAX2"), pauses=QUICK) as line:
        await connected(line)
    async with AriConnection(client, "ari-recorder", ("IAX2",), pauses=QUICK) as line:
        assert (await disconnected(line)).error.code == "ari.refused"


async def test_a_filter_that_cannot_be_set_does_no_harm(pbx: StandIn, client: AriClient) -> None:
    pbx.answers["PUT", "/applications/ari-recorder/eventFilter"] = (404, {"message": "Invalid"})
    async with connect(client) as line:
        await connected(line)


@pytest.mark.parametrize("junk", ["", "{", "[1]", "null", '"x"', '{"type": "New"}', "[" * 100_000])
async def test_junk_on_the_socket_is_passed_over(pbx: StandIn, client: AriClient, junk: str) -> None:
    async with connect(client) as line:
        await connected(line)
        await pbx.send(junk)
        await pbx.send(playing(1))
        assert await numbers(line, 1) == [1]


async def test_a_slow_consumer_never_stops_the_reading(
    pbx: StandIn, client: AriClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "HIGH_WATER", 500)
    caplog.set_level(logging.WARNING, logger=module.__name__)
    async with connect(client) as line:
        await connected(line)
        async with asyncio.timeout(DEADLINE):
            for number in range(2000):
                await pbx.send(playing(number))
        await pbx.until(lambda: line.waiting == 2000 or not pbx.sockets[0].closed)
        assert await numbers(line, 2000) == list(range(2000))
    said = [record.getMessage() for record in caplog.records if "ari-events-waiting" in record.getMessage()]
    assert said
    assert len(said) <= 4


async def test_leaving_ends_everything(pbx: StandIn, client: AriClient) -> None:
    async with connect(client) as line:
        await connected(line)
    with pytest.raises(StopAsyncIteration):
        await take(line)
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("ari-")]
