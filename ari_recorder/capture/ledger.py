"""A session's whole memory: the recording as it stands, and the small orders about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Any

from ..model.recording import Note, Recording, Segment, State
from .commands import Save, Wake
from .events import Channel, Snapshot
from .lines import presented


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as Asterisk knows it."""

    media: str
    """`sound:ari-recorder/…`."""
    sha256: str
    seconds: float = 0.0


MOST_NOTES = 1000
"""A party that toggles hold for hours must not fill the journal."""


DEFECT = "this Asterisk leaves out of recordings what arrives late or out of order"
"""ASTERISK.md, "Debian's defect": no remedy brings that back, so each recording made there says it."""


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
    clock: str = ""
    """How far Asterisk's clock is from the recorder's, where that is to stand in the metadata."""
    random: Random = field(default_factory=Random)
    """Spreads polls in time; nothing secret hangs on it."""
    announcement_required: Callable[[str], bool] = _always
    """Whether the named setting forbids to record a call that did not hear its announcement."""
    refused: Callable[[str], bool] = lambda _channel: False
    """Whether the call of this channel was refused for good, perhaps by an earlier life of the recorder."""

    def notes(self, at: datetime) -> tuple[Note, ...]:
        """What is to be known of every recording that begins now."""
        defect = (Note(at, "translator", DEFECT),) if self.reorders_lost else ()
        return (*defect, Note(at, "clock", self.clock)) if self.clock else defect


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

    def defective(self, at: datetime) -> None:
        """This Asterisk turns out to lose frames, or was known to: the recording says so, once."""
        if self.noted("translator") is None:
            self.note(at, "translator", DEFECT)

    def away(self, snapshot: Snapshot, detail: str) -> None:
        """The recorder heard nothing of the call, from when on where that is known, to this snapshot."""
        if self.world.reorders_lost:
            self.defective(snapshot.at)
        known = snapshot.deaf_since is not None and snapshot.deaf_since < snapshot.at
        began = self.recording.call.created_at or self.recording.decided_at
        since = max(snapshot.deaf_since or snapshot.at, min(began, snapshot.at)) if known else snapshot.at
        self.note(since, "away", detail)
        if known and self.recording.notes[-1].what == "away":
            *before, last = self.recording.notes
            self.change(notes=(*before, replace(last, until=snapshot.at)))
        self._who_is_there(snapshot)

    def _who_is_there(self, snapshot: Snapshot) -> None:
        """Who came meanwhile, as by a transfer; whom a note names already is not news."""
        channel = self.recording.call.channel
        there = (m for members in snapshot.bridges.values() if channel in members for m in members)
        named = {note.detail for note in self.recording.notes if note.what == "party"}
        for member in there:
            told = presented(self.world.channels.get(member), member)
            if member != channel and told not in named:
                self.note(snapshot.at, "party", told)

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

    def learn(self, values: Mapping[str, str]) -> None:
        """What dialplan functions say of the followed channel; an empty value says nothing."""
        call = self.recording.call
        secure = values.get("CHANNEL(rtp,secure,audio)")
        self.change_call(
            linkedid=values.get("CHANNEL(linkedid)") or call.linkedid,
            sip_call_id=values.get("CHANNEL(pjsip,call-id)") or call.sip_call_id,
            encrypted=call.encrypted if not secure else secure == "1",
        )

    def answered_meanwhile(self, at: datetime) -> None:
        """When, or whether, the call was answered nobody saw: everything that was captured is kept."""
        first = self.recording.segments[0].remote if self.recording.segments else None
        since = (first.started_at or first.asked_at) if first is not None else None
        since = since or (self.recording.decided_at if first is not None else at)
        self.note(at, "answered", "while the recorder was away: kept from the beginning")
        self.change_call(answered_at=since)

    def begun(self, inherited: int) -> tuple[Segment, ...]:
        """The segments that Asterisk was told to record; of the first `inherited` nobody knows any more."""
        legs = ((s, s.remote.asked_at or s.local.asked_at) for s in self.recording.segments)
        return tuple(s for s, asked in legs if asked or s.number <= inherited)

    def save(self) -> Save:
        return Save(self.recording)

    def wake(self, what: str, seconds: float) -> Wake:
        return Wake(f"{self.recording.id}.{what}", seconds)
