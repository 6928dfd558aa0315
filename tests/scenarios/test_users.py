"""Settings for certain users, where it is known only at the answer who the user is (FEATURES R1, R6)."""

from __future__ import annotations

import pytest

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


def house() -> SimulatedPbx:
    pbx = SimulatedPbx()
    pbx.board.judge = PolicyJudge(parse_policy(POLICY))
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
