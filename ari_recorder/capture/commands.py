"""Orders the pure core gives. `ari_recorder/asterisk/orders.py` carries them out.

Orders of one recording are carried out in the order given; those inside `Together` at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..model.call import Side
from ..model.recording import Recording


@dataclass(frozen=True, slots=True)
class TakeSnoop:
    """Create a snoop channel on `channel`: what it says (remote) or what it hears (local)."""

    channel: str
    snoop: str
    side: Side


@dataclass(frozen=True, slots=True)
class Record:
    """Record a snoop, headerless, 16 bit, at its own rate, to Asterisk's recording `name`."""

    snoop: str
    name: str
    rate: int


@dataclass(frozen=True, slots=True)
class StopRecord:
    """Close a running recording and keep its file."""

    name: str


@dataclass(frozen=True, slots=True)
class DropChannel:
    """Hang up a channel of ours (a snoop)."""

    channel: str


@dataclass(frozen=True, slots=True)
class ReadChannel:
    """Read dialplan functions of a channel; answered by `ChannelRead`, never by `CommandFailed`."""

    channel: str
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PollRtp:
    """Read `rtp_statistics` of the channels with the time before and after, and keep them."""

    recording: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Play:
    """Play a prompt to a channel that is in our Stasis application."""

    channel: str
    playback: str
    media: str


@dataclass(frozen=True, slots=True)
class LetGo:
    """Set channel variables, then continue a gated channel in the dialplan."""

    channel: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Save:
    """Journal the recording durably before anything after it is carried out."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class Finish:
    """The recording left the call's hands: captured, failed or refused. Always the last order."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class HangUp:
    """End a call that must not go on unrecorded, with the cause of a temporary failure (42, SIP 503)."""

    channel: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Tell that a recording fails, as its setting says: `channel` learns it by ARI_RECORDER_FAILURE."""

    channel: str
    recording: Recording
    failure: str
    """A word of `capture.failure.Failure`."""
    why: str
    """A sentence."""
    code: str
    """A key of `model.errors.CODES`."""


@dataclass(frozen=True, slots=True)
class AllClear:
    """Tell that a recording works, or works again."""

    channel: str
    recording: Recording


@dataclass(frozen=True, slots=True)
class Refuse:
    """Log that a call is not recorded, and why (FEATURES R6)."""

    channel: str
    reason: str
    because: str


@dataclass(frozen=True, slots=True)
class Misread:
    """Log that words of the dialplan's wish mean nothing."""

    channel: str
    name: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wake:
    """Say `Woke(token)` after so many seconds."""

    token: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Together:
    """Carry these out at the same time, and wait for all."""

    commands: tuple[Command, ...]


Command: TypeAlias = (
    TakeSnoop
    | Record
    | StopRecord
    | DropChannel
    | ReadChannel
    | PollRtp
    | Play
    | LetGo
    | Save
    | Finish
    | HangUp
    | Alarm
    | AllClear
    | Refuse
    | Misread
    | Wake
    | Together
)
