"""What must not be recorded stays unrecorded, and what is recorded is not thrown away by a second look."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from ari_recorder.capture import commands as cmd
from ari_recorder.capture import events as ev
from ari_recorder.capture.reconcile import reconcile
from ari_recorder.model.call import CallFacts, Decision, Direction, Party
from ari_recorder.model.recording import Start, State

from .simulated_pbx import Rules, SimulatedPbx, user
from .test_calls import reborn, the_only


def mobile(channel: str = "m-1") -> ev.Channel:
    """A leg that is being called through the trunk."""
    return ev.Channel(channel, f"PJSIP/trunk-berlin-{channel}", "Down", Party("0170"), app="AppDial")


def phone(pbx: SimulatedPbx, exten: str = "0170") -> str:
    """A user's phone that calls somebody."""
    return pbx.create(ev.Channel("user-9", "PJSIP/1009-00000009", "Ring", Party("1009"), exten=exten))


@pytest.mark.parametrize("held", [True, False])
def test_a_refusal_outlives_the_recorder(held: bool) -> None:
    pbx = SimulatedPbx()
    caller = pbx.inbound()
    # The recorder dies with its orders on the way: Asterisk goes on recording.
    pbx.disobey = lambda c: (
        True if isinstance(c, cmd.StopRecord | cmd.DropChannel | cmd.LetGo | cmd.Finish) else None
    )
    pbx.gate(caller, "forbid")
    assert len(pbx.open_files) == 2
    again = SimulatedPbx(pbx.rules)
    for name in ("channels", "formats", "snoops", "snoop_rate", "open_files", "bridge", "now"):
        setattr(again, name, getattr(pbx, name))
    snapshot = again.snapshot()
    if held:
        snapshot = replace(snapshot, gated=snapshot.gated | {caller})
    again.carry_out(reconcile(again.board, list(pbx.saved.values()), snapshot))
    assert not again.open_files
    assert not again.snoops
    assert (caller in again.let_go) is held
    assert (the_only(again).state, the_only(again).reason) == (State.REFUSED, "forbidden")


def test_a_recording_that_asterisk_refused_is_tried_again_by_the_next_recorder() -> None:
    pbx = SimulatedPbx()
    pbx.disobey = lambda c: (
        False if isinstance(c, cmd.Record) else True if isinstance(c, cmd.Finish) else None
    )
    caller = pbx.inbound()
    pbx.pass_time(30)
    saved = replace(pbx.saved["rec1"], state=State.DECIDED)
    again = SimulatedPbx(pbx.rules)
    for name in ("channels", "formats", "snoops", "snoop_rate", "now"):
        setattr(again, name, getattr(pbx, name))
    again.carry_out(reconcile(again.board, [saved], again.snapshot()))
    assert len(again.open_files) == 2
    again.hang_up(caller)
    assert (the_only(again).state, the_only(again).reason) == (State.CAPTURED, None)


def test_a_second_gate_without_a_wish_does_not_lift_the_first_ones() -> None:
    pbx = SimulatedPbx()
    caller = pbx.inbound()
    pbx.gate(caller, "forbid")
    pbx.gate(caller, "", "", "", "")
    assert not pbx.open_files
    assert pbx.let_go[caller]["ARI_RECORDER_RESULT"] == "refused"
    pbx.gate(caller, "force")
    assert len(pbx.open_files) == 2


def test_a_gate_that_asks_nothing_new_leaves_a_running_recording_alone() -> None:
    pbx = SimulatedPbx()
    caller = pbx.inbound()
    pbx.gate(caller)
    pbx.answer(caller, user())
    pbx.rules.record = False  # another policy, read while the call runs
    pbx.gate(caller)
    assert len(pbx.open_files) == 2
    assert pbx.let_go[caller]["ARI_RECORDER_RESULT"] == "recording"
    pbx.hang_up(caller)
    assert the_only(pbx).state is State.CAPTURED


def test_what_a_user_forbade_stays_forbidden_when_the_call_is_transferred_outside() -> None:
    pbx = SimulatedPbx()
    caller = phone(pbx)
    pbx.gate(caller, "forbid")
    pbx.dial(caller, mobile("m-1"), dialstring="0170@trunk-berlin")
    pbx.hang_up(caller)
    pbx.dial("m-1", mobile("m-2"), dialstring="0171@trunk-berlin")
    assert not pbx.snoops


def test_an_inbound_call_that_was_forbidden_is_not_recorded_on_its_way_out_again() -> None:
    pbx = SimulatedPbx()
    caller = pbx.inbound()
    pbx.gate(caller, "forbid", "direction=outbound")
    pbx.dial(caller, mobile(), dialstring="0170@trunk-berlin")
    assert not pbx.snoops


def test_an_outbound_call_that_is_told_twice_is_recorded_once() -> None:
    pbx = SimulatedPbx()
    caller = phone(pbx)
    pbx.dial(caller, mobile(), dialstring="0170@trunk-berlin")
    pbx.dial(caller, mobile(), dialstring="0170@trunk-berlin")
    assert len(pbx.board.sessions) == 1
    assert len(pbx.open_files) == 2


def test_an_outbound_call_that_the_snapshot_and_an_event_tell_is_recorded_once() -> None:
    pbx = SimulatedPbx()
    pbx.channels = {c.id: c for c in (ev.Channel("user-9", "PJSIP/1009-00000009", "Ring"), mobile())}
    pbx.formats["m-1"] = "(alaw)"
    pbx.carry_out(reconcile(pbx.board, [], pbx.snapshot()))
    pbx.dial("user-9", mobile(), dialstring="0170@trunk-berlin")
    assert len(pbx.board.sessions) == 1


def test_a_call_forwarded_to_a_mobile_is_recorded_once_after_a_restart_too() -> None:
    pbx = SimulatedPbx()
    caller = pbx.inbound()
    pbx.answer(caller, mobile())
    assert len(pbx.board.sessions) == 1
    again = reborn(pbx)
    assert [s.channel for s in again.board.sessions.values()] == [caller]


@pytest.mark.parametrize("first", ["in-1", "m-1"])
def test_a_forwarded_call_that_began_while_nobody_listened_is_recorded_once(first: str) -> None:
    pbx = SimulatedPbx()
    trunk = ev.Channel("in-1", "PJSIP/trunk-berlin-00000001", "Up", Party("030"), exten="4930100")
    pbx.channels = {c.id: c for c in sorted((trunk, mobile()), key=lambda c: c.id != first)}
    pbx.formats |= {"in-1": "(alaw)", "m-1": "(alaw)"}
    pbx.bridge = ("in-1", "m-1")
    pbx.carry_out(reconcile(pbx.board, [], pbx.snapshot()))
    assert [s.channel for s in pbx.board.sessions.values()] == ["in-1"]


@pytest.mark.parametrize("start", [Start.RING, Start.ANSWER])
def test_a_failure_while_it_rings_is_not_called_unanswered(start: Start) -> None:
    pbx = SimulatedPbx(Rules(start=start))
    pbx.disobey = lambda c: False if isinstance(c, cmd.TakeSnoop) else None
    pbx.inbound()
    pbx.pass_time(30)
    assert the_only(pbx).state is State.FAILED
    assert "could not" in (the_only(pbx).reason or "")


def test_a_call_through_a_trunk_whose_name_holds_digits_has_the_number_that_was_dialled() -> None:
    pbx = SimulatedPbx()
    leg = ev.Channel("m-1", "PJSIP/trunk-2-00000003", "Down", app="AppDial")
    pbx.dial(phone(pbx, exten="03012345"), leg, dialstring="trunk-2")
    assert pbx.rules.asked[-1].direction is Direction.OUTBOUND
    assert pbx.rules.asked[-1].callee.number == "03012345"


@dataclass
class ForOneUser(Rules):
    """A setting for one user alone, whose exception list holds the caller."""

    def decide(self, facts: CallFacts) -> Decision:
        self.asked.append(facts)
        reason = "no-setting" if not facts.callee_names else "exception"
        return Decision(False, reason, reason, "r1", awaits_user=not facts.callee_names)


def test_an_exception_that_shows_once_the_user_is_known_is_logged() -> None:
    pbx = SimulatedPbx(ForOneUser())
    caller = pbx.inbound()
    pbx.dial(caller, user())
    assert not pbx.refusals  # whoever rings next may have it recorded
    pbx.hang_up(caller)
    assert [refusal.reason for refusal in pbx.refusals] == ["exception"]


@dataclass
class Excepted(Rules):
    """An exception list holds the caller, whoever is rung."""

    def decide(self, facts: CallFacts) -> Decision:
        self.asked.append(facts)
        return Decision(False, "exception", "exception", "r1")


@pytest.mark.parametrize(("rules", "reasons"), [
    (ForOneUser, ["exception"]), (Excepted, ["exception"])])  # fmt: skip
def test_an_exception_is_logged_once_however_many_phones_ring(rules: type[Rules], reasons: list[str]) -> None:
    pbx = SimulatedPbx(rules())
    caller = pbx.inbound()
    for number in (1, 2):
        pbx.dial(caller, replace(user(), id=f"user-{number}"))
    pbx.hang_up(caller)
    assert [refusal.reason for refusal in pbx.refusals] == reasons
