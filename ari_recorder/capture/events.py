"""What the PBX tells the pure core, free of Asterisk's wire format.

`at` is Asterisk's clock (UTC) for everything that Asterisk reported, the recorder's for results of
commands and timers. Which ARI message becomes which event: `ari_recorder/asterisk/ari/events.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..model.call import Party
from .commands import Command


@dataclass(frozen=True, slots=True)
class Channel:
    """A snapshot of a channel, as it stands in every event about it."""

    id: str
    name: str
    """`PJSIP/trunk-berlin-0000002a`, `Local/1@x-00000001;2`, `Snoop/…`."""
    state: str
    """`Down`, `Ring` (calling us), `Ringing` (being called), `Up`, …"""
    caller: Party = field(default_factory=Party)
    connected: Party = field(default_factory=Party)
    exten: str = ""
    context: str = ""
    app: str = ""
    """The dialplan application it is in: `Stasis`, `AppDial` (a dialled leg), …"""
    app_data: str = ""
    created_at: datetime | None = None
    linkedid: str = ""
    """Only where ari.conf has `channelvars=CHANNEL(linkedid)`, else empty."""
    protocol_id: str = ""
    """SIP Call-ID, Asterisk 20 and later."""

    @property
    def endpoint(self) -> str:
        """`PJSIP/trunk-berlin` of `PJSIP/trunk-berlin-0000002a`."""
        return self.name.rsplit("-", 1)[0]

    @property
    def technology(self) -> str:
        return self.name.split("/", 1)[0]


@dataclass(frozen=True, slots=True)
class Event:
    at: datetime


@dataclass(frozen=True, slots=True)
class ChannelEvent(Event):
    channel: Channel


class ChannelCreated(ChannelEvent):
    """A new channel: the earliest moment at which a call is known (2–10 ms after its INVITE)."""


class ChannelChanged(ChannelEvent):
    """State, caller id or connected line changed: compare with what was known."""


@dataclass(frozen=True, slots=True)
class ChannelGone(ChannelEvent):
    cause: int = 0
    cause_text: str = ""


@dataclass(frozen=True, slots=True)
class Dialled(Event):
    """A leg is being called. `status`: "" (begun), RINGING, PROGRESS, ANSWER, BUSY, CANCEL, …"""

    peer: Channel
    caller: Channel | None
    status: str
    dialstring: str = ""


@dataclass(frozen=True, slots=True)
class BridgeEntered(ChannelEvent):
    bridge: str
    members: tuple[str, ...]
    """Channel ids that are with one another in the bridge, the entering one included."""


@dataclass(frozen=True, slots=True)
class BridgeLeft(ChannelEvent):
    bridge: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BlindTransferred(ChannelEvent):
    """`channel` is the transferer."""

    transferee: str | None
    exten: str


@dataclass(frozen=True, slots=True)
class AttendedTransferred(ChannelEvent):
    """`channel` is the transferer's first leg."""

    transferee: str | None
    target: str | None


class Held(ChannelEvent):
    """`channel` put its peer on hold."""


class Unheld(ChannelEvent):
    """`channel` took its peer back."""


@dataclass(frozen=True, slots=True)
class GateEntered(ChannelEvent):
    """A call came in through `Stasis(ari-recorder,…)` and waits until told to continue."""

    arguments: tuple[str, ...]


class GateLeft(ChannelEvent):
    """A channel left Stasis: continued, or hung up in it."""


@dataclass(frozen=True, slots=True)
class SnoopReady(Event):
    snoop: str


@dataclass(frozen=True, slots=True)
class SnoopGone(Event):
    snoop: str


@dataclass(frozen=True, slots=True)
class RecordingEvent(Event):
    name: str


class RecordingStarted(RecordingEvent):
    """The file is open; the first sample follows within 20 ms."""


class RecordingFinished(RecordingEvent):
    """The file is closed."""


@dataclass(frozen=True, slots=True)
class RecordingFailed(RecordingEvent):
    cause: str


@dataclass(frozen=True, slots=True)
class PlaybackStarted(Event):
    playback: str


@dataclass(frozen=True, slots=True)
class PlaybackFinished(Event):
    playback: str
    failed: bool = False


# Results of commands ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChannelRead(Event):
    """Answer to `ReadChannel`: the values of the asked functions; missing where Asterisk had none."""

    channel: str
    values: Mapping[str, str]

    @property
    def formats(self) -> tuple[str, ...]:
        """`(alaw|g722)` of CHANNEL(audionativeformat) as ("alaw", "g722")."""
        raw = self.values.get("CHANNEL(audionativeformat)", "").strip("()")
        return tuple(part for part in raw.split("|") if part)


@dataclass(frozen=True, slots=True)
class CommandFailed(Event):
    """A command was refused or timed out; `code` is a key of `model.errors.CODES`."""

    command: Command
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Journalled(Event):
    """A recording is durable again whose last journalling had failed."""

    journal: str
    """`<recording id>.journal`."""


@dataclass(frozen=True, slots=True)
class Woke(Event):
    """A `Wake` fell due."""

    token: str


# State of the world ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a PBX holds at one moment, read after a (re)connect."""

    at: datetime
    channels: tuple[Channel, ...]
    bridges: Mapping[str, tuple[str, ...]]
    """Bridge id → channel ids that are with one another: no holding bridges (parking lots, music on hold)."""
    live_recordings: frozenset[str]
    """Names of recordings running now."""
    gated: frozenset[str] = frozenset()
    """Ids of the channels that are inside our Stasis application, snoops included."""
    results: Mapping[str, str] = field(default_factory=dict)
    """Channel id → ARI_RECORDER_RESULT, where the gate has set it: a refusal outlives the recorder."""
    wishes: Mapping[str, str] = field(default_factory=dict)
    """Channel id → ARI_RECORDER_WISH, where the gate has set it (`capture.wish.written`)."""
    asterisk_began_at: datetime | None = None
    """Since when this Asterisk runs (its own clock): calls of before ended with the one before it."""
    presumed_dead: bool = False
    """Asterisk gives no sign any more: nothing was read, and nothing is believed to be there."""
    deaf_since: datetime | None = None
    """Since when the recorder had heard nothing, on Asterisk's clock; None where that is not known."""
