"""The policy as the switchboard asks it."""

from __future__ import annotations

from dataclasses import replace

from ...model.call import CallFacts, Decision
from ...model.recording import Chosen
from ...rules.decide import chosen, decide
from ...rules.policy import Policy
from ...rules.trunks import trunk_of


class PolicyJudge:
    """Replaced as a whole when the policy changes; running recordings keep what they were decided by."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def trunk_of(self, endpoint: str) -> str | None:
        trunk = trunk_of(self.policy, endpoint)
        return trunk.name if trunk is not None else None

    def decide(self, facts: CallFacts) -> Decision:
        return decide(self.policy, facts)

    def chosen(self, decision: Decision, facts: CallFacts) -> Chosen:
        return chosen(self.policy, decision, facts)

    def announcement_required(self, setting: str) -> bool:
        return self.policy.announcement_required(setting)


class PbxJudge:
    """The same policy for the calls of one PBX: settings may be limited to some."""

    def __init__(self, judge: PolicyJudge, pbx: str) -> None:
        self._judge = judge
        self._pbx = pbx
        self.trunk_of = judge.trunk_of
        self.chosen = judge.chosen

    def decide(self, facts: CallFacts) -> Decision:
        return self._judge.decide(replace(facts, pbx=self._pbx))
