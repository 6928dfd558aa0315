"""Orders over real HTTP: what each becomes, and what is said when it cannot be done."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from ari_recorder.asterisk.ari.client import AriClient
from ari_recorder.asterisk.orders import FORMATS, LET_GO_ATTEMPTS, MOST_POLLS, Orders
from ari_recorder.capture import commands
from ari_recorder.capture.events import ChannelRead, CommandFailed
from ari_recorder.model.call import Side

from .stand_in import StandIn, channel

AT = datetime(2026, 11, 21, 22, 50, tzinfo=UTC)
GONE = (404, {"message": "Channel not found"})


@pytest.fixture
def kept() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def orders(client: AriClient, kept: list[tuple[str, dict[str, Any]]]) -> Orders:
    ticks = iter([1.0, 1.5])
    return Orders(
        client,
        "ari-recorder",
        lambda recording, sample: kept.append((recording, sample)),
        clock=lambda: AT,
        monotonic=lambda: next(ticks),
    )


@pytest.mark.parametrize(("side", "spy"), [(Side.REMOTE, "in"), (Side.LOCAL, "out")])
async def test_sides_are_what_comes_in_and_what_goes_out(
    pbx: StandIn, orders: Orders, side: Side, spy: str
) -> None:
    pbx.answers["POST", "/channels/c1/snoop/s1"] = (200, channel("s1", "Snoop/c1-0"))
    assert await orders.carry_out(commands.TakeSnoop("c1", "s1", side)) == []
    assert pbx.requests[0].query["spy"] == spy
    assert pbx.requests[0].query["app"] == "ari-recorder"
    assert pbx.requests[0].query["appArgs"] == "snoop"


@pytest.mark.parametrize(("rate", "name"), sorted(FORMATS.items()))
async def test_recordings_are_headerless_at_the_snoops_rate(
    pbx: StandIn, orders: Orders, rate: int, name: str
) -> None:
    pbx.answers["POST", "/channels/s1/record"] = (201, {"name": "a/b", "format": name, "state": "queued"})
    assert await orders.carry_out(commands.Record("s1", "a/b", rate)) == []
    assert pbx.requests[0].query == {"name": "a/b", "format": name, "ifExists": "fail"}


async def test_the_time_of_the_request_for_a_leg_is_kept(
    pbx: StandIn, orders: Orders, kept: list[tuple[str, dict[str, Any]]]
) -> None:
    """The recorder's own clock, to be held against Asterisk's RecordingStarted."""
    name = "ari-recorder/r-1/1-remote"
    pbx.answers["POST", "/channels/s1/record"] = (201, {"name": name, "format": "sln", "state": "queued"})
    assert await orders.carry_out(commands.Record("s1", name, 8000)) == []
    moment = AT.isoformat(timespec="microseconds")
    assert kept == [("r-1", {"record": name, "before": moment, "after": moment, "took_ms": 500.0})]


async def test_a_rate_that_asterisk_does_not_have_is_said_without_asking(
    pbx: StandIn, orders: Orders
) -> None:
    order = commands.Record("s1", "a", 22050)
    (failed,) = await orders.carry_out(order)
    assert failed == CommandFailed(
        AT, order, "capture.no-recording", "Asterisk has no headerless format for 22050 samples a second."
    )
    assert pbx.requests == []


@pytest.mark.parametrize(
    ("order", "path"),
    [
        (commands.StopRecord("a/b"), ("POST", "/recordings/live/a%2Fb/stop")),
        (commands.DropChannel("s1"), ("DELETE", "/channels/s1")),
        (commands.LetGo("c1"), ("POST", "/channels/c1/continue")),
    ],
)
async def test_ending_what_is_gone_is_success(
    pbx: StandIn, orders: Orders, order: commands.Command, path: tuple[str, str]
) -> None:
    pbx.answers[path] = GONE
    assert await orders.carry_out(order) == []
    assert len(pbx.asked(*path)) == 1


@pytest.mark.parametrize(
    ("order", "path"),
    [
        (commands.TakeSnoop("c1", "s1", Side.LOCAL), ("POST", "/channels/c1/snoop/s1")),
        (commands.Record("s1", "a", 8000), ("POST", "/channels/s1/record")),
        (commands.Play("c1", "p", "sound:x"), ("POST", "/channels/c1/play/p")),
    ],
)
async def test_beginning_on_what_is_gone_is_failure(
    pbx: StandIn, orders: Orders, order: commands.Command, path: tuple[str, str]
) -> None:
    pbx.answers[path] = GONE
    (failed,) = await orders.carry_out(order)
    assert isinstance(failed, CommandFailed)
    assert (failed.command, failed.code, failed.at) == (order, "ari.not-found", AT)
    assert "Channel not found" in failed.sentence


async def test_a_call_continues_after_its_variables_are_set(pbx: StandIn, orders: Orders) -> None:
    pbx.answers["POST", "/channels/c1/variable"] = (204, None)
    pbx.answers["POST", "/channels/c1/continue"] = (204, None)
    assert await orders.carry_out(commands.LetGo("c1", {"A": "1", "B": "2"})) == []
    assert [each.path for each in pbx.requests][-1] == "/channels/c1/continue"
    assert {each.body["variable"] for each in pbx.requests[:-1]} == {"A", "B"}


async def test_a_call_continues_even_when_a_variable_cannot_be_set(pbx: StandIn, orders: Orders) -> None:
    pbx.answers["POST", "/channels/c1/variable"] = (500, {"message": "no"})
    pbx.answers["POST", "/channels/c1/continue"] = (204, None)
    (failed,) = await orders.carry_out(commands.LetGo("c1", {"A": "1"}))
    assert isinstance(failed, CommandFailed)
    assert failed.code == "ari.refused"
    assert len(pbx.asked("POST", "/channels/c1/continue")) == 1


async def test_a_call_is_let_go_once_asterisk_is_ready_again(pbx: StandIn, orders: Orders) -> None:
    asked = "POST", "/channels/c1/continue"
    pbx.answers[asked] = (503, None)

    def wake_up(path: str) -> None:
        if path == asked[1] and len(pbx.asked(*asked)) == LET_GO_ATTEMPTS:
            pbx.answers[asked] = (204, None)

    pbx.before = wake_up
    assert await orders.carry_out(commands.LetGo("c1")) == []
    assert len(pbx.asked(*asked)) == LET_GO_ATTEMPTS


async def test_a_call_that_has_left_stasis_is_let_go(pbx: StandIn, orders: Orders) -> None:
    outside = (409, {"message": "Channel not in Stasis application"})
    pbx.answers["POST", "/channels/c1/variable"] = outside
    pbx.answers["POST", "/channels/c1/continue"] = outside
    assert await orders.carry_out(commands.LetGo("c1", {"A": "1"})) == []


async def test_reading_never_fails_and_leaves_out_what_there_is_not(pbx: StandIn, orders: Orders) -> None:
    pbx.answers["GET", "/channels/c1/variable"] = (200, {"value": "(alaw|g722)"})
    (read,) = await orders.carry_out(commands.ReadChannel("c1", ("CHANNEL(audionativeformat)",)))
    assert isinstance(read, ChannelRead)
    assert read.formats == ("alaw", "g722")
    pbx.answers["GET", "/channels/c1/variable"] = (500, {"message": "Unable to read provided function"})
    (nothing,) = await orders.carry_out(commands.ReadChannel("c1", ("CHANNEL(rtp,secure,audio)",)))
    assert nothing == ChannelRead(AT, "c1", {})


async def test_polls_are_kept_with_the_times_around_them(
    pbx: StandIn, orders: Orders, kept: list[tuple[str, dict[str, Any]]]
) -> None:
    pbx.answers["GET", "/channels/c1/rtp_statistics"] = (200, {"rxcount": 50, "rxjitter": 0.1})
    assert await orders.carry_out(commands.PollRtp("r1", ("c1",))) == []
    assert kept == [
        (
            "r1",
            {
                "channel": "c1",
                "before": "2026-11-21T22:50:00.000000+00:00",
                "after": "2026-11-21T22:50:00.000000+00:00",
                "took_ms": 500.0,
                "statistics": {"rxcount": 50, "rxjitter": 0.1},
            },
        )
    ]


@pytest.mark.parametrize("status", [403, 404])
async def test_a_channel_without_rtp_keeps_nothing(
    pbx: StandIn, orders: Orders, kept: list[tuple[str, dict[str, Any]]], status: int
) -> None:
    pbx.answers["GET", "/channels/c1/rtp_statistics"] = (status, {"message": "Unsupported channel type"})
    assert await orders.carry_out(commands.PollRtp("r1", ("c1",))) == []
    assert kept == []


async def test_polls_never_take_the_connections_that_orders_need(
    pbx: StandIn, client: AriClient, kept: list[tuple[str, dict[str, Any]]]
) -> None:
    orders = Orders(client, "ari-recorder", lambda recording, sample: kept.append((recording, sample)))
    pbx.freeze()
    calls = [f"c{n}" for n in range(3 * MOST_POLLS)]
    for each in calls:
        pbx.answers["GET", f"/channels/{each}/rtp_statistics"] = (200, {"rxcount": 1})
    polls = asyncio.create_task(orders.carry_out(commands.PollRtp("r1", tuple(calls))))
    await pbx.until(lambda: len(pbx.requests) == MOST_POLLS)
    pbx.thaw()
    await polls
    assert len(pbx.requests) == len(kept) == MOST_POLLS  # a poll that would have to wait tells nothing
    await orders.carry_out(commands.PollRtp("r1", ("c0",)))
    assert len(kept) == MOST_POLLS + 1


async def test_together_is_at_the_same_time_and_tells_all_failures(pbx: StandIn, orders: Orders) -> None:
    """Both requests are there before either is answered."""
    pbx.freeze()
    snoops = tuple(commands.TakeSnoop("c1", snoop, Side.LOCAL) for snoop in ("s1", "s2"))
    paths = [f"/channels/c1/snoop/{each.snoop}" for each in snoops]
    doing = asyncio.create_task(orders.carry_out(commands.Together(snoops)))
    await pbx.until(lambda: {each.path for each in pbx.requests} >= set(paths))
    pbx.thaw()
    failed = await doing
    assert [each.command for each in failed if isinstance(each, CommandFailed)] == list(snoops)


async def test_a_frozen_asterisk_is_a_failed_command(pbx: StandIn, orders: Orders) -> None:
    pbx.freeze()
    (failed,) = await orders.carry_out(commands.DropChannel("c1"))
    assert isinstance(failed, CommandFailed)
    assert failed.code == "ari.timeout"


async def test_orders_that_are_not_for_asterisk_are_a_mistake(orders: Orders) -> None:
    with pytest.raises(TypeError, match="Wake is not an order for Asterisk"):
        await orders.carry_out(commands.Wake("t", 1))
