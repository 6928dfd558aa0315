"""Months of calls: nothing piles up, nothing is told without end, and half a pair is noticed."""

from __future__ import annotations

import pytest

from ari_recorder.capture import events as ev
from ari_recorder.capture.ledger import MOST_NOTES
from ari_recorder.capture.reconcile import reconcile
from ari_recorder.model.call import Party
from ari_recorder.model.recording import State

from .simulated_pbx import SimulatedPbx, user
from .test_calls import the_only


def test_nothing_is_kept_of_channels_that_went_while_nobody_listened() -> None:
    pbx = SimulatedPbx()
    caller = pbx.inbound()
    pbx.gate(caller, "forbid")
    pbx.dial(caller, user())
    pbx.create(ev.Channel("user-9", "PJSIP/1009-00000009", "Ring", Party("1009")))
    pbx.gate("user-9", "force")
    board = pbx.board
    board.sessions.clear()
    pbx.channels.clear()
    pbx.carry_out(reconcile(board, [], pbx.snapshot()))
    lines = board.lines
    left = (board._decided, board._wishes, board._finished, lines.channels, lines._first_seen, lines._caller)
    assert not any(left)


def test_what_was_decided_of_living_channels_is_kept_over_a_reconnect() -> None:
    pbx = SimulatedPbx()
    caller = pbx.inbound()
    pbx.gate(caller, "forbid")
    pbx.carry_out(reconcile(pbx.board, [], pbx.snapshot()))
    assert not pbx.board.sessions


def test_a_party_that_toggles_hold_for_hours_does_not_fill_the_journal() -> None:
    pbx = SimulatedPbx()
    caller = pbx.inbound()
    pbx.answer(caller, user())
    for _ in range(MOST_NOTES):
        pbx.tell(ev.Held(pbx.now, pbx.channels["user-1"]))
    pbx.hang_up(caller)
    recording = the_only(pbx)
    assert recording.state is State.CAPTURED
    assert len(recording.notes) <= MOST_NOTES + 1
    assert recording.notes[-1].what == "notes-full"


@pytest.mark.parametrize("side", ["remote", "local"])
def test_one_side_that_asterisk_ends_by_itself_is_taken_up_again(side: str) -> None:
    pbx = SimulatedPbx()
    caller = pbx.inbound()
    pbx.answer(caller, user())
    pbx._end_snoop(f"rec1.1-{side}")
    pbx._run()
    pbx.pass_time(1)
    assert sorted(pbx.open_files) == ["ari-recorder/rec1/2-local", "ari-recorder/rec1/2-remote"]
    pbx.hang_up(caller)
    recording = the_only(pbx)
    assert [s.why for s in recording.segments] == ["start", "resumed"]
    assert [n.what for n in recording.notes].count("gap") == 1
