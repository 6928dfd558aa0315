"""The ARI room against real Asterisks: calls, orders, lost connections, the probe and the check."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pytest

from ari_recorder.asterisk.ari.client import AriClient
from ari_recorder.asterisk.ari.connection import AriConnection, Connected, Disconnected, Item, Pauses
from ari_recorder.asterisk.ari.transport import RefusedError
from ari_recorder.asterisk.defect import probe
from ari_recorder.asterisk.findings import Finding, Level
from ari_recorder.asterisk.inspect import inspect
from ari_recorder.asterisk.orders import Orders
from ari_recorder.asterisk.snapshot import read_snapshot
from ari_recorder.capture import commands, events
from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.programs import wait_until
from ari_recorder.model.call import Side
from ari_recorder.model.errors import ConfigError
from tests.phones import PCMA, Call, Exchange

APPLICATION = "ari-recorder"
DEADLINE = 15.0
SILENT = bytes(320)

Seen = TypeVar("Seen", bound=Item)


@pytest.fixture(params=["pbx22", "pbx16"])
def pbx(request: pytest.FixtureRequest) -> Pbx:
    """Both ends of the supported range."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Pbx)
    return found


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> None:
    """A recorder that another test killed in mid-probe leaves a dummy call and its file."""
    spec = getattr(request.node, "callspec", None)
    named = [*request.fixturenames, *(spec.params.values() if spec is not None else ())]
    for name in ("pbx22", "pbx16", "pbx22_debian"):
        if name not in named:
            continue
        pbx: Pbx = request.getfixturevalue(name)
        pbx.cli("channel request hangup all")
        wait_until("an idle PBX", partial(no_calls, pbx), limit=30)
        for left in pbx.recording_folder.glob("ari-recorder/probe-*"):
            left.unlink()


def no_calls(pbx: Pbx) -> bool:
    return "0 active channels" in pbx.cli("core show channels count")


@asynccontextmanager
async def client_of(pbx: Pbx) -> AsyncIterator[AriClient]:
    async with AriClient(pbx.ari_url, pbx.ari_user, pbx.ari_password) as client:
        yield client


@pytest.fixture
async def client(pbx: Pbx) -> AsyncIterator[AriClient]:
    async with client_of(pbx) as found:
        yield found


class Ears:
    """What a connection delivered, in order; waits for what is to come."""

    def __init__(self, line: AriConnection) -> None:
        self.line = line
        self.heard: list[Item] = []

    async def until(self, kind: type[Seen], fits: Callable[[Seen], bool] = lambda _: True) -> Seen:
        """The next item of this kind; what comes before is kept in `heard`."""
        found = await self.any_of(lambda item: isinstance(item, kind) and fits(item))
        assert isinstance(found, kind)
        return found

    async def any_of(self, *wishes: Callable[[Item], bool]) -> Item:
        """The next item that is as one of them wishes."""
        try:
            async with asyncio.timeout(DEADLINE):
                async for item in self.line:
                    self.heard.append(item)
                    if any(wish(item) for wish in wishes):
                        return item
        except TimeoutError:
            heard = "\n".join(map(str, self.heard))
            raise AssertionError(f"nothing of the kind came after\n{heard}") from None
        raise AssertionError("the connection ended")


@asynccontextmanager
async def listening(client: AriClient, **how: Any) -> AsyncIterator[Ears]:
    async with AriConnection(client, APPLICATION, ("PJSIP",), **how) as line:
        ears = Ears(line)
        await ears.until(Connected)
        yield ears


@dataclass
class Talk:
    """A call from outside to 1001, up."""

    caller: Call
    callee: Call

    async def end(self) -> None:
        await self.caller.hang_up()
        await self.callee.hung_up()


@asynccontextmanager
async def talking(pbx: Pbx) -> AsyncIterator[Talk]:
    async with Exchange(pbx.host, pbx.sip_port) as exchange:
        trunk = await exchange.phone("trunk-berlin", register=True)
        phone = await exchange.phone("1001", register=True)
        caller = await trunk.call("+49301001001", codecs=(PCMA,))
        callee = await phone.ring()
        await callee.ringing()
        await callee.answer()
        await caller.answered()
        try:
            yield Talk(caller, callee)
        finally:
            for each in exchange.phones:
                await each.hang_up_all()


def frames_with_sound(recorded: bytes) -> int:
    return sum(recorded[at : at + 320] != SILENT for at in range(0, len(recorded) - 319, 320))


async def test_a_call_is_recorded_by_orders_and_told_by_events(pbx: Pbx, client: AriClient) -> None:
    """Pairs of snoops as ASTERISK.md says; the file over ARI is the file in the folder."""
    name = f"ari-test/{os.urandom(4).hex()}"
    kept: list[dict[str, Any]] = []
    orders = Orders(client, APPLICATION, lambda _recording, sample: kept.append(sample))
    async with listening(client) as ears, talking(pbx) as talk:
        born = await ears.until(
            events.ChannelCreated, lambda event: event.channel.endpoint == "PJSIP/trunk-berlin"
        )
        channel = born.channel.id
        assert born.channel.exten == "+49301001001"
        await ears.until(events.BridgeEntered, lambda event: event.channel.id == channel)
        snoops = {side: f"{channel}-{side}" for side in Side}
        taken = commands.Together(
            tuple(commands.TakeSnoop(channel, snoop, side) for side, snoop in snoops.items())
        )
        assert await orders.carry_out(taken) == []
        for _ in snoops:
            await ears.until(events.SnoopReady)
        recorded = commands.Together(
            tuple(commands.Record(snoop, f"{name}-{side}", 8000) for side, snoop in snoops.items())
        )
        assert await orders.carry_out(recorded) == []
        for _ in snoops:
            await ears.until(events.RecordingStarted)
        poll = commands.PollRtp("r", (channel,))
        read = commands.ReadChannel(channel, ("CHANNEL(audionativeformat)", "CHANNEL(nope)"))
        await talk.caller.talk(1)
        (answer,) = await orders.carry_out(commands.Together((poll, read)))
        assert isinstance(answer, events.ChannelRead)
        assert answer.formats == ("alaw",)
        (polled,) = [line for line in kept if "statistics" in line]
        assert polled["statistics"]["rxcount"] > 25
        for side, snoop in snoops.items():
            assert await orders.carry_out(commands.StopRecord(f"{name}-{side}")) == []
            await ears.until(events.RecordingFinished)
            assert await orders.carry_out(commands.DropChannel(snoop)) == []
            await ears.until(events.SnoopGone)
            over_ari = b"".join([p async for p in client.recordings.get_stored_file(f"{name}-{side}")])
            assert over_ari == (pbx.recording_folder / f"{name}-{side}.sln").read_bytes()
            assert frames_with_sound(over_ari) > 30
            assert await orders.carry_out(commands.StopRecord(f"{name}-{side}")) == []
            assert await orders.carry_out(commands.DropChannel(snoop)) == []
        await talk.end()
        await ears.until(events.ChannelGone, lambda event: event.channel.id == channel)
    times = [item.at for item in ears.heard if isinstance(item, events.Event)]
    assert times == sorted(times)


async def test_a_recorder_that_comes_back_finds_what_goes_on(pbx: Pbx, client: AriClient) -> None:
    name = f"ari-test/{os.urandom(4).hex()}"
    orders = Orders(client, APPLICATION, lambda *_: None)
    async with talking(pbx) as talk:
        async with listening(client) as ears:
            before = await read_snapshot(client, APPLICATION)
            (channel,) = [c.id for c in before.channels if c.endpoint == "PJSIP/trunk-berlin"]
            await orders.carry_out(commands.TakeSnoop(channel, f"{channel}-s", Side.REMOTE))
            await ears.until(events.SnoopReady)
            await orders.carry_out(commands.Record(f"{channel}-s", name, 8000))
            await ears.until(events.RecordingStarted)
        async with AriConnection(client, APPLICATION, wanted=lambda: [name, "gone"]) as line:
            ears = Ears(line)
            snapshot = (await ears.until(Connected)).snapshot
            assert snapshot.live_recordings == {name}
            assert snapshot.gated == {f"{channel}-s"}
            assert [m for m in snapshot.bridges.values() if channel in m and len(m) == 2]
            assert {c.technology for c in snapshot.channels} == {"PJSIP", "Snoop"}
            await talk.end()
            # Told by an event; or, where Asterisk 16 fell silent at the change of sockets, by a new state.
            await ears.any_of(
                lambda item: isinstance(item, events.RecordingFinished) and item.name == name,
                lambda item: isinstance(item, Connected) and name not in item.snapshot.live_recordings,
            )
    await client.recordings.delete_stored(name)


@contextmanager
def frozen(pbx: Pbx) -> Iterator[None]:
    pbx.engine.docker("pause", pbx.container)
    try:
        yield
    finally:
        pbx.engine.docker("unpause", pbx.container)


async def test_a_frozen_asterisk_is_noticed_within_ten_seconds_and_comes_back(
    pbx: Pbx, client: AriClient
) -> None:
    """With the waiting times as shipped. Frozen long enough for a ghost: see AriConnection."""
    loop = asyncio.get_running_loop()
    async with listening(client) as ears:
        with frozen(pbx):
            began = loop.time()
            lost = await ears.until(Disconnected)
            assert loop.time() - began < 10
            assert lost.error.code == "ari.timeout"
            attempt = asyncio.create_task(asyncio.to_thread(_half_open, pbx))
            await attempt
        await ears.until(Connected)
        async with talking(pbx):
            await ears.until(events.BridgeEntered)
        assert not [i for i in ears.heard if isinstance(i, Disconnected) and i.error.code == "ari.replaced"]


def _half_open(pbx: Pbx) -> None:
    """The kernel of a frozen Asterisk still accepts connections."""
    with socket.create_connection((pbx.host, pbx.http_port), timeout=5) as line:
        line.sendall(b"GET /ari/asterisk/ping HTTP/1.1\r\n\r\n")


async def test_a_killed_asterisk_is_noticed_and_its_successor_found(pbx: Pbx, client: AriClient) -> None:
    async with listening(client) as ears:
        await asyncio.to_thread(pbx.kill)
        assert (await ears.until(Disconnected)).error.code == "ari.unreachable"
        await asyncio.to_thread(pbx.start)
        await ears.until(Connected)
        async with talking(pbx):
            await ears.until(events.BridgeEntered)


async def test_of_two_recorders_with_one_name_the_first_says_so(pbx: Pbx, client: AriClient) -> None:
    async with listening(client) as first, listening(client) as second:
        lost = await first.until(Disconnected)
        assert lost.error.code == "ari.replaced"
        assert lost.error.remedy
        async with talking(pbx):
            await second.until(events.BridgeEntered)
        assert first.line.waiting == 0


async def test_a_wrong_password_is_the_configurations_fault(pbx: Pbx) -> None:
    async with AriClient(pbx.ari_url, pbx.ari_user, "wrong") as client:
        with pytest.raises(ConfigError) as caught:
            await client.asterisk.ping()
        assert caught.value.code == "ari.unauthorised"
        async with AriConnection(client, APPLICATION, pauses=Pauses(first=0.05)) as line:
            lost = await Ears(line).until(Disconnected)
        assert lost.error.code == "ari.unauthorised"


async def test_a_call_that_asterisk_cannot_describe_hides_no_other(pbx: Pbx, client: AriClient) -> None:
    """A Call-ID that is no UTF-8 makes the list of all channels fail while that call lasts."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hostile:
        hostile.bind((pbx.host, 0))
        async with talking(pbx), listening(client) as ears:
            hostile.sendto(_invite(pbx, hostile.getsockname()[1]), (pbx.host, pbx.sip_port))
            await ears.until(events.ChannelCreated, lambda event: event.channel.exten == "+49301004020")
            await _list_answers(client, 500)  # once the Call-ID has reached the channel
            snapshot = await read_snapshot(client, APPLICATION)
            assert {"PJSIP/trunk-berlin", "PJSIP/1001"} <= {each.endpoint for each in snapshot.channels}
            async with AriConnection(client, APPLICATION) as line:
                await Ears(line).until(Connected)
        for endpoint in await client.endpoints.list():
            for channel in endpoint.channel_ids:
                with suppress(RefusedError):  # gone by itself meanwhile
                    await client.channels.hangup(channel)
        await _list_answers(client, 200)


async def _list_answers(client: AriClient, wanted: int) -> None:
    """Wait until the list of channels is answered with this status."""
    async with asyncio.timeout(3):
        while True:
            async with client.http.session.get(client.http.url("channels")) as response:
                if response.status == wanted:
                    return


def _invite(pbx: Pbx, port: int) -> bytes:
    """Three seconds of music before any answer, then busy."""
    body = f"v=0\r\no=- 1 1 IN IP4 {pbx.host}\r\ns=-\r\nc=IN IP4 {pbx.host}\r\nt=0 0\r\n"
    body += f"m=audio {port} RTP/AVP 8\r\n"
    mark = os.urandom(4).hex()
    head = (
        f"INVITE sip:+49301004020@{pbx.host}:{pbx.sip_port} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {pbx.host}:{port};branch=z9hG4bK{mark};rport\r\nMax-Forwards: 70\r\n"
        f"From: <sip:+4930777@{pbx.host}>;tag={mark}\r\nTo: <sip:+49301004020@{pbx.host}>\r\n"
        f"CSeq: 1 INVITE\r\nContact: <sip:x@{pbx.host}:{port}>\r\nX-Trunk: berlin\r\n"
        f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\nCall-ID: "
    )
    return head.encode() + b"\xff\xfe" + mark.encode() + b"\r\n\r\n" + body.encode()


@pytest.mark.parametrize(("name", "affected"), [("pbx22", False), ("pbx22_debian", True), ("pbx16", False)])
async def test_the_probe_tells_affected_builds_from_healthy_ones(
    request: pytest.FixtureRequest, name: str, affected: bool
) -> None:
    pbx: Pbx = request.getfixturevalue(name)
    loop = asyncio.get_running_loop()
    async with client_of(pbx) as client, listening(client) as ears:
        began = loop.time()
        verdict = await probe(client)
        assert loop.time() - began < 30, "a probe must not hang"
        assert verdict.affected is affected, verdict.detail
        assert await client.channels.list() == []
        assert not [each for each in await client.recordings.list_stored() if "probe" in each.name]
        assert not list(pbx.recording_folder.glob("ari-recorder/probe-*"))
        # The recorder that runs meanwhile keeps its application and hears nothing of the probe.
        await client.events.user_event("after", application=APPLICATION)
        async with talking(pbx):
            await ears.until(events.ChannelCreated)
        assert [type(each) for each in ears.heard] == [Connected, events.ChannelCreated]


async def findings(pbx: Pbx, **how: Any) -> dict[str, Finding]:
    asked: dict[str, Any] = {
        "recording_folder": pbx.recording_folder,
        "prompts": (),
        "application": APPLICATION,
    }
    async with client_of(pbx) as client:
        return {each.code: each for each in await inspect(client, **{**asked, **how})}


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("pbx22", set()),
        ("pbx22_debian", {"pbx.defect"}),
        ("pbx16", {"pbx.version", "pbx.snoop-queue"}),
    ],
)
async def test_the_check_finds_what_is_wrong_with_each_and_nothing_else(
    request: pytest.FixtureRequest, name: str, faults: set[str]
) -> None:
    found = await findings(request.getfixturevalue(name), prompts=("sound:beep",))
    machine = {"recorder.clock", "pbx.disk"}  # this machine's own, not the PBX's
    assert {code for code, each in found.items() if each.level is not Level.OK} - machine == faults


async def test_a_missing_recording_folder_is_found_and_named(pbx: Pbx) -> None:
    """As in Debian's package, where <spool>/recording is missing."""
    aside = pbx.recording_folder.with_name("recording-aside")
    pbx.recording_folder.rename(aside)
    # A file in its place: as root in a container Asterisk would else make the folder.
    pbx.recording_folder.touch()
    try:
        found = await findings(pbx)
    finally:
        pbx.recording_folder.unlink()
        aside.rename(pbx.recording_folder)
    assert found["pbx.recording"].level is Level.FAIL
    assert "/var/spool/asterisk/recording" in found["pbx.recording"].remedy


async def test_a_wrong_folder_and_a_missing_prompt_are_found(pbx: Pbx) -> None:
    found = await findings(pbx, recording_folder=pbx.monitor_folder, prompts=("sound:beep", "sound:no/such"))
    assert found["pbx.folder"].level is Level.FAIL
    assert found["pbx.prompts"].level is Level.FAIL
    assert "sound:no/such" in found["pbx.prompts"].detail
    assert "beep" not in found["pbx.prompts"].detail
