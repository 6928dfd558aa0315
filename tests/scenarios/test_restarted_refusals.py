"""What the gate was told before the recorder was restarted holds after it (FEATURES R8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ari_recorder.capture import events as ev
from ari_recorder.capture.reconcile import reconcile
from ari_recorder.capture.wish import read_written, written
from ari_recorder.model.call import Direction, Wish
from ari_recorder.model.recording import State

from .simulated_pbx import SimulatedPbx, user
from .test_calls import reborn, the_only
from .test_refused import mobile, phone


@pytest.mark.parametrize("how", ["dialled", "answered", "through Local"])
def test_a_call_that_is_forbidden_while_it_rings_is_not_taken_for_an_internal_one(how: str) -> None:
    before = SimulatedPbx()
    caller = before.inbound()
    before.gate(caller, "forbid")
    after = reborn(before)
    if how == "dialled":
        after.dial(caller, user())
    elif how == "answered":
        after.channels["user-1"] = user()
        after.tell(ev.Dialled(after.now, user(), after.channels[caller], "ANSWER"))
    else:
        after.create(ev.Channel("l1", "Local/1001@g-00000001;1", "Down", app="AppDial"))
        after.create(ev.Channel("l2", "Local/1001@g-00000001;2", "Ring"))
        after.tell(ev.Dialled(after.now, after.channels["l1"], after.channels[caller], "", ""))
        after.dial("l2", user())
    assert not after.board.sessions
    assert not after.refusals


@pytest.mark.parametrize("away", ["while it rang", "while they talked"])
def test_a_forbidden_call_is_not_recorded_on_its_way_to_a_mobile_either(away: str) -> None:
    before = SimulatedPbx()
    caller = before.inbound()
    before.gate(caller, "forbid")
    if away == "while they talked":
        before.answer(caller, mobile())
    after = reborn(before)
    if away == "while it rang":
        after.answer(caller, mobile())
    assert not after.board.sessions


def test_no_trunks_channel_is_ever_the_caller_of_an_internal_call() -> None:
    pbx = SimulatedPbx()
    outside = ev.Channel("in-1", "PJSIP/trunk-berlin-00000001", "Up")
    pbx.channels[outside.id] = outside
    pbx.dial(outside.id, user())
    assert not pbx.rules.asked


def test_what_a_user_forbade_is_kept_over_a_restart_before_the_call_goes_out() -> None:
    before = SimulatedPbx()
    caller = phone(before)
    before.gate(caller, "forbid")
    assert before.let_go[caller]["ARI_RECORDER_RESULT"] == "noted"
    after = reborn(before)
    after.dial(caller, mobile(), dialstring="0170@trunk-berlin")
    assert not after.board.sessions
    assert [refusal.reason for refusal in after.refusals] == ["forbidden"]


@pytest.mark.parametrize("bridged", [True, False])
def test_what_a_user_forbade_is_kept_where_the_call_went_out_meanwhile(bridged: bool) -> None:
    before = SimulatedPbx()
    caller = phone(before)
    before.gate(caller, "forbid")
    before.channels["m-1"] = replace(mobile(), state="Up" if bridged else "Ringing", linkedid="line")
    before.channels[caller] = replace(before.channels[caller], linkedid="" if bridged else "line")
    before.formats["m-1"] = "(alaw)"
    before.bridge = (caller, "m-1") if bridged else ()
    after = reborn(before)
    assert not after.board.sessions
    assert [refusal.reason for refusal in after.refusals] == ["forbidden"]


def test_a_wish_of_before_the_restart_gives_way_to_a_newer_one() -> None:
    before = SimulatedPbx()
    caller = before.inbound()
    before.gate(caller, "forbid")
    after = reborn(before)
    after.gate(caller)
    assert after.let_go[caller]["ARI_RECORDER_RESULT"] == "refused"
    after.gate(caller, "force")
    after.gate(caller)
    assert after.let_go[caller]["ARI_RECORDER_RESULT"] == "recording"
    after.answer(caller, user())
    after.hang_up(caller)
    assert the_only(after).state is State.CAPTURED


def test_a_reconnection_leaves_what_is_known_of_a_refused_call() -> None:
    pbx = SimulatedPbx()
    caller = pbx.inbound()
    pbx.gate(caller, "forbid", "direction=internal")
    pbx.carry_out(reconcile(pbx.board, [], pbx.snapshot()))
    pbx.answer(caller, user())
    assert not pbx.board.sessions
    pbx.hang_up(caller)
    assert [refusal.reason for refusal in pbx.refusals] == ["forbidden"]


@pytest.mark.parametrize(
    "wish",
    [
        Wish(),
        Wish(force=True),
        Wish(forbid=True, direction=Direction.OUTBOUND),
        Wish(force=True, setting="Sales, setting=A", direction=Direction.INTERNAL),
    ],
)
def test_a_wish_is_read_as_it_was_written(wish: Wish) -> None:
    assert read_written(written(wish)) == wish
