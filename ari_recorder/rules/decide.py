"""Is this call recorded, by which setting, and why? Pure: the same policy and facts, the same answer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..config.problems import suggestion
from ..model.call import CallFacts, Decision, Direction
from ..model.recording import Chosen, Start
from .numbers import Number, NumberKind, printable
from .policy import ExceptionEntry, Policy, Setting

REASONS: dict[str, str] = {
    "selected": "Recorded: the first setting that matches the call.",
    "chosen": "Recorded: the dialplan chose the setting by name.",
    "forced": "Recorded: the dialplan asked for it, whatever the settings select.",
    "forbidden": "Not recorded: the dialplan forbade it.",
    "exception": "Not recorded: an exception list of the deciding setting holds the outside party's number.",
    "feature-code": "Not recorded: the call goes to a code that begins with `*` or `#`.",
    "unknown-setting": "Not recorded: the dialplan chose a setting that does not exist.",
    "setting-disabled": "Not recorded: the dialplan chose a setting that is switched off.",
    "no-setting": "Not recorded: no enabled setting matches the call.",
}
"""Every `Decision.reason`. These words never change their meaning."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """One way of looking at a call: whose recording it would be, and who is the other.

    Each party by all the names that it goes by, what was dialled or presented first."""

    local: tuple[Number, ...]
    remote: tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one setting says of a call: the pairs it matches, or why it matches none."""

    pairs: tuple[_Pair, ...] = ()
    why: str = ""
    awaits_user: bool = False


def decide(policy: Policy, facts: CallFacts) -> Decision:
    """What the policy says of a call. Never raises, whatever the numbers are.

    Order: the dialplan's wish (forbid before setting before force), then the settings as they stand in
    the file. The first that matches decides. Its exception lists always refuse, also a forced call.
    """
    wish = facts.wish
    if wish.forbid:
        return _no(policy, "forbidden", "The dialplan forbade to record this call.")
    if wish.setting is not None:
        return _chosen_by_name(policy, facts, wish.setting)
    steps: list[str] = []
    awaited = False
    for setting in policy.settings:
        answer = _ask(policy, setting, facts)
        awaited = awaited or answer.awaits_user
        if answer.pairs:
            reason = "forced" if wish.force else "selected"
            return _so_far(_settled(policy, setting, answer.pairs, reason, steps), awaited)
        steps.append(f'Setting "{setting.name}" does not match: {answer.why}.')
    otherwise = _forced if wish.force else _unselected
    return _so_far(otherwise(policy, facts, steps), awaited)


def chosen(policy: Policy, decision: Decision, facts: CallFacts) -> Chosen:
    """The deciding setting as it stands now, for the journal of a recording.

    An announcement is there only when the setting plays it in calls of this direction; without one,
    `after-announcement` means from the answer on. ValueError when the decision is not to record.
    """
    setting = policy.setting(decision.setting) if decision.record and decision.setting is not None else None
    if setting is None:
        raise ValueError("this decision chose no setting of this policy")
    announcement = setting.announcement
    played = announcement is not None and facts.direction in announcement.directions
    start = setting.start
    return Chosen(
        name=setting.name,
        revision=decision.revision,
        start=Start.ANSWER if start is Start.AFTER_ANNOUNCEMENT and not played else start,
        sides=setting.sides,
        targets=setting.targets,
        announcement=announcement.prompt if announcement is not None and played else None,
        on_failure=setting.on_failure,
        failure_announcement=setting.failure_announcement,
    )


# -- one setting --------------------------------------------------------------------------------------------


def _ask(policy: Policy, setting: Setting, facts: CallFacts) -> _Answer:
    """Which pairs of the call a setting is for; the reason why not stops at the first obstacle."""
    if not setting.enabled:
        return _Answer(why="it is switched off")
    if setting.pbx and facts.pbx not in setting.pbx:
        return _Answer(
            why=f"it is for the PBX {' or '.join(setting.pbx)}, this call is on {facts.pbx or 'another'}"
        )
    if facts.direction not in setting.directions:
        return _Answer(
            why=f"it is for {' and '.join(setting.directions)} calls, this one is {facts.direction}"
        )
    if not setting.feature_codes and _is_feature_code(policy, facts):
        return _Answer(why=f"{printable(facts.callee.number)} is a feature code, which it leaves out")
    if setting.trunk_numbers:
        number = _trunk_number(policy, facts)
        if not _any(policy, setting.trunk_numbers, number):
            return _Answer(why=f"the PBX's number {number} is not among its trunk numbers")
    return _ask_parties(policy, setting, facts)


def _ask_parties(policy: Policy, setting: Setting, facts: CallFacts) -> _Answer:
    everyone = _pairs(policy, facts)
    fitting = tuple(p for p in everyone if not setting.remote or _known(policy, setting.remote, p.remote))
    pairs = tuple(p for p in everyone if not setting.users or _known(policy, setting.users, p.local))
    if not pairs:
        unknown = facts.direction is Direction.INBOUND and not facts.callee_names
        why = "it is for certain users, and none of them is known to take part"
        return _Answer(why=why, awaits_user=unknown and bool(fitting))
    selected = tuple(pair for pair in pairs if pair in fitting)
    if not selected:
        others = " and ".join(dict.fromkeys(str(pair.remote[0]) for pair in pairs))
        return _Answer(why=f"the other party's number {others} is not among those it selects")
    return _Answer(selected)


def _pairs(policy: Policy, facts: CallFacts) -> tuple[_Pair, ...]:
    """One pair for a call with the outside; two for an internal call, where either party may be the user."""
    numbering = policy.numbering
    outbound = facts.direction is Direction.OUTBOUND
    dialled = numbering.read(facts.callee.number, dialled=facts.direction is not Direction.INBOUND)
    caller = (numbering.read(facts.caller.number), *_names(policy, facts.caller_names))
    callee = (dialled, *_names(policy, facts.callee_names))
    if facts.direction is Direction.INTERNAL:
        return (_Pair(callee, caller), _Pair(caller, callee))
    return (_Pair(caller, callee) if outbound else _Pair(callee, caller),)


def _names(policy: Policy, names: tuple[str, ...]) -> tuple[Number, ...]:
    """An endpoint counts with its technology (`PJSIP/alice`) and without."""
    written = dict.fromkeys(form for name in names for form in (name, name.split("/", 1)[-1]) if form)
    return tuple(policy.numbering.read(form) for form in written)


def _known(policy: Policy, patterns: tuple[str, ...], party: tuple[Number, ...]) -> bool:
    return any(_any(policy, patterns, name) for name in party)


def _any(policy: Policy, patterns: tuple[str, ...], number: Number) -> bool:
    return any(policy.pattern(text).matches(number) for text in patterns)


def _trunk_number(policy: Policy, facts: CallFacts) -> Number:
    """The PBX's own public number: as known, else what an outside caller dialled or an own one shows."""
    return policy.numbering.read(facts.trunk_number or facts.local.number)


def _is_feature_code(policy: Policy, facts: CallFacts) -> bool:
    return policy.numbering.read(facts.callee.number).kind is NumberKind.FEATURE_CODE


# -- the verdict --------------------------------------------------------------------------------------------


def _settled(
    policy: Policy, setting: Setting, pairs: tuple[_Pair, ...], reason: str, steps: list[str]
) -> Decision:
    """The setting decides: its exception lists first."""
    for name in setting.exceptions:
        for known_as in (number for pair in pairs for number in pair.remote):
            entry = policy.excepted(name, known_as)
            if entry is not None:
                return _refused(policy, setting, name, entry, known_as, steps)
    said = f'Setting "{setting.name}" matches: the call is recorded.'
    return Decision(True, reason, _BECAUSE[reason].format(setting.name), policy.revision, setting.name,
                    steps=(*steps, said))  # fmt: skip


_BECAUSE = {
    "selected": 'Setting "{}" is the first that matches.',
    "chosen": 'The dialplan chose setting "{}".',
    "forced": 'The dialplan asked to record this call; setting "{}" says how.',
}


def _refused(
    policy: Policy, setting: Setting, name: str, entry: ExceptionEntry, remote: Number, steps: list[str]
) -> Decision:
    shown = f"{entry.number} ({entry.comment})" if entry.comment else entry.number
    because = f'{remote} is on exception list "{name}" of setting "{setting.name}": {shown}.'
    said = f'Setting "{setting.name}" matches, but its exception list "{name}" holds {remote}: not recorded.'
    return Decision(False, "exception", because, policy.revision, setting.name, name, shown, (*steps, said))


def _chosen_by_name(policy: Policy, facts: CallFacts, name: str) -> Decision:
    """The dialplan's choice by name: what the setting selects is not asked, its exceptions are."""
    setting = policy.setting(name)
    if setting is None:
        hint = suggestion(name, [s.name for s in policy.settings if s.enabled], "defined")
        because = f'The dialplan chose setting "{printable(name)}", which does not exist; {hint}'
        return _no(policy, "unknown-setting", because + ("" if because.endswith("?") else "."))
    if not setting.enabled:
        return _no(policy, "setting-disabled", f'The dialplan chose setting "{name}", which is switched off.')
    return _settled(policy, setting, _pairs(policy, facts), "chosen", [])


def _forced(policy: Policy, facts: CallFacts, steps: list[str]) -> Decision:
    """No setting matches a forced call: the first enabled one says how it is recorded."""
    setting = next((setting for setting in policy.settings if setting.enabled), None)
    if setting is None:
        because = "The dialplan asked to record this call, but no setting is switched on to say how."
        return _no(policy, "no-setting", because, steps)
    steps.append(f'The dialplan forces a recording: the first enabled setting "{setting.name}" is taken.')
    return _settled(policy, setting, _pairs(policy, facts), "forced", steps)


def _unselected(policy: Policy, facts: CallFacts, steps: list[str]) -> Decision:
    if _is_feature_code(policy, facts):
        because = f"{printable(facts.callee.number)} is a feature code, and no setting records those."
        return _no(policy, "feature-code", because, steps)
    because = "No setting matches this call." if policy.settings else "The policy holds no setting."
    return _no(policy, "no-setting", because, steps)


def _so_far(decision: Decision, awaited: bool) -> Decision:
    """Whatever refuses the call, a setting further up may take it once it is known who is rung."""
    return decision if decision.record else replace(decision, awaits_user=awaited)


def _no(policy: Policy, reason: str, because: str, steps: list[str] | None = None) -> Decision:
    return Decision(False, reason, because, policy.revision, steps=tuple(steps or (because,)))
