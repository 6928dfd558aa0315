"""What `explain` guesses, and says; how settings are described; the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from ari_recorder.config.complaints import keys_of
from ari_recorder.config.reference import tables_of
from ari_recorder.model.call import Direction, Wish
from ari_recorder.model.errors import ConfigError
from ari_recorder.rules import reference
from ari_recorder.rules.decide import REASONS
from ari_recorder.rules.describe import describe
from ari_recorder.rules.explain import explain
from ari_recorder.rules.policy import Policy, Setting

from .policies import AT, OFFICE, policy

DOCS = Path(__file__).parents[3] / "docs" / "reference"
IN, OUT, INSIDE = Direction.INBOUND, Direction.OUTBOUND, Direction.INTERNAL


@pytest.mark.parametrize(
    ("frm", "to", "trunk", "direction", "through"),
    [
        ("1001", "1002", None, INSIDE, None),
        ("1001", "030555555", None, OUT, None),
        ("030555555", "1001", None, IN, None),
        ("", "1001", None, IN, None),
        ("030555555", "+4930123450", None, IN, "berlin"),
        ("+4930123450", "030555555", None, OUT, "berlin"),
        ("030555555", "+4930123450", "others", IN, "others"),
        ("+33123456789", "+4989555555", None, IN, None),
        ("1001", "1002", "others", OUT, "others"),
        ("alice", "bob", None, INSIDE, None),
        ("1001", "*98", None, INSIDE, None),
    ],
)
def test_the_direction_is_guessed_and_the_guess_is_stated(
    frm: str, to: str, trunk: str | None, direction: Direction, through: str | None
) -> None:
    explained = explain(policy(), frm, to, trunk=trunk)
    assert (explained.facts.direction, explained.facts.trunk) == (direction, through)
    assert f"taken as {direction}" in explained.assumptions[0]
    assert explained.assumptions[0] in explained.lines()


def test_what_is_given_is_not_guessed() -> None:
    explained = explain(policy(), "1001", "1002", IN, AT, "others")
    assert explained.assumptions == ()
    assert explained.facts.at == AT
    asked = explain(policy(), "1001", "1002", wish=Wish(direction=OUT))
    assert (asked.facts.direction, asked.assumptions) == (OUT, ())


def test_an_unknown_trunk_is_refused_with_the_right_one() -> None:
    with pytest.raises(ConfigError, match='did you mean "berlin"') as caught:
        explain(policy(), "1", "2", trunk="Berlim")
    assert caught.value.code == "config.reference"


def test_an_explanation_reads_like_this() -> None:
    assert "\n".join(explain(policy(), "030555555", "1001", trunk_number="1001").lines()) == (
        f"Inbound call from 030555555 to 1001, policy {policy().revision}.\n"
        "Direction not given, taken as inbound: 1001 is the PBX's own number, 030555555 is not.\n"
        '1. Setting "Old" does not match: it is switched off.\n'
        '2. Setting "Sales" matches: the call is recorded.\n'
        'Kept from after-announcement, sides stereo, announcement "recorded", to: archive, vault.\n'
        'Recorded (selected): Setting "Sales" is the first that matches.'
    )


def test_a_user_whom_the_gate_cannot_know_is_not_promised_a_recording() -> None:
    for number, known in ((None, "what was dialled"), ("+4930123451", "that +4930123451 was dialled")):
        explained = explain(policy(), "030555555", "1001", IN, trunk_number=number)
        assert explained.decision.record
        verdict = explained.lines()[-1]
        assert verdict.startswith('Not recorded (not-announced): Setting "Sales" requires an announcement')
        assert known in verdict
        assert "setting=Sales" in verdict
    assert not explain(policy(), "030555555", "1001", IN, wish=Wish(setting="Sales")).prevented
    optional = policy(OFFICE.replace('{ prompt = "recorded" }', '{ prompt = "recorded", required = false }'))
    assert not explain(optional, "030555555", "1001", IN).prevented
    both = 'announcement = { prompt = "recorded", directions = ["outbound"] }'
    outbound = policy(OFFICE.replace('announcement = { prompt = "recorded" }', both))
    assert "none can be played in an outbound call" in explain(outbound, "1001", "+4930555555", OUT).prevented


def test_what_a_real_call_brings_can_be_given() -> None:
    line = 'name = "Line"\ndirections = ["outbound"]\ntrunk_numbers = ["+4930123450"]\n'
    shown = policy(f"{OFFICE}[[setting]]\n{line}")
    assert not explain(shown, "1005", "+33123456789").decision.record
    explained = explain(shown, "1005", "+33123456789", trunk_number="030 123450")
    assert (explained.decision.setting, explained.facts.trunk) == ("Line", "berlin")
    assert explain(policy(), "1005", "+4930555555", from_user="PJSIP/alice").decision.setting == "Sales"
    assert explain(policy(), "1004", "600", INSIDE, to_user="PJSIP/1003").decision.setting == "Inside"


def test_descriptions() -> None:
    got = policy()
    old, sales, hotline, inside = (describe(got, setting) for setting in got.settings)
    assert old.startswith("Switched off. If it were on: Records inbound, outbound and internal calls.")
    assert sales == (
        "Records inbound and outbound calls of 1001, 20?? or alice with +49*. "
        'Does not record calls with numbers on "doctors" (3 entries). '
        'Plays "recorded" (This call is recorded) to the outside party of inbound calls first; a call that '
        "cannot hear it is not recorded. "
        "Keeps the call from the end of the announcement, both sides in one stereo file, "
        "delivered to archive and vault."
    )
    assert "through the numbers +4930123450, feature codes included." in hotline
    assert "is recorded all the same." in hotline
    assert hotline.endswith("from the first ring, both sides in a file each, and stays on the recorder.")
    assert inside.endswith(
        "Keeps the call from the answer, both sides in one stereo file, delivered to archive."
    )


def test_the_committed_reference_is_current() -> None:
    assert (DOCS / "policy.md").read_text() == reference.policy(), "run: make docs"


def test_every_key_and_reason_is_explained() -> None:
    text = reference.policy()
    for reason in REASONS:
        assert f"| `{reason}` |" in text
    for key, field in keys_of(Policy).items():
        assert field.description, key
        assert f"`{key}`" in text or f"`[[{key}]]`" in text
        for table in tables_of(field.annotation).values():
            assert all(inner.description for inner in keys_of(table).values())
    assert all(f"| `{key}` |" in text for key in keys_of(Setting))
