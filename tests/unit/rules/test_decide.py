"""Decisions: tables of calls, then what must hold for any policy and any call."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.model.call import CallFacts, Direction, Party, Wish
from ari_recorder.model.recording import Chosen, Sides, Start
from ari_recorder.rules.decide import REASONS, chosen, decide
from ari_recorder.rules.describe import describe
from ari_recorder.rules.explain import explain
from ari_recorder.rules.policy import Policy

from .policies import AT, OFFICE, call, policy
from .test_numbers import HOSTILE

IN, OUT, INSIDE = Direction.INBOUND, Direction.OUTBOUND, Direction.INTERNAL


@pytest.mark.parametrize(
    ("facts", "reason", "setting"),
    [
        (call("+4930555555", "1001"), "selected", "Sales"),
        (call("0305555555", "2099"), "selected", "Sales"),
        (call("+4930555555", "20999"), "no-setting", None),
        (call("+33123456789", "1001"), "no-setting", None),
        (call("1001", "+4930555555", OUT), "selected", "Sales"),
        (call("+4930555555", "1001", OUT), "no-setting", None),
        (call("+4930555555", "+4930123450", callee_names=("PJSIP/alice",)), "selected", "Sales"),
        (call("+4930555555", "+4930123451", callee_names=("PJSIP/2001",)), "selected", "Sales"),
        (call("+4930555555", "+4930123451"), "no-setting", None),
        (call("+33123456789", "030123450"), "selected", "Hotline"),
        (call("+33123456789", "1099", trunk_number="+4930123450"), "selected", "Hotline"),
        (call("", "+4930123450"), "selected", "Hotline"),
        (call("+4930123450", "+33123456789", OUT), "no-setting", None),
        (call("1003", "1004", INSIDE), "selected", "Inside"),
        (call("1004", "1003", INSIDE), "selected", "Inside"),
        (call("1004", "600", INSIDE, callee_names=("PJSIP/1003",)), "selected", "Inside"),
        (call("1004", "600", INSIDE, callee_names=("PJSIP/carol", "1003")), "selected", "Inside"),
        (call("anna", "600", INSIDE, caller_names=("PJSIP/1003",)), "selected", "Inside"),
        (call("1004", "1005", INSIDE), "no-setting", None),
        (call("1001", "1002", INSIDE), "no-setting", None),
        (call("1003", "*98", INSIDE), "feature-code", None),
        (call("1001", "#31#", OUT), "feature-code", None),
        (call("+33123456789", "*1", IN, trunk_number="+4930123450"), "selected", "Hotline"),
        (call("030 / 99 99 99", "1001"), "exception", None),
        (call("+498910123", "1001"), "exception", None),
        (call("1001", "030999999", OUT), "exception", None),
        (call("030999999", "+4930123450"), "selected", "Hotline"),
    ],
)
def test_the_first_setting_that_matches_decides(facts: CallFacts, reason: str, setting: str | None) -> None:
    decision = decide(policy(), facts)
    assert (decision.reason, decision.setting if decision.record else None) == (reason, setting)
    assert decision.record is (reason == "selected")
    assert decision.revision == policy().revision


def test_an_exception_is_told_with_list_and_entry() -> None:
    decision = decide(policy(), call("030999999", "1001"))
    assert (decision.record, decision.setting) == (False, "Sales")
    assert decision.exception_list == "doctors"
    assert decision.exception_entry == "030 999999 (Dr. Example)"
    assert "+4930999999" in decision.because
    assert "Dr. Example" in decision.because
    assert decide(policy(), call("+498910123", "1001")).exception_entry == "/^[+]4989(10|20)/"


def test_either_party_of_an_internal_call_may_be_excepted() -> None:
    everyone = policy(OFFICE.replace('users = ["1003"]\n', "").replace("030 999999", "1007"))
    for facts in (call("1007", "1003", INSIDE), call("1003", "1007", INSIDE)):
        assert decide(everyone, facts).reason == "exception"
    assert decide(everyone, call("1003", "1004", INSIDE)).reason == "selected"


ALICE = """
[[exception_list]]
name = "works council"
entries = [{ number = "1002" }, { number = "PJSIP/carol" }]
[[setting]]
name = "Alice"
directions = ["internal"]
users = ["PJSIP/alice"]
exceptions = ["works council"]
"""


@pytest.mark.parametrize(
    ("callee", "reason"),
    [(("1002", ("PJSIP/bob",)), "exception"), (("600", ("PJSIP/bob", "1002")), "exception"),
     (("600", ("PJSIP/carol",)), "exception"), (("600", ("PJSIP/dan", "1004")), "selected")],
)  # fmt: skip
@pytest.mark.parametrize("alice_calls", [True, False])
def test_an_endpoint_that_is_no_number_names_its_own_side_only(
    callee: tuple[str, tuple[str, ...]], reason: str, alice_calls: bool
) -> None:
    number, names = callee
    alice = ("PJSIP/alice",)
    facts = (
        call("1003", number, INSIDE, caller_names=alice, callee_names=names)
        if alice_calls
        else call(number, "1003", INSIDE, caller_names=names, callee_names=alice)
    )
    assert decide(policy(ALICE), facts).reason == reason


def test_users_by_endpoint_are_found_on_either_side_with_the_other_ones_number() -> None:
    chosen_ones = policy('[[setting]]\nname = "A"\ndirections = ["internal"]\nusers = ["alice"]\n'
                         'remote = ["1002"]\n')  # fmt: skip
    alice, bob = ("PJSIP/alice",), ("PJSIP/bob",)
    for facts in (
        call("1003", "1002", INSIDE, caller_names=alice, callee_names=bob),
        call("1002", "1003", INSIDE, caller_names=bob, callee_names=alice),
    ):
        assert decide(chosen_ones, facts).record
    other = call("1003", "1002", INSIDE, caller_names=bob, callee_names=alice)
    assert not decide(chosen_ones, other).record


@pytest.mark.parametrize(
    ("facts", "awaits"),
    [
        (call("+4930555555", "+4930123451"), True),
        (call("+33123456789", "+4930123451"), False),
        (call("+4930555555", "+4930123451", callee_names=("PJSIP/2001",)), False),
        (call("+4930555555", "+4930123451", callee_names=("PJSIP/3001",)), False),
        (call("+4930123450", "+33123456789", OUT), False),
        (call("1001", "1002", INSIDE), False),
        (call("+4930555555", "+4930123451", wish=Wish(forbid=True)), False),
    ],
)
def test_a_call_waits_for_its_user_where_only_the_user_is_missing(facts: CallFacts, awaits: bool) -> None:
    assert decide(policy(), facts).awaits_user is awaits


@pytest.mark.parametrize("wish", [Wish(), Wish(force=True)])
def test_an_exception_of_a_later_setting_does_not_end_the_wait_for_a_user(wish: Wish) -> None:
    """Whoever asks before the user is known must not be told that the call stays unrecorded."""
    both = policy(
        '[[exception_list]]\nname = "family"\nentries = [{ number = "+4930555555" }]\n'
        '[[setting]]\nname = "Of 1001"\ndirections = ["inbound"]\nusers = ["1001"]\n'
        '[[setting]]\nname = "All"\ndirections = ["inbound"]\nexceptions = ["family"]\n'
    )
    facts = call("+4930555555", "+4930123451", wish=wish)
    assert (decide(both, facts).reason, decide(both, facts).awaits_user) == ("exception", True)
    rung = replace(facts, callee_names=("PJSIP/1001",))
    assert decide(both, rung).setting == "Of 1001"
    other = replace(facts, callee_names=("PJSIP/1002",))
    assert (decide(both, other).reason, decide(both, other).awaits_user) == ("exception", False)


def test_every_setting_looked_at_is_told_in_order() -> None:
    steps = decide(policy(), call("1003", "1004", INSIDE)).steps
    assert [step.split('"')[1] for step in steps] == ["Old", "Sales", "Hotline", "Inside"]
    assert "switched off" in steps[0]
    assert "inbound and outbound calls, this one is internal" in steps[1]
    assert "matches" in steps[3]


@pytest.mark.parametrize(
    ("wish", "facts", "reason", "setting"),
    [
        (Wish(forbid=True), call(), "forbidden", None),
        (Wish(forbid=True, force=True, setting="Sales"), call(), "forbidden", None),
        (Wish(force=True), call(), "forced", "Sales"),
        (Wish(force=True), call("1004", "1005", INSIDE), "forced", "Sales"),
        (Wish(force=True), call("1001", "*1", OUT), "forced", "Sales"),
        (Wish(force=True), call("030999999", "1001"), "exception", "Sales"),
        (Wish(force=True), call("030999999", "1005"), "exception", "Sales"),
        (Wish(setting="Hotline"), call("1004", "1005", INSIDE), "chosen", "Hotline"),
        (Wish(setting="Sales"), call("030999999", "1001"), "exception", "Sales"),
        (Wish(setting="Old"), call(), "setting-disabled", None),
        (Wish(setting="sales"), call(), "unknown-setting", None),
        (Wish(setting="", force=True), call(), "unknown-setting", None),
    ],
)
def test_the_dialplans_wish_comes_first(
    wish: Wish, facts: CallFacts, reason: str, setting: str | None
) -> None:
    decision = decide(policy(), replace(facts, wish=wish))
    assert (decision.reason, decision.setting) == (reason, setting)


def test_a_wrong_setting_name_is_answered_with_the_right_one() -> None:
    because = decide(policy(), call(wish=Wish(setting="sals\n"))).because
    assert because == 'The dialplan chose setting "sals�", which does not exist; did you mean "Sales"?'
    assert decide(policy(""), call(wish=Wish(setting="x"))).because.endswith("none is defined.")


def test_force_needs_a_setting_that_is_switched_on() -> None:
    off = policy('[[setting]]\nname = "x"\nenabled = false\n')
    decision = decide(off, call(wish=Wish(force=True)))
    assert (decision.record, decision.reason) == (False, "no-setting")
    assert "switched on" in decision.because


def test_outside_prefix_of_dialled_numbers() -> None:
    prefixed = policy('outside_prefix = "0"\n' + OFFICE)
    assert decide(prefixed, call("1001", "0030999999", OUT)).reason == "exception"
    assert decide(prefixed, call("0030555555", "1001", IN)).reason == "no-setting"


def test_what_is_journalled_of_the_setting() -> None:
    facts = call()
    got = chosen(policy(), decide(policy(), facts), facts)
    assert got == Chosen(
        "Sales", policy().revision, Start.AFTER_ANNOUNCEMENT, Sides.STEREO, ("archive", "vault"), "recorded"
    )


def test_an_announcement_is_for_its_directions_only() -> None:
    facts = call("1001", "+4930555555", OUT)
    got = chosen(policy(), decide(policy(), facts), facts)
    assert (got.announcement, got.start) == (None, Start.ANSWER)


def test_only_a_recorded_call_has_a_setting_to_journal() -> None:
    for facts in (call("1", "2", INSIDE), call("030999999", "1001")):
        with pytest.raises(ValueError, match="no setting"):
            chosen(policy(), decide(policy(), facts), facts)


# -- what holds for every policy and every call -------------------------------------------------------------

PATTERNS = ["1001", "10??", "+49*", "030999999", "*", "anonymous", "/^0/", "alice", "+4930555555"]
NUMBERS = [*HOSTILE, "", "1001", "1002", "alice", "*1", "#2", "+4930555555", "030999999", "+33123456789"]
NAMES = ["A", "B", "C"]

patterns = st.lists(st.sampled_from(PATTERNS), max_size=2).map(tuple)
settings = st.fixed_dictionaries(
    {
        "enabled": st.booleans(),
        "directions": st.sets(st.sampled_from(list(Direction)), min_size=1).map(lambda found: sorted(found)),
        "users": patterns,
        "remote": patterns,
        "trunk_numbers": patterns,
        "exceptions": st.sampled_from([(), ("few",), ("few", "more")]),
        "feature_codes": st.booleans(),
    }
)
entries = st.lists(st.fixed_dictionaries({"number": st.sampled_from(PATTERNS)}), max_size=2)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    drawn = draw(st.lists(settings, max_size=3))
    return Policy.model_validate(
        {
            "outside_prefix": draw(st.sampled_from([None, "0"])),
            "exception_list": [{"name": name, "entries": draw(entries)} for name in ("few", "more")],
            "setting": [{"name": name, **values} for name, values in zip(NAMES, drawn, strict=False)],
        }
    )


numbers = st.sampled_from(NUMBERS) | st.text(max_size=20)
wishes = st.builds(
    Wish, st.booleans(), st.booleans(), st.none() | st.sampled_from([*NAMES, "D", "\0"]), st.none()
)
calls = st.builds(
    CallFacts,
    caller=st.builds(Party, numbers, st.text(max_size=5)),
    callee=st.builds(Party, numbers),
    direction=st.sampled_from(Direction),
    at=st.just(AT),
    trunk_number=st.none() | numbers,
    caller_names=st.sampled_from([(), ("PJSIP/1001", "1001"), ("PJSIP/alice",), ("\0", ""), ("/",)]),
    callee_names=st.sampled_from([(), ("PJSIP/1002", "1002"), ("PJSIP/bob",), ("\0", ""), ("/",)]),
    wish=st.just(Wish()) | wishes,
)


@given(policies(), calls)
def test_no_call_is_too_strange(any_policy: Policy, facts: CallFacts) -> None:
    decision = decide(any_policy, facts)
    assert decision.reason in REASONS
    assert decision.record is (decision.reason in ("selected", "chosen", "forced"))
    assert all(text.isprintable() and len(text) < 600 for text in (decision.because, *decision.steps))
    assert decide(any_policy, facts) == decision
    if decision.record:
        assert chosen(any_policy, decision, facts).name == decision.setting


@given(policies(), calls)
def test_the_first_match_wins(any_policy: Policy, facts: CallFacts) -> None:
    facts = replace(facts, wish=Wish())
    decision = decide(any_policy, facts)
    alone = [
        decide(any_policy.model_copy(update={"settings": (setting,)}), facts)
        for setting in any_policy.settings
    ]
    first = next((single for single in alone if single.setting is not None), None)
    if first is None:
        assert decision.setting is None
        assert len(decision.steps) == len(any_policy.settings) or decision.steps == (decision.because,)
    else:
        told = (decision.record, decision.reason, decision.setting, decision.exception_entry)
        assert told == (first.record, first.reason, first.setting, first.exception_entry)


@given(policies(), calls)
def test_an_exception_always_refuses(any_policy: Policy, facts: CallFacts) -> None:
    decision = decide(any_policy, facts)
    everyone = {"name": "few", "entries": [{"number": "*"}]}
    excepted = Policy.model_validate(
        {
            "exception_list": [everyone],
            "setting": [
                {"name": s.name, **_selection(s), "exceptions": ["few"]} for s in any_policy.settings
            ],
            "outside_prefix": any_policy.outside_prefix,
        }
    )
    refused = decide(excepted, facts)
    assert not refused.record
    if decision.record:
        assert (refused.reason, refused.setting) == ("exception", decision.setting)


def _selection(setting: object) -> dict[str, object]:
    keys = ("enabled", "directions", "users", "remote", "trunk_numbers", "feature_codes")
    return {key: getattr(setting, key) for key in keys}


@given(policies(), calls)
def test_forbidding_always_wins(any_policy: Policy, facts: CallFacts) -> None:
    wish = replace(facts.wish, forbid=True)
    assert decide(any_policy, replace(facts, wish=wish)).reason == "forbidden"


@given(policies(), numbers, numbers, st.none() | st.sampled_from(Direction), wishes)
def test_explain_agrees_with_decide(
    any_policy: Policy, frm: str, to: str, direction: Direction | None, wish: Wish
) -> None:
    explained = explain(any_policy, frm, to, direction, AT, wish=wish)
    assert explained.decision == decide(any_policy, explained.facts)
    assert (explained.chosen is not None) is explained.decision.record
    assert all(line.isprintable() for line in explained.lines())
    assert direction is None or explained.facts.direction is direction


@given(policies())
def test_every_setting_can_be_described(any_policy: Policy) -> None:
    for setting in any_policy.settings:
        text = describe(any_policy, setting)
        assert text.startswith(("Records", "Switched off."))
        assert text.endswith(".")


def test_a_setting_may_be_for_some_pbxs_only() -> None:
    limited = OFFICE.replace('name = "Sales"\n', 'name = "Sales"\npbx = ["berlin", "bonn"]\n', 1)
    rules = policy(limited)
    (setting,) = [each for each in rules.settings if each.name == "Sales"]
    assert "on the PBX berlin or bonn" in describe(rules, setting)
    facts = call("+4930555555", "1001")
    for pbx, taken in (("berlin", True), ("bonn", True), ("hamburg", False), ("", False)):
        steps = " ".join(decide(rules, replace(facts, pbx=pbx)).steps)
        assert ("it is for the PBX berlin or bonn" in steps) is not taken, (pbx, steps)
    explained = explain(rules, "+4930555555", "1001", IN, AT, pbx="hamburg")
    assert any("this call is on hamburg" in line for line in explained.lines())
