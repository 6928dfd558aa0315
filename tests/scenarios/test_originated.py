"""Calls that a program places towards a trunk: AMI's and ARI's Originate, call files.

Asterisk tells them by a `Dial` without a caller, of a leg in the application AppDial2 [measured, 16 and 22].
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ari_recorder.capture import events as ev
from ari_recorder.capture.reconcile import reconcile
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.recording import State

from .simulated_pbx import Rules, SimulatedPbx, user

OWN = Party("+4930100", "Example Ltd")
LEG = ev.Channel(
    "out-1", "PJSIP/trunk-berlin-00000001", "Down", OWN, OWN, exten="s", app="AppDial2", app_data="(Outgoing)"
)  # fmt: skip


def place(pbx: SimulatedPbx, leg: ev.Channel = LEG, status: str = "") -> None:
    if leg.id not in pbx.channels:
        pbx.create(leg)
    pbx.tell(
        ev.Dialled(pbx.now, pbx.channels[leg.id], None, status, "" if status else "0170123@trunk-berlin")
    )


def answer(pbx: SimulatedPbx) -> None:
    """The outside party answers, and the leg goes on in the dialplan."""
    pbx.channels["out-1"] = replace(LEG, state="Up", app="Dial", app_data="PJSIP/1001")
    place(pbx, status="ANSWER")
    pbx.tell(ev.ChannelChanged(pbx.now, pbx.channels["out-1"]))


def test_it_is_an_outbound_call_to_the_number_that_the_program_dialled() -> None:
    pbx = SimulatedPbx()
    place(pbx)
    (facts,) = pbx.rules.asked
    assert (facts.direction, facts.callee.number, facts.trunk) == (Direction.OUTBOUND, "0170123", "berlin")
    assert (facts.caller, facts.trunk_number) == (OWN, "+4930100")
    assert len(pbx.open_files) == 2
    answer(pbx)
    pbx.answer("out-1", user())
    pbx.hang_up("out-1")
    (recording,) = pbx.finished
    assert recording.state is State.CAPTURED
    assert recording.call.callee.number == "0170123"
    assert recording.call.answered_at is not None


@pytest.mark.parametrize("record", [True, False])
def test_the_user_whom_the_leg_calls_then_makes_no_other_call_of_it(record: bool) -> None:
    pbx = SimulatedPbx(Rules(record=record))
    place(pbx)
    answer(pbx)
    pbx.answer("out-1", user())
    assert [facts.direction for facts in pbx.rules.asked] == [Direction.OUTBOUND]
    assert len(pbx.board.sessions) == (1 if record else 0)


def test_a_users_leg_that_a_program_calls_is_no_call_yet() -> None:
    pbx = SimulatedPbx()
    place(pbx, replace(user(), app="AppDial2"))
    assert not pbx.rules.asked


def test_one_that_rings_when_the_recorder_comes_back_is_outbound() -> None:
    pbx = SimulatedPbx()
    pbx.channels["out-1"] = replace(LEG, state="Ringing")
    pbx.formats["out-1"] = "(alaw)"
    pbx.carry_out(reconcile(pbx.board, [], pbx.snapshot()))
    assert [facts.direction for facts in pbx.rules.asked] == [Direction.OUTBOUND]
    answer(pbx)
    pbx.answer("out-1", user())
    assert len(pbx.board.sessions) == 1
