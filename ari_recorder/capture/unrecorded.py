"""Calls that are not recorded: logged as refused once, and not before it is certain for whom they ring."""

from __future__ import annotations

from ..model.call import CallFacts, Decision, Direction
from .commands import Refuse

UP_TO_THE_USER = frozenset({"no-setting", "exception", "feature-code"})
"""Reasons that another user may lift who is rung next, or to whom the call is handed on."""


class Unrecorded:
    """Of one PBX's living channels: what is logged at the call's end, and what is logged already."""

    def __init__(self) -> None:
        self._held: dict[str, Decision] = {}
        self._excepted: set[str] = set()

    def refused(self, channel: str, decision: Decision, facts: CallFacts) -> list[Refuse]:
        """Logged at once, or held where a user who is rung may still have the call recorded."""
        by_user = facts.direction is not Direction.OUTBOUND and bool(facts.callee_names)
        if decision.awaits_user or (by_user and decision.reason in UP_TO_THE_USER):
            self.hold(channel, decision)
            return []
        return self.log(channel, decision)

    def hold(self, channel: str, decision: Decision) -> None:
        """Logged at the call's end, unless it is `recorded` until then."""
        if channel not in self._excepted:
            self._held[channel] = decision

    def recorded(self, channel: str) -> None:
        """What was held is not true any more."""
        self._held.pop(channel, None)

    def log(self, channel: str, decision: Decision) -> list[Refuse]:
        """Logged now; an exception, which each phone that rings would tell anew, once."""
        self._held.pop(channel, None)
        if decision.reason == "exception":
            if channel in self._excepted:
                return []
            self._excepted.add(channel)
        return [Refuse(channel, decision.reason, decision.because)]

    def gone(self, channel: str) -> list[Refuse]:
        """The call is over: nobody was rung for whom it is recorded."""
        decision = self._held.pop(channel, None)
        self._excepted.discard(channel)
        return [Refuse(channel, decision.reason, decision.because)] if decision is not None else []
