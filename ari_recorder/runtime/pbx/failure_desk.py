"""Recordings that fail, told to people: log, refusals, and a condition for each PBX (FEATURES C12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from ...capture.commands import Alarm, AllClear, Refuse
from ...model.recording import OnFailure
from .. import presence
from ..conditions import Conditions, Severity

log = structlog.get_logger()

REMEDIES = {
    "journal": "Free space on the spool's disk, or mend it; see docs/howto/when-recording-fails.md.",
    "not-begun": "See Asterisk's log, and ask `ari-recorder check` what is missing.",
    "broken": "Free space for Asterisk's recording folder, and see Asterisk's log.",
}

_DONE = {
    OnFailure.CARRY_ON: "the call goes on",
    OnFailure.ALARM: "the call goes on",
    OnFailure.HANG_UP: "the call is ended",
}


def key(pbx: str) -> str:
    """The condition's key."""
    return f"capture:{pbx}"


class FailureDesk:
    """One condition a PBX, from the first recording that fails to the first that works again.

    A setting that carries on makes it a warning, any other makes it critical.
    """

    def __init__(self, conditions: Conditions, refused: Callable[[str, Refuse], Awaitable[None]]) -> None:
        """`refused` writes the log of refusals; no disk keeps it long."""
        self._conditions = conditions
        self._refused = refused
        self._failing: dict[str, set[str]] = {}
        """PBX → recordings that fail now."""
        self._since: dict[str, datetime] = {}

    async def take(self, pbx: str, news: Alarm | AllClear) -> None:
        """On the event loop."""
        if isinstance(news, AllClear):
            self._clear(pbx, news)
            return
        recording, at = news.recording, presence.now()
        policy = recording.setting.on_failure
        self._failing.setdefault(pbx, set()).add(recording.id)
        self._since.setdefault(pbx, at)
        sentence = (
            f'A call of setting "{recording.setting.name}" fails to be recorded: {news.why.rstrip(".")}.'
        )
        log.error(sentence, action="recording.failing", recording=recording.id, channel=news.channel,
                  failure=news.failure, policy=policy.value, pbx=pbx, code=news.code)  # fmt: skip
        severity = Severity.WARNING if policy is OnFailure.CARRY_ON else Severity.CRITICAL
        known = self._conditions.get(key(pbx))
        if known is None or known.severity is Severity.WARNING:
            self._conditions.begin(key(pbx), news.code, sentence, REMEDIES.get(news.failure, ""), severity)
        because = f"{sentence} By the setting, {_DONE[policy]}."
        await self._refused(pbx, Refuse(news.channel, news.failure, because))

    def _clear(self, pbx: str, news: AllClear) -> None:
        since = self._since.get(pbx)
        if since is None:
            return
        failing = self._failing[pbx]
        failing.discard(news.recording.id)
        # One that works and began later shows that it is over; so does the last of those that failed.
        if news.recording.decided_at > since or not failing:
            del self._since[pbx], self._failing[pbx]
            self._conditions.end(key(pbx))
