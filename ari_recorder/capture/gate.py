"""The gate: a call that waits in Stasis for its announcement, and is always let go again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import Enum, auto

from ..model.recording import Announcement, Recording
from .commands import Command, LetGo, Play
from .ledger import Ledger


class Played(Enum):
    """What became of the announcement."""

    HEARD = auto()
    FAILED = auto()


class Gate:
    """One followed channel's stay in the Stasis application."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.holds_call = False

    @property
    def heard(self) -> bool:
        return any(a.heard for a in self._ledger.recording.announcements)

    @property
    def due(self) -> bool:
        """An announcement is still to be played to a call that waits here."""
        return self.holds_call and self._ledger.recording.setting.announcement is not None and not self.heard

    @property
    def playing(self) -> bool:
        announcements = self._ledger.recording.announcements
        return bool(announcements) and announcements[-1].finished_at is None

    @property
    def compulsory(self) -> bool:
        """Without having heard the announcement the call must not be recorded."""
        setting = self._ledger.recording.setting
        return setting.announcement is not None and self._ledger.world.announcement_required(setting.name)

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
        if not self.holds_call:
            return []
        self.holds_call = False
        recording = self._ledger.recording
        return [LetGo(recording.call.channel, result_variables(result, recording))]

    def _change_last(self, **fields: object) -> None:
        *before, last = self._ledger.recording.announcements
        self._ledger.change(announcements=(*before, replace(last, **fields)))  # type: ignore[arg-type]


def result_variables(result: str, recording: Recording | None) -> Mapping[str, str]:
    """What the dialplan finds after the gate (FEATURES R8).

    `result`: `recording`, `refused`, `failed`, or `noted` for a user's own call, decided once it is dialled.
    """
    values = {"ARI_RECORDER_RESULT": result}
    if recording is not None:
        values |= {"ARI_RECORDER_ID": recording.id, "ARI_RECORDER_SETTING": recording.setting.name}
    return values
