"""What a setting says of calls that cannot be recorded: journalled, explained, described, doubted."""

from __future__ import annotations

import pytest

from ari_recorder.model.call import Direction
from ari_recorder.model.recording import OnFailure
from ari_recorder.rules.decide import chosen, decide
from ari_recorder.rules.describe import describe
from ari_recorder.rules.doubts import doubts
from ari_recorder.rules.explain import explain
from ari_recorder.rules.policy import Policy, parse_policy

from .policies import OFFICE, call


def failing(words: str) -> Policy:
    return parse_policy(OFFICE + f'\n[[setting]]\nname = "Failing"\n{words}\n')


def test_what_is_chosen_says_what_becomes_of_the_call() -> None:
    policy = parse_policy(
        '[[prompt]]\nname = "sorry"\nfile = "shipped:en/cannot-be-recorded"\n'
        '[[setting]]\nname = "Strict"\non_failure = "hang-up"\nfailure_announcement = "sorry"\n'
    )
    facts = call("+4917012345", "1001", Direction.INBOUND)
    found = chosen(policy, decide(policy, facts), facts)
    assert (found.on_failure, found.failure_announcement) == (OnFailure.HANG_UP, "sorry")
    told = explain(policy, "+4917012345", "1001", Direction.INBOUND).lines()
    assert "If it cannot be recorded, the call is ended, with an alarm." in told
    said = describe(policy, policy.settings[0])
    assert said.endswith(
        'When it cannot be recorded, the call is ended, with an alarm, after "sorry" where it can hear it.'
    )


def test_unless_it_says_otherwise_a_call_goes_on() -> None:
    policy = parse_policy('[[setting]]\nname = "Plain"\n')
    facts = call("+4917012345", "1001", Direction.INBOUND)
    assert chosen(policy, decide(policy, facts), facts).on_failure is OnFailure.CARRY_ON


@pytest.mark.parametrize(
    ("words", "doubted"),
    [
        ('announcement = { prompt = "recorded", directions = ["inbound", "outbound"] }', "no outbound call"),
        ('announcement = { prompt = "recorded", directions = ["outbound"], required = false }', None),
        ('announcement = { prompt = "recorded" }', None),
        ('enabled = false\nannouncement = { prompt = "recorded", directions = ["outbound"] }', None),
        ('users = ["1001"]\nannouncement = { prompt = "recorded" }', "does not know who will be rung"),
        ('users = ["1001"]\nannouncement = { prompt = "recorded", required = false }', None),
        ('directions = ["internal"]\nannouncement = { prompt = "recorded", directions = ["internal"] }',
         "no internal call"),
    ],
)  # fmt: skip
def test_an_announcement_that_nobody_can_hear_is_doubted(words: str, doubted: str | None) -> None:
    found = [doubt for doubt in doubts(failing(words)) if doubt.name == "Failing"]
    assert [doubted in doubt.sentence for doubt in found if doubted] == ([True] if doubted else [])
    assert bool(found) is (doubted is not None)
