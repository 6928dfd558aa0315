"""What becomes of a call that cannot be recorded, as its setting says (FEATURES C12)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from ari_recorder.capture import commands as cmd
from ari_recorder.capture import events as ev
from ari_recorder.capture.failure import BEGIN_PATIENCE
from ari_recorder.capture.ledger import Prompt
from ari_recorder.capture.outcome import EXHAUSTED
from ari_recorder.capture.reconcile import reconcile
from ari_recorder.model.call import CallFacts, Decision
from ari_recorder.model.recording import Chosen, OnFailure, Recording, State

from .simulated_pbx import Rules, SimulatedPbx, user


@dataclass
class Policy(Rules):
    """Rules whose one setting says what becomes of a call that cannot be recorded."""

    on_failure: OnFailure = OnFailure.CARRY_ON
    farewell: str | None = None

    def chosen(self, decision: Decision, facts: CallFacts) -> Chosen:
        before = super().chosen(decision, facts)
        return replace(before, on_failure=self.on_failure, failure_announcement=self.farewell)


def a_pbx(
    on_failure: OnFailure, farewell: str | None = None, announcement: str | None = None
) -> SimulatedPbx:
    pbx = SimulatedPbx(Policy(on_failure=on_failure, farewell=farewell, announcement=announcement))
    prompts = {**pbx.board.world.prompts, "sorry": Prompt("sound:ari-recorder/sorry", "cd" * 32, 4.0)}
    pbx.board.world = replace(pbx.board.world, prompts=prompts)
    return pbx


def strict(farewell: str | None = None, announcement: str | None = None) -> SimulatedPbx:
    return a_pbx(OnFailure.HANG_UP, farewell, announcement)


def ordered(pbx: SimulatedPbx, kind: type[cmd.Command]) -> list[cmd.Command]:
    return [command for command in pbx.script if isinstance(command, kind)]


def alarms(pbx: SimulatedPbx) -> list[str]:
    return [command.failure for command in pbx.script if isinstance(command, cmd.Alarm)]


def hung_up(pbx: SimulatedPbx, caller: str) -> bool:
    return cmd.HangUp(caller) in pbx.script


def refuse(pbx: SimulatedPbx, *kinds: type[cmd.Command]) -> None:
    pbx.disobey = lambda command: False if isinstance(command, kinds) else None


def swallow(pbx: SimulatedPbx, *kinds: type[cmd.Command]) -> None:
    pbx.disobey = lambda command: True if isinstance(command, kinds) else None


def ended_by_asterisk(pbx: SimulatedPbx, after: float = 2.0) -> None:
    """As on a full disk: both recordings end after two seconds, the snoops and the call go on."""
    pbx.pass_time(after)
    for name in list(pbx.open_files):
        del pbx.open_files[name]
        pbx.tell(ev.RecordingFinished(pbx.now, name))


def last(pbx: SimulatedPbx) -> Recording:
    assert len(pbx.finished) == 1
    return pbx.finished[0]


def notes(recording: Recording, what: str) -> list[str]:
    return [note.detail for note in recording.notes if note.what == what]


# -- cannot begin -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_failure", list(OnFailure))
@pytest.mark.parametrize("kind", [cmd.TakeSnoop, cmd.Record])
def test_what_asterisk_refuses_is_told_once_and_ends_only_a_strict_call(
    on_failure: OnFailure, kind: type[cmd.Command]
) -> None:
    pbx = a_pbx(on_failure)
    refuse(pbx, kind)
    caller = pbx.inbound()
    pbx.pass_time(30)
    assert alarms(pbx) == ["not-begun"]
    assert hung_up(pbx, caller) is (on_failure is OnFailure.HANG_UP)
    pbx.hang_up(caller)
    # Of what Asterisk was told to record its folder tells in the end.
    assert last(pbx).state is (State.FAILED if kind is cmd.TakeSnoop else State.CAPTURED)
    assert len(notes(last(pbx), "failure")) == 1
    if kind is cmd.TakeSnoop:
        assert last(pbx).reason in (notes(last(pbx), "failure")[0], EXHAUSTED)


def test_what_asterisk_does_not_answer_fails_in_time() -> None:
    pbx = strict()
    swallow(pbx, cmd.Record)
    caller = pbx.inbound()
    pbx.pass_time(BEGIN_PATIENCE - 1)
    assert not hung_up(pbx, caller)
    pbx.pass_time(1.5)
    assert hung_up(pbx, caller)
    assert alarms(pbx) == ["not-begun"]


def test_a_recording_that_begins_late_is_told_to_be_mended() -> None:
    pbx = a_pbx(OnFailure.ALARM)
    swallow(pbx, cmd.Record)
    caller = pbx.inbound()
    pbx.pass_time(5)
    pbx.disobey = lambda _command: None
    pbx.pass_time(5)
    pbx.answer(caller, user())
    pbx.hang_up(caller)
    assert last(pbx).state is State.CAPTURED
    assert notes(last(pbx), "recovered") == ["not-begun"]
    assert ordered(pbx, cmd.AllClear)


def test_a_strict_call_leaves_the_gate_only_when_it_is_recorded() -> None:
    pbx = strict()
    swallow(pbx, cmd.Record)
    caller = pbx.inbound()
    pbx.gate(caller)
    assert caller not in pbx.let_go
    pbx.disobey = lambda _command: None
    pbx.pass_time(3.5)
    assert pbx.let_go[caller]["ARI_RECORDER_RESULT"] == "recording"
    assert not alarms(pbx)


def test_a_call_that_may_go_on_does_not_wait_for_the_microphones() -> None:
    pbx = a_pbx(OnFailure.ALARM)
    swallow(pbx, cmd.Record)
    caller = pbx.inbound()
    pbx.gate(caller)
    assert pbx.let_go[caller]["ARI_RECORDER_RESULT"] == "recording"


@pytest.mark.parametrize("failed", [False, True])
def test_a_strict_caller_in_the_gate_hears_why_before_the_end(failed: bool) -> None:
    pbx = strict("sorry")
    swallow(pbx, cmd.Record)
    caller = pbx.inbound()
    pbx.gate(caller)
    pbx.pass_time(4.5)
    assert cmd.Play(caller, "rec1.failure", "sound:ari-recorder/sorry") in pbx.script
    assert not hung_up(pbx, caller)
    pbx.playback_ends(failed=failed)
    assert hung_up(pbx, caller)
    assert caller not in pbx.let_go
    pbx.hang_up(caller)
    pbx.pass_time(6)
    assert last(pbx).call.ended_at is not None


def test_a_prompt_that_asterisk_refuses_or_never_ends_keeps_nobody() -> None:
    refused = strict("sorry")
    refused.disobey = lambda command: (
        False if isinstance(command, cmd.Play) else True if isinstance(command, cmd.Record) else None
    )
    caller = refused.inbound()
    refused.gate(caller)
    refused.pass_time(4.5)
    assert hung_up(refused, caller)
    endless = strict("sorry")
    swallow(endless, cmd.Record)
    endless.gate(endless.inbound())
    endless.pass_time(4.5 + 4.0 + 3.5)
    assert hung_up(endless, caller)


def test_a_call_outside_the_gate_is_ended_without_a_prompt() -> None:
    pbx = strict("sorry")
    refuse(pbx, cmd.Record)
    caller = pbx.inbound()
    pbx.pass_time(5)
    assert hung_up(pbx, caller)
    assert not ordered(pbx, cmd.Play)


def test_the_order_to_end_a_call_is_repeated_until_it_is_obeyed() -> None:
    pbx = strict()
    refuse(pbx, cmd.Record, cmd.HangUp)
    caller = pbx.inbound()
    pbx.pass_time(10)
    assert len(ordered(pbx, cmd.HangUp)) > 3
    pbx.hang_up(caller)
    assert last(pbx).call.ended_at is not None


def test_a_strict_call_that_was_announced_waits_for_its_recording_too() -> None:
    pbx = strict(announcement="consent")
    swallow(pbx, cmd.Record)
    caller = pbx.inbound()
    pbx.gate(caller)
    pbx.pass_time(1.5)
    pbx.playback_ends()
    assert caller not in pbx.let_go
    pbx.pass_time(4)
    assert hung_up(pbx, caller)


# -- the journal --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_failure", list(OnFailure))
def test_without_a_journal_only_a_strict_call_ends(on_failure: OnFailure) -> None:
    pbx = a_pbx(on_failure)
    refuse(pbx, cmd.Save)
    caller = pbx.inbound()
    assert alarms(pbx) == ["journal"]
    assert hung_up(pbx, caller) is (on_failure is OnFailure.HANG_UP)
    assert len(pbx.open_files) == 2, "better a recording without a journal than none"


def test_a_spool_that_fills_up_in_the_call_is_tried_again_until_it_can_be_written() -> None:
    pbx = a_pbx(OnFailure.ALARM)
    caller = pbx.inbound()
    refuse(pbx, cmd.Save)
    pbx.answer(caller, user())
    assert alarms(pbx) == ["journal"]
    before = len(ordered(pbx, cmd.Save))
    pbx.pass_time(21)
    assert len(ordered(pbx, cmd.Save)) == before + 4
    pbx.disobey = lambda _command: None
    pbx.tell(ev.Journalled(pbx.now, "rec1.journal"))
    assert ordered(pbx, cmd.AllClear)
    after = len(ordered(pbx, cmd.Save))
    pbx.pass_time(21)
    assert len(ordered(pbx, cmd.Save)) == after
    pbx.hang_up(caller)
    assert notes(last(pbx), "recovered") == ["journal"]


# -- in the middle of a call --------------------------------------------------------------------------------


@pytest.mark.parametrize("on_failure", list(OnFailure))
def test_recordings_that_asterisk_ends_again_and_again_are_a_failure(on_failure: OnFailure) -> None:
    pbx = a_pbx(on_failure)
    caller = pbx.inbound()
    pbx.answer(caller, user())
    pbx.pass_time(30)
    ended_by_asterisk(pbx, 0)
    pbx.pass_time(0.6)
    assert not alarms(pbx), "once is an accident"
    assert len(pbx.open_files) == 2
    ended_by_asterisk(pbx)
    pbx.pass_time(0.6)
    assert alarms(pbx) == ["broken"]
    assert hung_up(pbx, caller) is (on_failure is OnFailure.HANG_UP)
    pbx.hang_up(caller)
    assert last(pbx).state is State.CAPTURED, "what there is is kept"


def test_on_a_disk_that_is_full_from_the_beginning_the_first_one_is_enough() -> None:
    pbx = strict()
    caller = pbx.inbound()
    ended_by_asterisk(pbx)
    pbx.pass_time(0.6)
    assert alarms(pbx) == ["broken"]
    assert hung_up(pbx, caller)


def test_attempts_become_fewer_and_the_first_that_lasts_mends_it() -> None:
    pbx = a_pbx(OnFailure.ALARM)
    caller = pbx.inbound()
    for _ in range(60):
        ended_by_asterisk(pbx)
    attempts = len(pbx.board.sessions["rec1"].recording.segments)
    assert 8 <= attempts <= 16, "two minutes of a full disk"
    pbx.pass_time(45)
    pbx.hang_up(caller)
    assert alarms(pbx) == ["broken"]
    assert notes(last(pbx), "recovered") == ["broken"]


def test_a_call_that_ends_with_its_recordings_is_no_failure() -> None:
    pbx = strict()
    caller = pbx.inbound()
    pbx.pass_time(1)
    ended_by_asterisk(pbx, 0)
    pbx.hang_up(caller)
    pbx.pass_time(5)
    assert not alarms(pbx)
    assert not hung_up(pbx, caller)


def test_what_is_refused_for_another_reason_is_not_ended() -> None:
    pbx = strict(announcement="consent")
    refuse(pbx, cmd.Play)
    caller = pbx.inbound()
    pbx.gate(caller)
    assert pbx.let_go[caller]["ARI_RECORDER_RESULT"] == "refused"
    pbx.pass_time(30)
    assert not hung_up(pbx, caller)
    assert not alarms(pbx)


# -- after a restart ----------------------------------------------------------------------------------------


def test_a_strict_call_that_still_cannot_be_recorded_after_a_restart_is_ended() -> None:
    pbx = strict()
    refuse(pbx, cmd.Record, cmd.HangUp)
    caller = pbx.inbound()
    again = strict()
    for name in ("channels", "formats", "snoops", "snoop_rate", "now"):
        setattr(again, name, getattr(pbx, name))
    refuse(again, cmd.Record)
    again.carry_out(reconcile(again.board, list(pbx.saved.values()), again.snapshot()))
    again.pass_time(10)
    assert hung_up(again, caller)


def test_how_long_a_call_may_stay_in_the_gate_counts_its_prompts() -> None:
    pbx = strict("sorry")
    caller = pbx.inbound()
    unknown, known = pbx.board.stay("somebody"), pbx.board.stay(caller)
    assert (unknown.strict, known.strict) == (False, True)
    assert known.seconds == unknown.seconds + 4.0
