"""A recording from decision to erasure: the document that `recording.json` holds.

Every type is frozen: a change is a new value (`dataclasses.replace`) and is journalled as such.
Times are aware datetimes in UTC. Times named `asterisk_*` or coming from ARI events are Asterisk's clock,
all others the recorder's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from .call import Direction, Party, Side
from .delivery import Delivery
from .evidence import Sealed
from .statement import Entry


class State(StrEnum):
    DECIDED = "decided"
    CAPTURING = "capturing"
    CAPTURED = "captured"
    ASSEMBLED = "assembled"
    SEALED = "sealed"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    EXPIRED = "expired"
    ERASED = "erased"
    FAILED = "failed"
    REFUSED = "refused"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.DECIDED: frozenset({State.CAPTURING, State.CAPTURED, State.FAILED, State.REFUSED}),
    State.CAPTURING: frozenset({State.CAPTURED, State.FAILED, State.REFUSED}),
    State.CAPTURED: frozenset({State.ASSEMBLED, State.FAILED}),
    State.ASSEMBLED: frozenset({State.SEALED, State.FAILED}),
    State.SEALED: frozenset({State.DELIVERING, State.DELIVERED}),
    State.DELIVERING: frozenset({State.DELIVERED}),
    State.DELIVERED: frozenset({State.EXPIRED}),
    State.EXPIRED: frozenset({State.ERASED}),
    State.ERASED: frozenset(),
    State.FAILED: frozenset({State.CAPTURED}),
    State.REFUSED: frozenset(),
}
"""Every permitted arrow. FAILED → CAPTURED is an admin's retry once the cause is mended."""


class Start(StrEnum):
    """From when on a call is kept (FEATURES C4)."""

    RING = "ring"
    ANSWER = "answer"
    AFTER_ANNOUNCEMENT = "after-announcement"


class Sides(StrEnum):
    """Which files a recording becomes (FEATURES C1)."""

    STEREO = "stereo"
    SEPARATE = "separate"
    REMOTE = "remote"
    LOCAL = "local"


class OnFailure(StrEnum):
    """What becomes of a call that cannot be recorded (FEATURES C12)."""

    CARRY_ON = "carry-on"
    """The call goes on; log, metadata and status tell."""
    ALARM = "alarm"
    """The call goes on, and people and programs are told at once."""
    HANG_UP = "hang-up"
    """The call is ended, and told as loudly."""


class Coding(StrEnum):
    """How samples stand in the sealed WAV."""

    ALAW = "alaw"
    ULAW = "ulaw"
    PCM16 = "pcm16"


@dataclass(frozen=True, slots=True)
class Leg:
    """One headerless 16-bit little-endian file at the segment's rate, written by Asterisk."""

    name: str
    """Asterisk's recording name, relative to its recording folder, without extension."""
    snoop: str
    """Channel id of the snoop that feeds it."""
    asked_at: datetime | None = None
    """When it could be ordered: the time of the event that completed the pair, by Asterisk's clock (a snoop
    was ready) or the recorder's (its rate was read). The request's own times stand in `rtp.jsonl`."""
    started_at: datetime | None = None
    """RecordingStarted (Asterisk's clock); the first sample follows within 20 ms (ASTERISK.md)."""
    finished_at: datetime | None = None
    bytes: int | None = None
    """Size once fetched into the spool; 2 bytes a sample."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the call recorded by one pair of snoops at one rate."""

    number: int
    rate: int
    """Samples per second of both legs."""
    codec: str
    """The followed channel's codec during the segment, in Asterisk's words: `alaw`, `ulaw`, `g722`, …"""
    why: str
    """Why this segment begins: `start`, `codec`, `source`, `resumed`."""
    remote: Leg
    local: Leg

    def leg(self, side: Side) -> Leg:
        return self.remote if side is Side.REMOTE else self.local

    def with_leg(self, side: Side, leg: Leg) -> Segment:
        return replace(self, remote=leg) if side is Side.REMOTE else replace(self, local=leg)


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened to a recording, with its time: hold, a new party, a gap, a remedy."""

    at: datetime
    what: str
    """A stable word: `answered`, `hold`, `unhold`, `party`, `transfer`, `codec`, `gap`, `remedy`, …"""
    detail: str = ""
    until: datetime | None = None


ADOPTED = "adopted"
"""The note of a recording that came from another recorder's spool (`ari-recorder spool adopt`)."""


ORPHANED = "orphaned"
"""The note of a recording whose journal was lost and that was made of its legs (`ari-recorder spool
orphans`): of the call only what the legs tell is known."""
RESEALED = "resealed"
"""The note of an adopted recording whose first seal perhaps counts in its own recorder's chain, and perhaps
had not been committed: that chain's log was not there to tell."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One announcement played to the outside party."""

    prompt: str
    sha256: str
    started_at: datetime
    finished_at: datetime | None = None
    heard: bool = False
    """Played to its end."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The setting that decided, as it stood then: later edits of the policy do not change a recording."""

    name: str
    revision: str
    start: Start = Start.RING
    sides: Sides = Sides.STEREO
    targets: tuple[str, ...] = ()
    announcement: str | None = None
    """The prompt to be played to the outside party before the call goes on."""
    on_failure: OnFailure = OnFailure.CARRY_ON
    failure_announcement: str | None = None
    """The prompt that a call hears which is ended because it cannot be recorded."""


@dataclass(frozen=True, slots=True)
class Call:
    """The recorded call's identity and times."""

    pbx: str
    channel: str
    """Id of the followed channel."""
    direction: Direction | None
    """None where nobody knows it any more (`Note` ORPHANED)."""
    caller: Party
    callee: Party
    linkedid: str = ""
    channel_name: str = ""
    trunk: str | None = None
    trunk_number: str | None = None
    created_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    codec: str | None = None
    encrypted: bool | None = None
    """Media of the followed channel was SRTP; None where Asterisk did not say."""
    pbx_version: str | None = None
    sip_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class AudioFile:
    """One assembled WAV in the recording's folder."""

    name: str
    channels: tuple[Side, ...]
    coding: Coding
    rate: int
    samples: int
    """Per channel."""
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Assembled:
    """What assembly made, and every edit it had to make."""

    files: tuple[AudioFile, ...]
    begins_at: datetime
    """Asterisk's clock time of the first sample."""
    seconds: float
    exact: bool
    """No sample was converted, moved or made up except silence between and around segments."""
    edits: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording. `id` is unique for ever and safe as a file name."""

    id: str
    state: State
    decided_at: datetime
    call: Call
    setting: Chosen
    segments: tuple[Segment, ...] = ()
    notes: tuple[Note, ...] = ()
    announcements: tuple[Announcement, ...] = ()
    reason: str | None = None
    """Why it failed or was refused."""
    assembled: Assembled | None = None
    sealed: Sealed | None = None
    deliveries: tuple[Delivery, ...] = ()
    statement: tuple[Entry, ...] = ()
    """Not empty: this is no recording but a statement, and of `call` only the PBX means something."""

    def moved(self, state: State, *, reason: str | None = None) -> Recording:
        """The same recording in a later state; ValueError when no arrow leads there."""
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"recording {self.id} cannot go from {self.state} to {state}")
        return replace(self, state=state, reason=reason)

    def noted(self, note: Note) -> Recording:
        return replace(self, notes=(*self.notes, note))

    def delivery(self, target: str) -> Delivery | None:
        return next((d for d in self.deliveries if d.target == target), None)
