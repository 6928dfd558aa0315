"""What the dialplan asks for at the gate, and calls that never pass it (FEATURES R8, A1, C4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from ari_recorder.capture import commands as cmd
from ari_recorder.capture import events as ev
from ari_recorder.capture.switchboard import Switchboard
from ari_recorder.capture.wish import read_wish
from ari_recorder.model.call import CallFacts, Decision, Direction, Wish
from ari_recorder.model.recording import Chosen, Start, State

from .simulated_pbx import Rules, SimulatedPbx, user

ANNOUNCED = Chosen(
    "announced", "r1", start=Start.AFTER_ANNOUNCEMENT, targets=("one",), announcement="consent"
)
SPECIAL = Chosen("special", "r1", start=Start.RING, targets=("two",))


@dataclass
class ByWish(Rules):
    """Everything is announced, unless the dialplan chooses the special setting."""

    def chosen(self, decision: Decision, facts: CallFacts) -> Chosen:
        return SPECIAL if facts.wish.setting else ANNOUNCED


def without_compulsion(pbx: SimulatedPbx) -> SimulatedPbx:
    board: Switchboard = pbx.board
    board.world = replace(board.world, announcement_required=lambda _setting: False)
    return pbx


def test_a_setting_chosen_at_the_gate_records_at_once_and_to_its_own_targets() -> None:
    pbx = SimulatedPbx(ByWish())
    caller = pbx.inbound()
    assert not pbx.snoops
    pbx.gate(caller, "setting=special", "direction=internal")
    assert len(pbx.open_files) == 2
    assert pbx.let_go[caller]["ARI_RECORDER_SETTING"] == "special"
    pbx.answer(caller, user())
    pbx.hang_up(caller)
    (recording,) = pbx.finished
    assert recording.state is State.CAPTURED
    assert [delivery.target for delivery in recording.deliveries] == ["two"]
    assert recording.call.direction is Direction.INTERNAL


def test_an_optional_announcement_that_no_gate_played_records_from_the_answer_on() -> None:
    pbx = without_compulsion(SimulatedPbx(ByWish()))
    caller = pbx.inbound()
    assert not pbx.snoops
    pbx.answer(caller, user())
    assert len(pbx.open_files) == 2
    pbx.hang_up(caller)
    (recording,) = pbx.finished
    assert recording.state is State.CAPTURED
    assert not recording.announcements


def test_an_optional_announcement_that_fails_lets_the_call_go_and_records_it() -> None:
    pbx = without_compulsion(SimulatedPbx(ByWish()))
    pbx.disobey = lambda c: False if isinstance(c, cmd.Play) else None
    caller = pbx.inbound()
    pbx.gate(caller)
    assert pbx.let_go[caller]["ARI_RECORDER_RESULT"] == "recording"
    assert len(pbx.open_files) == 2


@pytest.mark.parametrize(
    ("arguments", "wish"),
    [
        ((" force", "setting=Sales", "direction=outbound"), Wish(True, False, "Sales", Direction.OUTBOUND)),
        (("Force", "FORBID "), Wish(force=True, forbid=True)),
        (("setting = Sales A ", "Direction= Inbound"), Wish(setting="Sales A", direction=Direction.INBOUND)),
        (("", " ", ""), Wish()),
    ],
)
def test_wishes_are_understood_however_they_are_spaced(arguments: tuple[str, ...], wish: Wish) -> None:
    assert read_wish(arguments) == (wish, ())


@pytest.mark.parametrize(
    "word", ["forbit", "direction=sideways", "direction", "setting=", "setting", "force=no", "="]
)
def test_a_word_that_means_nothing_is_named(word: str) -> None:
    assert read_wish(("force", word)) == (Wish(force=True), (word,))


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_dialplan_and_log_are_told_of_a_wish_that_was_not_understood(record: bool, known: bool) -> None:
    pbx = SimulatedPbx(Rules(record=record))
    leg = ev.Channel("user-9", "PJSIP/1009-00000009", "Ring", exten="0170")
    caller = pbx.inbound() if known else pbx.create(leg)
    pbx.gate(caller, "forbit", "", "")
    result = "noted" if not known else "recording" if record else "refused"
    assert pbx.let_go[caller]["ARI_RECORDER_RESULT"] == result
    assert pbx.let_go[caller]["ARI_RECORDER_FAILURE"] == "unknown-wish"
    assert cmd.Misread(caller, pbx.channels[caller].name, ("forbit",)) in pbx.script
    pbx.gate(caller, "forbid")
    assert "ARI_RECORDER_FAILURE" not in pbx.let_go[caller]
