"""Two snoops on one channel, from creation to closed files: one segment of a recording.

The order of things is measured, not guessed (ASTERISK.md, "Capture with snoop channels"): both snoops at
once, the rate of each read, both `SnoopReady` awaited (a `record` before it is refused), both recordings at
once, both `RecordingStarted` awaited.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import Enum, auto

from ..model.call import Side
from ..model.recording import Leg, Segment
from . import events as ev
from .commands import (
    Alarm,
    AllClear,
    Command,
    DropChannel,
    Finish,
    ReadChannel,
    Record,
    Save,
    StopRecord,
    TakeSnoop,
    Together,
)

NATIVE_FORMAT = "CHANNEL(audionativeformat)"

_SLIN_RATES = {"slin": 8000, "slin44": 44100} | {
    f"slin{khz}": khz * 1000 for khz in (12, 16, 24, 32, 48, 96, 192)
}


class Phase(Enum):
    SNOOPING = auto()
    STARTING = auto()
    ROLLING = auto()
    CLOSING = auto()
    CLOSED = auto()


def segment_of(recording: str, number: int, codec: str, why: str) -> Segment:
    """A segment not yet begun. Its names carry the recording's id, so that any event finds its way."""

    def leg(side: Side) -> Leg:
        return Leg(name=f"ari-recorder/{recording}/{number}-{side}", snoop=f"{recording}.{number}-{side}")

    return Segment(number, 0, codec, why, leg(Side.REMOTE), leg(Side.LOCAL))


def recording_in(name: str) -> str | None:
    """The recording id inside a snoop's, playback's or Asterisk recording's name of ours."""
    if name.startswith("ari-recorder/"):
        parts = name.split("/")
        return parts[1] if len(parts) == 3 else None
    head, dot, _ = name.partition(".")
    return head if dot else None


def recording_of(command: Command) -> str | None:
    """The recording id that an order is about, where it names one."""
    if isinstance(command, Save | Finish | Alarm | AllClear):
        return command.recording.id
    for key in ("name", "snoop", "playback"):
        value = getattr(command, key, None)
        if isinstance(value, str) and (found := recording_in(value)):
            return found
    return None


def channel_of(command: Command) -> str:
    """The channel that an order is about, "" where it names none."""
    value = getattr(command, "channel", "")
    return value if isinstance(value, str) else ""


class Pair:
    """The state machine of one segment. It gives orders; somebody else carries them out."""

    def __init__(self, segment: Segment, channel: str) -> None:
        self.segment = segment
        self.channel = channel
        self.phase = Phase.SNOOPING
        self.failure: str | None = None
        self.rates: dict[str, int] = {}
        """Each snoop's own rate, frozen at its creation, as far as it is known."""
        self._ready: set[str] = set()
        self._gone: set[str] = set()

    @classmethod
    def found_rolling(cls, segment: Segment, channel: str) -> Pair:
        """The pair of a segment that an earlier life began and that still records."""
        pair = cls(segment, channel)
        pair.phase = Phase.ROLLING
        return pair

    def __contains__(self, name: str) -> bool:
        return any(name in (leg.name, leg.snoop) for leg in self.legs)

    @property
    def legs(self) -> tuple[Leg, Leg]:
        return self.segment.remote, self.segment.local

    @property
    def closed(self) -> bool:
        return self.phase is Phase.CLOSED

    @property
    def uneven(self) -> bool:
        """The channel's formats changed between the two snoops: each hears both sides at the higher rate."""
        return len(set(self.rates.values())) > 1

    @property
    def halved(self) -> bool:
        """Asterisk ended one of the two recordings, the other one goes on."""
        return self.phase is Phase.ROLLING and any(leg.finished_at for leg in self.legs)

    def open(self, journal: Save, *meanwhile: Command) -> list[Command]:
        """Take the snoops while the journal is written: as long as nothing records, nothing can be lost."""
        snoops = (TakeSnoop(self.channel, self.segment.leg(side).snoop, side) for side in (*Side,))
        rates = (ReadChannel(leg.snoop, (NATIVE_FORMAT,)) for leg in self.legs)
        return [Together((journal, *snoops, *meanwhile)), Together((*rates,))]

    def close(self) -> list[Command]:
        """Stop both recordings, then give the snoops back. Closed once both files are."""
        stop: tuple[Command, ...] = ()
        if self.phase in (Phase.STARTING, Phase.ROLLING):
            stop = (Together(tuple(StopRecord(leg.name) for leg in self.legs)),)
            self.phase = Phase.CLOSING
        else:
            self.phase = Phase.CLOSED
        return [*stop, Together(tuple(DropChannel(leg.snoop) for leg in self.legs))]

    def fail(self, why: str) -> None:
        self.failure = self.failure or why

    def handle(self, event: ev.Event) -> list[Command]:
        """Advance on an event about one of the two snoops; `segment` and `phase` tell the result."""
        match event:
            case ev.SnoopReady(snoop=snoop):
                self._ready.add(snoop)
                return [] if self.uneven else self.record(event.at)
            case ev.ChannelRead():
                return self._rated(event)
            case ev.RecordingStarted(at=at, name=name):
                self._leg(name, started_at=at)
                self._advance()
            case ev.RecordingFinished(at=at, name=name):
                self._leg(name, finished_at=at)
                self._advance()
            case ev.RecordingFailed(at=at, name=name, cause=cause):
                self._leg(name, finished_at=at, error=cause)
                self.fail(cause)
                self._advance()
            case ev.SnoopGone(snoop=snoop):
                self._gone.add(snoop)
                self._advance()
        return []

    def give_up(self) -> None:
        """Nothing more will be heard of this pair: take the files as they are."""
        self.phase = Phase.CLOSED

    @property
    def gone(self) -> bool:
        """Both snoop channels are known to have ended (a new pair may be taken)."""
        return len(self._gone) == 2

    def _rated(self, event: ev.ChannelRead) -> list[Command]:
        rate = next((_SLIN_RATES[f] for f in event.formats if f in _SLIN_RATES), None)
        if rate is None:
            self.fail("the snoop channel ended before its rate was known")
            return []
        self.rates[event.channel] = rate
        if self.phase is Phase.SNOOPING or not self.segment.rate:
            self.segment = replace(self.segment, rate=max(self.rates.values()))
        return [] if self.uneven else self.record(event.at)

    def record(self, at: datetime) -> list[Command]:
        """Once both snoops are ready and their rates are known, not before."""
        if self.phase is not Phase.SNOOPING or len(self._ready) < 2 or len(self.rates) < 2:
            return []
        self.phase = Phase.STARTING
        self._ask(at)
        return [Together(tuple(Record(leg.snoop, leg.name, self.segment.rate) for leg in self.legs))]

    def _ask(self, at: datetime) -> None:
        for side in Side:
            leg = replace(self.segment.leg(side), asked_at=at)
            self.segment = self.segment.with_leg(side, leg)

    def _leg(
        self,
        name: str,
        *,
        started_at: datetime | None = None,
        finished_at: datetime | None = None,
        error: str | None = None,
    ) -> None:
        for side in Side:
            leg = self.segment.leg(side)
            if leg.name == name:
                leg = replace(
                    leg,
                    started_at=started_at or leg.started_at,
                    finished_at=finished_at or leg.finished_at,
                    error=error or leg.error,
                )
                self.segment = self.segment.with_leg(side, leg)

    def _advance(self) -> None:
        if all(leg.finished_at for leg in self.legs):
            self.phase = Phase.CLOSED
        elif self.phase is Phase.STARTING and all(leg.started_at for leg in self.legs):
            self.phase = Phase.ROLLING
        elif self.gone and self.phase is Phase.SNOOPING:
            self.phase = Phase.CLOSED
