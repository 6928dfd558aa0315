"""A session's whole memory: the recording as it stands, and the small orders about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Any

from ..model.recording import Note, Recording, State
from .commands import Save, Wake
from .events import Channel


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as Asterisk knows it."""

    media: str
    """`sound:ari-recorder/…`."""
    sha256: str
    seconds: float = 0.0


MOST_NOTES = 1000
"""A party that toggles hold for hours must not fill the journal."""


def _always(_setting: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a session may know of the world around it."""

    prompts: Mapping[str, Prompt]
    channels: Mapping[str, Channel]
    """Every channel the switchboard sees now, by id."""
    reorders_lost: bool = False
    """This Asterisk drops frames on a change of source (ASTERISK.md, "Debian's defect")."""
    random: Random = field(default_factory=Random)
    """Spreads polls in time; nothing secret hangs on it."""
    announcement_required: Callable[[str], bool] = _always
    """Whether the named setting forbids to record a call that did not hear its announcement."""


class Ledger:
    """Holds the recording; every change is a new value, journalled by the `Save` that follows it."""

    def __init__(self, recording: Recording, world: Surroundings) -> None:
        self.recording = recording
        self.world = world

    def note(self, at: datetime, what: str, detail: str = "") -> None:
        if len(self.recording.notes) == MOST_NOTES:
            what, detail = "notes-full", "what happened from here on is not noted"
        if len(self.recording.notes) <= MOST_NOTES:
            self.recording = self.recording.noted(Note(at, what, detail))

    def noted(self, what: str) -> Note | None:
        """The first note of that kind."""
        return next((note for note in self.recording.notes if note.what == what), None)

    def capturing(self) -> None:
        """Asterisk was told to record."""
        if self.recording.state is State.DECIDED:
            self.recording = self.recording.moved(State.CAPTURING)

    def change(self, **fields: Any) -> None:
        self.recording = replace(self.recording, **fields)

    def change_call(self, **fields: Any) -> None:
        self.change(call=replace(self.recording.call, **fields))

    def save(self) -> Save:
        return Save(self.recording)

    def wake(self, what: str, seconds: float) -> Wake:
        return Wake(f"{self.recording.id}.{what}", seconds)
