"""Settings for certain users, where it is known only at the answer who the user is (FEATURES R1, R6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ari_recorder.capture import events as ev
from ari_recorder.capture.reconcile import reconcile
from ari_recorder.model.call import Party
from ari_recorder.model.recording import State
from ari_recorder.rules.policy import parse_policy
from ari_recorder.runtime.pbx.judge import PolicyJudge

from .simulated_pbx import SimulatedPbx, user

POLICY = """
[[trunk]]
name = "berlin"
endpoints = ["PJSIP/trunk-*"]

[[exception_list]]
name = "family"
entries = [{ number = "+4915112345678", comment = "of 1001" }]

[[target]]
kind = "local"
name = "archive"
folder = "/archive"

[[setting]]
name = "of 1001"
directions = ["inbound"]
users = ["1001"]
exceptions = ["family"]

[[setting]]
name = "everybody"
directions = ["inbound"]
targets = ["archive"]
"""


def house(policy: str = POLICY) -> SimulatedPbx:
    pbx = SimulatedPbx()
    pbx.board.judge = PolicyJudge(parse_policy(policy))
    return pbx


@pytest.mark.parametrize(
    ("number", "answers", "state", "setting"),
    [
        ("+4915112345678", "1001", State.REFUSED, None),
        ("+4915112345678", "1002", State.CAPTURED, "everybody"),
        ("+4930999888", "1001", State.CAPTURED, "of 1001"),
        ("+4930999888", "1002", State.CAPTURED, "everybody"),
    ],
)
def test_the_user_who_answers_decides(number: str, answers: str, state: State, setting: str | None) -> None:
    pbx = house()
    caller = pbx.inbound(number, "+4930100")
    assert pbx.board.sessions["rec1"].recording.setting.name == "everybody"
    pbx.answer(caller, user(answers))
    pbx.hang_up(caller)
    (recording,) = pbx.finished
    assert recording.state is state
    if setting is None:
        assert [(r.reason, "of 1001" in r.because) for r in pbx.refusals] == [("exception", True)]
        assert not pbx.open_files
        return
    assert recording.setting.name == setting
    wanted = ("archive",) if setting == "everybody" else ()
    assert tuple(d.target for d in recording.deliveries) == wanted
    assert not pbx.refusals


def test_whoever_takes_the_call_over_later_changes_nothing() -> None:
    pbx = house()
    caller = pbx.inbound("+4915112345678", "+4930100")
    pbx.answer(caller, user("1002"))
    pbx.leave("user-1")
    pbx.dial(caller, user("1001", "user-2"))
    pbx.dial(caller, user("1001", "user-2"), "ANSWER")
    pbx.hang_up(caller)
    assert pbx.finished[0].setting.name == "everybody"


def test_a_call_that_nobody_recorded_is_recorded_once_it_is_handed_to_a_user_for_whom_a_setting_is() -> None:
    pbx = house(FOR_SOME)
    caller = pbx.inbound()
    pbx.answer(caller, user("1002"))
    assert not pbx.board.sessions
    pbx.leave("user-1")
    pbx.answer(caller, user("1001", "user-2"))
    pbx.hang_up(caller)
    assert [(r.state, r.setting.name) for r in pbx.finished] == [(State.CAPTURED, "of 1001")]
    assert not pbx.refusals


FOR_SOME = """
[[trunk]]
name = "berlin"
endpoints = ["PJSIP/trunk-*"]

[[exception_list]]
name = "family"
entries = [{ number = "+4915112345678", comment = "of 1002" }]

[[setting]]
name = "of 1001"
directions = ["inbound", "internal"]
users = ["1001"]
"""

AND_1002 = """
[[setting]]
name = "of 1002"
directions = ["inbound"]
users = ["1002"]
exceptions = ["family"]
"""


def group(pbx: SimulatedPbx, caller: str, answers: str) -> None:
    """1001 and 1002 ring, one of them answers."""
    ringing = {number: user(number, f"user-{number}") for number in ("1001", "1002")}
    for phone in ringing.values():
        pbx.dial(caller, phone)
    pbx.answer(caller, ringing[answers])


@pytest.mark.parametrize(
    ("policy", "number", "answers", "reason", "setting"),
    [
        (FOR_SOME, "+4930999888", "1001", None, "of 1001"),
        (FOR_SOME, "+4930999888", "1002", "no-setting", ""),
        (FOR_SOME + AND_1002, "+4930999888", "1002", None, "of 1002"),
        (FOR_SOME + AND_1002, "+4915112345678", "1002", "exception", ""),
        (FOR_SOME + AND_1002, "+4915112345678", "1001", None, "of 1001"),
    ],
)
def test_who_rings_first_does_not_decide_for_who_answers(
    policy: str, number: str, answers: str, reason: str | None, setting: str
) -> None:
    pbx = house(policy)
    caller = pbx.inbound(number)
    group(pbx, caller, answers)
    pbx.hang_up(caller)
    (recording,) = pbx.finished
    assert recording.reason == reason
    assert (recording.state is State.REFUSED) is (reason is not None)
    assert [refusal.reason for refusal in pbx.refusals] == ([reason] if reason else [])
    if not reason:
        assert recording.setting.name == setting
    assert not pbx.open_files


@pytest.mark.parametrize(("answers", "state"), [("1001", State.CAPTURED), ("1002", State.REFUSED)])
def test_a_group_that_a_user_calls_is_decided_by_who_answers(answers: str, state: State) -> None:
    pbx = house(FOR_SOME)
    phone = ev.Channel("user-9", "PJSIP/1009-00000009", "Ring", Party("1009"), exten="600")
    caller = pbx.create(phone)
    group(pbx, caller, answers)
    pbx.hang_up(caller)
    assert [recording.state for recording in pbx.finished] == [state]


def test_a_user_of_a_group_who_rings_second_is_known_too() -> None:
    pbx = house(FOR_SOME)
    phone = ev.Channel("user-9", "PJSIP/1009-00000009", "Ring", Party("1009"), exten="600")
    caller = pbx.create(phone)
    pbx.dial(caller, user("1002", "user-1002"))
    assert not pbx.board.sessions
    pbx.answer(caller, user("1001", "user-1001"))
    assert [s.recording.setting.name for s in pbx.board.sessions.values()] == ["of 1001"]


def test_a_gate_that_cannot_know_the_user_refuses_nothing_yet() -> None:
    pbx = house(FOR_SOME)
    caller = pbx.inbound("+4930999888")
    pbx.gate(caller)
    assert pbx.let_go[caller]["ARI_RECORDER_RESULT"] == "noted"
    pbx.answer(caller, user("1001"))
    pbx.hang_up(caller)
    assert not pbx.refusals
    assert [r.setting.name for r in pbx.finished] == ["of 1001"]


@pytest.mark.parametrize("away", [False, True])
def test_a_call_that_nobody_was_rung_for_is_logged_at_its_end(away: bool) -> None:
    pbx = house(FOR_SOME)
    caller = pbx.inbound("+4930999888")
    pbx.gate(caller)
    pbx.answer(caller, user("1002"))
    assert not pbx.refusals
    if away:
        del pbx.channels[caller]
        pbx.carry_out(reconcile(pbx.board, [], pbx.snapshot()))
    else:
        pbx.hang_up(caller)
    assert [(refusal.channel, refusal.reason) for refusal in pbx.refusals] == [(caller, "no-setting")]


def test_what_is_forbidden_at_the_gate_is_refused_there_whoever_is_rung() -> None:
    pbx = house(FOR_SOME)
    caller = pbx.inbound("+4930999888")
    pbx.gate(caller, "forbid")
    assert pbx.let_go[caller]["ARI_RECORDER_RESULT"] == "refused"
    pbx.answer(caller, user("1001"))
    pbx.hang_up(caller)
    assert [refusal.reason for refusal in pbx.refusals] == ["forbidden"]
    assert not pbx.finished


@pytest.mark.parametrize("when", ["before it rings", "while it rings", "while they talk"])
def test_a_recorder_that_is_restarted_after_the_gate_still_records_for_the_user(when: str) -> None:
    before = house(FOR_SOME)
    caller = before.inbound("+4930999888")
    before.gate(caller)
    if when == "while they talk":
        before.board.judge = PolicyJudge(parse_policy(""))  # nothing is recorded until the restart
        before.answer(caller, user("1001"))
    after = house(FOR_SOME)
    for name in ("channels", "formats", "bridge", "now"):
        setattr(after, name, getattr(before, name))
    if when == "while it rings":
        after.channels["user-1"] = user("1001")
    snapshot = replace(after.snapshot(), results={caller: "noted"})
    after.carry_out(reconcile(after.board, [], snapshot))
    if when == "before it rings":
        after.dial(caller, user("1001"))
    if when != "while they talk":
        after.answer(caller, user("1001"))
    after.hang_up(caller)
    assert [(r.state, r.setting.name) for r in after.finished] == [(State.CAPTURED, "of 1001")]
    assert not after.refusals


HOTLINE = FOR_SOME.replace('users = ["1001"]', 'users = ["100"]').replace("of 1001", "of the hotline")


@pytest.mark.parametrize("answers", ["1001", "1002"])
def test_a_setting_for_the_extension_that_was_dialled_keeps_the_call_whoever_answers(answers: str) -> None:
    pbx = house(HOTLINE)
    caller = pbx.inbound("+4930999888", "100")
    group(pbx, caller, answers)
    pbx.hang_up(caller)
    assert [(r.state, r.setting.name) for r in pbx.finished] == [(State.CAPTURED, "of the hotline")]
    assert not pbx.refusals


def test_who_rang_before_is_not_taken_for_what_was_dialled() -> None:
    pbx = house(FOR_SOME + AND_1002)
    caller = pbx.inbound("+4915112345678", "100")
    group(pbx, caller, "1002")
    pbx.hang_up(caller)
    assert [recording.reason for recording in pbx.finished] == ["exception"]


FAMILY_OF_1001 = FOR_SOME + 'exceptions = ["family"]\n' + AND_1002.replace('exceptions = ["family"]\n', "")


@pytest.mark.parametrize(("answers", "state", "logged"), [
    ("1001", State.REFUSED, ["exception"]), ("1002", State.CAPTURED, [])])  # fmt: skip
def test_a_refusal_is_logged_once_and_of_no_call_that_is_recorded(
    answers: str, state: State, logged: list[str]
) -> None:
    pbx = house(FAMILY_OF_1001)
    caller = pbx.inbound("+4915112345678")
    group(pbx, caller, answers)
    pbx.hang_up(caller)
    assert [recording.state for recording in pbx.finished] == [state]
    assert [refusal.reason for refusal in pbx.refusals] == logged


@pytest.mark.parametrize(("number", "first"), [("1009", "no-setting"), ("+4915112345678", "exception")])
@pytest.mark.parametrize("answers", ["1001", "1002"])
def test_a_group_that_a_user_calls_is_logged_by_who_answers(number: str, first: str, answers: str) -> None:
    """1002, who rings first, is nobody's user, or one whose exception list holds the caller."""
    policy = FOR_SOME + (AND_1002.replace("inbound", "internal") if first == "exception" else "")
    pbx = house(policy)
    phone = ev.Channel("user-9", "PJSIP/1009-00000009", "Ring", Party(number), exten="600")
    caller = pbx.create(phone)
    ringing = {each: user(each, f"user-{each}") for each in ("1002", "1001")}
    for leg in ringing.values():
        pbx.dial(caller, leg)
    assert not pbx.refusals
    pbx.answer(caller, ringing[answers])
    pbx.hang_up(caller)
    recorded = answers == "1001"
    assert [r.state for r in pbx.finished] == [State.CAPTURED if recorded else State.REFUSED]
    assert [refusal.reason for refusal in pbx.refusals] == ([] if recorded else [first])


def test_a_gate_does_not_refuse_what_a_user_may_still_have_recorded() -> None:
    pbx = house(FOR_SOME + FOR_ALL_BUT_FAMILY)
    caller = pbx.inbound("+4915112345678")
    pbx.gate(caller)
    assert pbx.let_go[caller]["ARI_RECORDER_RESULT"] == "noted"
    pbx.answer(caller, user("1001"))
    pbx.hang_up(caller)
    assert [(r.state, r.setting.name) for r in pbx.finished] == [(State.CAPTURED, "of 1001")]
    assert not pbx.refusals


FOR_ALL_BUT_FAMILY = """
[[setting]]
name = "everybody"
directions = ["inbound"]
exceptions = ["family"]
"""
