"""Why is a call recorded, or not? The same rules as for a real call, with their reasons (FEATURES R10)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ..config.problems import suggestion
from ..model.call import CallFacts, Decision, Direction, Party, Wish
from ..model.errors import ConfigError
from ..model.recording import Chosen, OnFailure
from .decide import chosen, decide
from .describe import FAILING
from .numbers import NumberKind
from .policy import Policy, Trunk
from .trunks import holds


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would happen to a call. `lines()` is for people; the fields are for machines."""

    facts: CallFacts
    decision: Decision
    chosen: Chosen | None
    """How it would be recorded; None when it would not be."""
    assumptions: tuple[str, ...]
    """What was guessed because it was not given, as sentences."""
    prevented: str = ""
    """Why a call that the rules would record is not: a sentence, or empty."""

    def lines(self) -> tuple[str, ...]:
        """The explanation step by step, the verdict last."""
        facts, decision = self.facts, self.decision
        call = f"{facts.direction.capitalize()} call from {_shown(facts.caller)} to {_shown(facts.callee)}"
        through = f" through trunk {facts.trunk}" if facts.trunk else ""
        steps = [f"{number}. {step}" for number, step in enumerate(decision.steps, 1)]
        verdict = (
            f"{'Recorded' if decision.record else 'Not recorded'} ({decision.reason}): {decision.because}"
        )
        if self.prevented:
            verdict = f"Not recorded (not-announced): {self.prevented}"
        return (
            f"{call}{through}, policy {decision.revision or 'without revision'}.",
            *self.assumptions,
            *steps,
            *self._how(),
            verdict,
        )

    def _how(self) -> tuple[str, ...]:
        if self.chosen is None:
            return ()
        targets = ", ".join(self.chosen.targets) or "no target, it stays on the recorder"
        heard = f', announcement "{self.chosen.announcement}"' if self.chosen.announcement else ""
        kept = f"Kept from {self.chosen.start}, sides {self.chosen.sides}{heard}, to: {targets}."
        if self.chosen.on_failure is OnFailure.CARRY_ON:
            return (kept,)
        return (kept, f"If it cannot be recorded, {FAILING[self.chosen.on_failure]}.")


def explain(
    policy: Policy,
    frm: str,
    to: str,
    direction: Direction | None = None,
    at: datetime | None = None,
    trunk: str | None = None,
    wish: Wish | None = None,
    *,
    pbx: str = "",
    trunk_number: str | None = None,
    from_user: str | None = None,
    to_user: str | None = None,
) -> Explanation:
    """What the policy says of a call between two numbers, written in any way.

    What is not given is guessed from the numbers and the trunks' own numbers, and the guess is stated.
    `trunk_number`: dialled by an outside caller, or shown to the one who is called; `from_user`, `to_user`:
    endpoints. Raises ConfigError `config.reference` for a trunk that the policy does not know.
    """
    wish = wish or Wish()
    line = _trunk(policy, trunk)
    assumptions: list[str] = []
    way = direction or wish.direction
    if way is None:
        way, why = _guess(policy, frm, to, line)
        assumptions.append(f"Direction not given, taken as {way}: {why}.")
    own = None if way is Direction.INTERNAL else trunk_number or (to if way is Direction.INBOUND else frm)
    if line is None and own is not None:
        line = _trunk_with(policy, own)
        if line is not None:
            assumptions.append(f"Trunk not given, taken as {line.name}: it holds {_shown(Party(own))}.")
    facts = CallFacts(
        caller=Party(frm),
        callee=Party(to),
        direction=way,
        at=at or datetime.now(UTC),
        trunk=line.name if line is not None else None,
        trunk_number=trunk_number or (own if own is not None and _is_public(policy, own) else None),
        caller_names=(from_user,) if from_user else (),
        callee_names=(to_user,) if to_user else (),
        wish=wish,
        pbx=pbx,
    )
    decision = decide(policy, facts)
    how = chosen(policy, decision, facts) if decision.record else None
    prevented = _unannounced(policy, facts, how) if how is not None else ""
    return Explanation(facts, decision, how, tuple(assumptions), prevented)


def _unannounced(policy: Policy, facts: CallFacts, how: Chosen) -> str:
    """Why the announcement that is a condition cannot be played in such a call; empty where it can."""
    if how.announcement is None or not policy.announcement_required(how.name):
        return ""
    if facts.direction is not Direction.INBOUND:
        return (
            f'Setting "{how.name}" requires an announcement, and none can be played in an '
            f"{facts.direction} call."
        )
    # What the gate knows: what was dialled. Who will be rung shows when the dialplan has gone on.
    dialled = facts.trunk_number or (facts.callee.number if _is_public(policy, facts.callee.number) else "")
    at_gate = replace(facts, callee=Party(dialled), callee_names=())
    decision = decide(policy, at_gate)
    if decision.record and chosen(policy, decision, at_gate).announcement is not None:
        return ""
    known = f"that {_shown(Party(dialled))} was dialled" if dialled else "what was dialled"
    return (
        f'Setting "{how.name}" requires an announcement and is for certain users, but the gate only knows '
        f"{known}, not who will be rung: none is played. Ask there for setting={how.name}, or state by "
        "--trunk-number what the trunk hands in."
    )


def _trunk(policy: Policy, name: str | None) -> Trunk | None:
    if name is None:
        return None
    trunk = policy.trunk(name)
    if trunk is None:
        hint = suggestion(name, [known.name for known in policy.trunks], "defined")
        raise ConfigError("config.reference", f'No trunk is called "{name[:80]}"; {hint}')
    return trunk


def _trunk_with(policy: Policy, number: str) -> Trunk | None:
    return next((trunk for trunk in policy.trunks if holds(policy, trunk, number)), None)


def _is_public(policy: Policy, number: str) -> bool:
    return policy.numbering.read(number).kind is NumberKind.PUBLIC


def _guess(policy: Policy, frm: str, to: str, trunk: Trunk | None) -> tuple[Direction, str]:
    from_inside, to_inside = _inside(policy, frm), _inside(policy, to)
    if to_inside and not from_inside:
        return Direction.INBOUND, f"{_shown(Party(to))} is the PBX's own number, {_shown(Party(frm))} is not"
    if from_inside and not to_inside:
        return Direction.OUTBOUND, f"{_shown(Party(frm))} is the PBX's own number, {_shown(Party(to))} is not"
    if from_inside and trunk is None:
        return Direction.INTERNAL, "both numbers are the PBX's own"
    if from_inside:
        return Direction.OUTBOUND, "both numbers are the PBX's own, but a trunk was given"
    return Direction.INBOUND, "neither number is known as the PBX's own; name own numbers in [[trunk]]"


def _inside(policy: Policy, text: str) -> bool:
    """Extensions, feature codes, SIP names, and the numbers of the trunks belong to the PBX."""
    kind = policy.numbering.read(text).kind
    return kind not in (NumberKind.PUBLIC, NumberKind.ANONYMOUS) or _trunk_with(policy, text) is not None


def _shown(party: Party) -> str:
    return "".join(c if c.isprintable() else "�" for c in party.number[:64]) or "anonymous"
