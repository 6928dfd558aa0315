"""How a failing recording is told to Asterisk, and how a call is ended that must not go on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ari_recorder.asterisk.ari.client import AriClient
from ari_recorder.asterisk.orders import Orders
from ari_recorder.capture import commands
from ari_recorder.capture.events import CommandFailed
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.recording import Call, Chosen, Note, OnFailure, Recording, State

from .stand_in import StandIn

AT = datetime(2026, 11, 21, 22, 50, tzinfo=UTC)
GONE = (404, {"message": "Channel not found"})
VARIABLE = ("POST", "/channels/c1/variable")
EVENT = ("POST", "/events/user/AriRecorderAlarm")


@pytest.fixture
def orders(client: AriClient) -> Orders:
    return Orders(client, "ari-recorder", lambda _recording, _sample: None)


def recording(on_failure: OnFailure, *notes: Note) -> Recording:
    call = Call("pbx", "c1", Direction.INBOUND, Party(), Party())
    chosen = Chosen("Trading", "r1", on_failure=on_failure)
    return Recording("rec1", State.CAPTURING, AT, call, chosen, notes=notes)


def alarm(on_failure: OnFailure) -> commands.Alarm:
    return commands.Alarm("c1", recording(on_failure), "broken", "The disk is full.", "capture.no-recording")


@pytest.mark.parametrize("on_failure", list(OnFailure))
async def test_the_channel_learns_of_a_failure_and_everybody_unless_it_carries_on(
    pbx: StandIn, orders: Orders, on_failure: OnFailure
) -> None:
    pbx.answers[VARIABLE] = (204, None)
    pbx.answers[EVENT] = (204, None)
    assert await orders.carry_out(alarm(on_failure)) == []
    (variable,) = pbx.asked(*VARIABLE)
    assert variable.body == {"variable": "ARI_RECORDER_FAILURE", "value": "broken"}
    told = pbx.asked(*EVENT)
    assert bool(told) is (on_failure is not OnFailure.CARRY_ON)
    for event in told:
        assert event.query == {"application": "ari-recorder", "source": "channel:c1"}
        assert event.body["variables"] == {
            "Failure": "broken",
            "Recording": "rec1",
            "Setting": "Trading",
            "Action": on_failure.value,
        }


async def test_a_channel_that_is_gone_needs_no_telling(pbx: StandIn, orders: Orders) -> None:
    pbx.answers[VARIABLE] = pbx.answers[EVENT] = GONE
    assert await orders.carry_out(alarm(OnFailure.ALARM)) == []


async def test_outside_the_gate_the_event_tells(pbx: StandIn, orders: Orders) -> None:
    pbx.answers[VARIABLE] = (409, {"message": "Channel not in Stasis application."})
    pbx.answers[EVENT] = (204, None)
    assert await orders.carry_out(alarm(OnFailure.ALARM)) == []
    assert pbx.asked(*EVENT)


async def test_the_variable_is_emptied_only_where_something_had_failed(pbx: StandIn, orders: Orders) -> None:
    pbx.answers[VARIABLE] = (204, None)
    clear = commands.AllClear("c1", recording(OnFailure.ALARM))
    assert await orders.carry_out(clear) == []
    assert not pbx.requests
    failed = recording(OnFailure.ALARM, Note(AT, "failure", "broken"))
    assert await orders.carry_out(commands.AllClear("c1", failed)) == []
    assert pbx.requests[0].body == {"variable": "ARI_RECORDER_FAILURE", "value": ""}


async def test_a_call_is_ended_with_the_cause_of_a_temporary_failure(pbx: StandIn, orders: Orders) -> None:
    path = ("DELETE", "/channels/c1")
    pbx.answers[path] = (204, None)
    assert await orders.carry_out(commands.HangUp("c1")) == []
    assert pbx.asked(*path)[0].query == {"reason": "congestion"}
    pbx.answers[path] = GONE
    assert await orders.carry_out(commands.HangUp("c1")) == []
    pbx.answers[path] = (500, {"message": "no"})
    (failed,) = await orders.carry_out(commands.HangUp("c1"))
    assert isinstance(failed, CommandFailed)
