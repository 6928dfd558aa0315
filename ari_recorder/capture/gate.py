"""The gate: a call that waits in Stasis for its announcement, and is always let go again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from ..model.call import Wish
from ..model.recording import Announcement, OnFailure, Recording
from .commands import Command, LetGo, Play
from .ledger import Ledger
from .wish import NOTHING, written

SOON = 6.0
"""Seconds in which a call without prompts is let go whatever happens. Usual is 30 ms; a disk that hangs is
waited for 4 s, and so is a recording that must run first."""

UNKNOWN_WISH = "unknown-wish"
"""Told in ARI_RECORDER_FAILURE of a wish that was not understood, perhaps a `forbid` with a typing error."""


@dataclass(frozen=True, slots=True)
class Stay:
    """How long a call may be in the gate, and what becomes of it then."""

    seconds: float
    strict: bool = False
    """It is ended, not let go."""


class Played(Enum):
    """What became of the announcement."""

    HEARD = auto()
    FAILED = auto()


class Gate:
    """One followed channel's stay in the Stasis application."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.holds_call = False
        self.waits = False
        """The call must not go on before it is recorded, and is not recorded yet."""
        self.closed = False
        """The call is being ended: it goes nowhere any more."""
        self.failure = ""
        """The word of what fails now, if anything does."""
        self.misread = ""
        """UNKNOWN_WISH where the dialplan's wish was not understood."""

    @property
    def heard(self) -> bool:
        return any(a.heard for a in self._ledger.recording.announcements)

    @property
    def due(self) -> bool:
        """An announcement is still to be played to a call that waits here."""
        waits = self.holds_call and not self.closed
        return waits and self._ledger.recording.setting.announcement is not None and not self.heard

    @property
    def playing(self) -> bool:
        announcements = self._ledger.recording.announcements
        return bool(announcements) and announcements[-1].finished_at is None

    @property
    def compulsory(self) -> bool:
        """Without having heard the announcement the call must not be recorded."""
        setting = self._ledger.recording.setting
        return setting.announcement is not None and self._ledger.world.announcement_required(setting.name)

    def stay(self) -> Stay:
        setting, prompts = self._ledger.recording.setting, self._ledger.world.prompts
        named = (prompts.get(name or "") for name in (setting.announcement, setting.failure_announcement))
        seconds = SOON + sum(prompt.seconds for prompt in named if prompt is not None)
        return Stay(seconds, setting.on_failure is OnFailure.HANG_UP)

    def announce(self, at: datetime) -> list[Command]:
        """Begin to play; an empty list when the prompt is not installed on the PBX."""
        recording = self._ledger.recording
        name = recording.setting.announcement or ""
        prompt = self._ledger.world.prompts.get(name)
        if prompt is None:
            return []
        played = (*recording.announcements, Announcement(name, prompt.sha256, at))
        self._ledger.change(announcements=played)
        playback = f"{recording.id}.announcement-{len(played)}"
        return [self._ledger.save(), Play(recording.call.channel, playback, prompt.media)]

    def began(self, at: datetime) -> None:
        """Asterisk says when the announcement really began."""
        self._change_last(started_at=at)

    def ended(self, at: datetime, *, heard: bool) -> Played:
        self._change_last(finished_at=at, heard=heard)
        return Played.HEARD if heard else Played.FAILED

    def let_go(self, result: str) -> list[Command]:
        """Back into the dialplan, with the result in channel variables. Harmless when already gone."""
        if not self.holds_call or self.closed:
            return []
        self.holds_call = self.waits = False
        recording = self._ledger.recording
        return [
            LetGo(recording.call.channel, result_variables(result, recording, self.failure or self.misread))
        ]

    def _change_last(self, **fields: object) -> None:
        *before, last = self._ledger.recording.announcements
        self._ledger.change(announcements=(*before, replace(last, **fields)))  # type: ignore[arg-type]


def result_variables(
    result: str, recording: Recording | None, failure: str = "", wish: Wish = NOTHING
) -> Mapping[str, str]:
    """What the dialplan finds after the gate (FEATURES R8).

    `result`: `recording`, `refused`, `failed`, or `noted`: decided once somebody is called. That is a user's
    own call, or one that only settings for certain users can take.
    `failure`: a word of `capture.failure.Failure`, UNKNOWN_WISH, or `defect`, `overdue` (runtime).
    `wish`: of a call without recording, for a recorder that is restarted before the call is decided.
    """
    values = {"ARI_RECORDER_RESULT": result}
    if wish != NOTHING:
        values["ARI_RECORDER_WISH"] = written(wish)
    if failure:
        values["ARI_RECORDER_FAILURE"] = failure
    if recording is not None:
        values |= {"ARI_RECORDER_ID": recording.id, "ARI_RECORDER_SETTING": recording.setting.name}
    return values
