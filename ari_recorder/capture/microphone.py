"""Keeps exactly one pair of snoops on the followed channel, and takes a new one when it must.

A new pair is taken when the codec's rate turns out otherwise (a snoop's rate is frozen at its creation),
when the source of what is heard changes on a build with Debian's defect, and when Asterisk ended or never
began a recording. The old pair is always gone before the new one comes: overlapping snoops share the
translation path and would keep its fault.

Between the two nobody listens in, and Asterisk may bridge the call natively for that moment. On its way back
it ends any hold, and with it the music (bridge_simple.c, simple_bridge_join; measured on 22, three calls of
ten): so while a party is on hold a guard, a snoop on the other party that nobody records, stands by.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from ..model.call import Side
from ..model.recording import Leg
from . import events as ev
from .commands import Command, DropChannel, Record, StopRecord, TakeSnoop
from .ledger import Ledger
from .pair import Pair, Phase, segment_of

PAIR_PATIENCE = 3.0
"""Seconds in which a pair must roll; usual is 30 ms."""
GONE_PATIENCE = 1.0
"""Seconds in which a pair given back must be gone; usual is 20 ms."""
ORPHAN_PATIENCE = 0.5
"""Seconds between a recording that ends by itself and the news that its channel has."""
ENDED = "Asterisk ended the recording while the call went on"
LATE = "Asterisk did not start the recording in time"
UNEVEN_ATTEMPTS = 3
"""Pairs given back because their two snoops had different rates, before one is recorded as it is."""
SHORT_LIFE = timedelta(seconds=10)
"""Two recordings in a row that Asterisk ended sooner are no accident."""
STILLBORN = timedelta(seconds=3)
"""One that Asterisk ended sooner is none either: on a full disk it lives 2 s, to the first 32 KiB."""
LONGEST_PAUSE = 30.0
"""Seconds between two attempts while Asterisk ends them all."""
MOST_SEGMENTS = 500
"""A party that changes the codec, or toggles hold, for hours must not fill the disk with pairs."""
ATTEMPTS = 5
"""Pairs taken in vain, one after the other, before the recording is given up."""

_RATES = {"alaw": 8000, "ulaw": 8000, "g722": 16000, "gsm": 8000, "g729": 8000, "opus": 48000}


def rate_of(codec: str) -> int | None:
    """Samples per second a codec decodes to in Asterisk; None for one not known here."""
    if codec.startswith("slin"):
        khz = codec.removeprefix("slin")
        return 8000 if not khz else 44100 if khz == "44" else int(khz) * 1000
    return _RATES.get(codec)


class Microphone:
    """The current pair, and why there was another one before."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.pair: Pair | None = None
        self._next: str | None = None
        """Why the next pair is to be taken, while the old one is going."""
        self._failures = 0
        self._uneven = 0
        self._cut = 0
        """Recordings in a row that Asterisk ended while the call went on."""
        self.broken = False
        """Asterisk ends what it begins to record; cleared when one lasts."""
        self.rolled = False
        """A pair has recorded in this life of the recorder."""
        self._guard: str | None = None
        self._off = False

    @property
    def started(self) -> bool:
        return self.pair is not None

    @property
    def rolling(self) -> bool:
        return self.pair is not None and self.pair.phase is Phase.ROLLING

    @property
    def silent(self) -> bool:
        """No file is open any more, nor will one be."""
        return self.pair is None or self.pair.phase in (Phase.CLOSED, Phase.SNOOPING)

    def owns(self, channel: str) -> bool:
        """Whether the channel is a snoop in use."""
        return channel == self._guard or (self.pair is not None and channel in self.pair)

    def concerns(self, event: ev.Event) -> bool:
        """Whether the event is about one of the current pair's snoops or files."""
        if self.pair is None:
            return False
        names = (getattr(event, key, None) for key in ("snoop", "name"))
        if isinstance(event, ev.ChannelRead):
            return event.channel in self.pair
        return any(name in self.pair for name in names if isinstance(name, str))

    # -- taking and giving back --------------------------------------------------------------------------

    def take(self, why: str, *meanwhile: Command) -> list[Command]:
        """Begin a new segment; `meanwhile` is done while its snoops are taken."""
        ledger = self._ledger
        number = len(ledger.recording.segments) + 1
        segment = segment_of(ledger.recording.id, number, ledger.recording.call.codec or "", why)
        self.pair = Pair(segment, ledger.recording.call.channel)
        ledger.change(segments=(*ledger.recording.segments, segment))
        return [*self.pair.open(ledger.save(), *meanwhile), ledger.wake(f"pair-{number}", PAIR_PATIENCE)]

    def find(self, live: frozenset[str]) -> None:
        """Go on with the last segment of an earlier life where both its recordings still run."""
        recording = self._ledger.recording
        if recording.segments and {leg.name for leg in self._last_legs()} <= live:
            self.pair = Pair.found_rolling(recording.segments[-1], recording.call.channel)
            self.rolled = True

    def give_last_back(self) -> list[Command]:
        """End the last segment of an earlier life, whatever became of it; what is gone does not mind."""
        legs = self._last_legs()
        return [*(StopRecord(leg.name) for leg in legs), *(DropChannel(leg.snoop) for leg in legs)]

    def _last_legs(self) -> list[Leg]:
        return [leg for s in self._ledger.recording.segments[-1:] for leg in (s.remote, s.local)]

    def retake(self, why: str, at: datetime, detail: str, guarded: str | None = None) -> list[Command]:
        """Give the pair back; the next one is taken as soon as it is gone. `guarded`: where a guard is."""
        if self.pair is None or self.pair.closed or self._next is not None or self._off:
            return []
        if len(self._ledger.recording.segments) >= MOST_SEGMENTS:
            return []
        self._next = why
        self._ledger.note(at, "retaken", detail)
        guard: list[Command] = []
        if guarded is not None:
            self._guard = f"{self._ledger.recording.id}.guard-{self.pair.segment.number}"
            guard = [TakeSnoop(guarded, self._guard, Side.REMOTE)]
        return [
            *guard,
            *self.pair.close(),
            self._ledger.wake(f"retake-{self.pair.segment.number}", GONE_PATIENCE),
        ]

    def switch_off(self) -> list[Command]:
        """Close what is open and take nothing any more."""
        self._off, self._next = True, None
        return self.pair.close() if self.pair is not None and not self.pair.closed else []

    def channel_ended(self) -> None:
        """The snoops end with the channel they spy on: only their files are still awaited."""
        self._off, self._next = True, None

    def give_up(self) -> None:
        if self.pair is not None:
            self.pair.give_up()

    def is_on(self, codec: str) -> bool:
        """Adopt the final codec where the running pair records it exactly; False when a retake is due."""
        if self.pair is None:
            return True
        segment = self.pair.segment
        rates = {segment.rate, *self.pair.rates.values()} - {0}
        if rates and rate_of(codec) is not None and rates != {rate_of(codec)}:
            # Taken for this very codec and again at another rate: Asterisk wants it so.
            return segment.why == "codec" and segment.codec == codec
        if segment.codec and segment.codec != codec and self.pair.phase is Phase.ROLLING:
            return False
        self.pair.segment = replace(segment, codec=codec)
        self._keep()
        return True

    # -- events ------------------------------------------------------------------------------------------

    def handle(self, event: ev.Event) -> list[Command]:
        """An event that `concerns` the current pair."""
        if self.pair is None:
            return []
        before = self.pair.phase
        commands = self.pair.handle(event)
        if self.pair.uneven and self.pair.phase is Phase.SNOOPING:
            commands += self._even(event.at)
        self._keep()
        after = self.pair.phase
        if self.pair.halved and not self._off and self._next is None:
            return [*commands, self._ledger.wake("orphan", ORPHAN_PATIENCE)]
        if after is before:
            failed = self.pair.failure and after is Phase.SNOOPING
            return [*commands, self._soon()] if failed else [*commands, *self._take_next()]
        if after is Phase.STARTING:
            self._ledger.capturing()
            return [*commands, self._ledger.save()]
        if after is Phase.ROLLING:
            self._failures = self._uneven = 0
            self.rolled = True
            return [*commands, self._ledger.save()]
        if after is Phase.CLOSED and not self._off and self._next is None:
            return [*commands, self._ledger.save(), self._ledger.wake("orphan", ORPHAN_PATIENCE)]
        return [*commands, *self._take_next()]

    def command_failed(self, event: ev.CommandFailed) -> list[Command]:
        """An order about the current pair was refused: it is taken anew before long."""
        ours = isinstance(event.command, TakeSnoop | Record) and event.command.snoop
        if self.pair is None or not ours or ours not in self.pair:
            return []
        self.pair.fail(event.sentence)
        return [self._soon()]

    def woke(self, what: str, at: datetime) -> list[Command]:
        """A timer of this room: `pair-N`, `retake-N` (N being the segment's number) or `orphan`."""
        if self.pair is None or self._off:
            return []
        if what == f"retake-{self.pair.segment.number}" and self._next is not None:
            self.pair.give_up()
            return self._take_next(forced=True)
        orphaned = (self.pair.closed or self.pair.halved) and self._next is None
        if what == "orphan" and orphaned:
            return self._cut_short(at)
        if what == "again" and orphaned:
            return self._again(at, ENDED)
        overdue = self.pair.phase in (Phase.SNOOPING, Phase.STARTING)
        if what == f"pair-{self.pair.segment.number}" and overdue:
            return self._again(at, self.pair.failure or LATE)
        return []

    def lasts(self, at: datetime) -> bool:
        """Whether the running pair has lived long enough to be trusted. `at`: the recorder's clock."""
        asked = [leg.asked_at for leg in self.pair.legs if leg.asked_at] if self.pair is not None else []
        if not self.rolling or at - max(asked, default=at) < SHORT_LIFE:
            return False
        self._cut, self.broken = 0, False
        return True

    @property
    def trouble(self) -> str | None:
        """Why the last pair that failed did."""
        gap = next((n for n in reversed(self._ledger.recording.notes) if n.what == "gap"), None)
        return gap.detail if gap is not None else None

    @property
    def exhausted(self) -> bool:
        """So many pairs failed one after the other that no more will be tried."""
        return self._failures > ATTEMPTS

    def _even(self, at: datetime) -> list[Command]:
        """Nothing is recorded yet, so a pair whose snoops differ in rate is given back at no loss."""
        if self.pair is None or self._next is not None:
            return []
        if self._uneven >= UNEVEN_ATTEMPTS:
            return self.pair.record(at)
        self._uneven += 1
        return self.retake(self.pair.segment.why, at, "the rates of the two snoops differ")

    def _lived(self) -> timedelta:
        """How long the pair had recorded when it was cut, by Asterisk's clock."""
        legs = self.pair.legs if self.pair is not None else ()
        begun = [leg.started_at for leg in legs if leg.started_at]
        ended = [leg.finished_at for leg in legs if leg.finished_at]
        return min(ended) - min(begun) if begun and ended else timedelta()

    def _cut_short(self, at: datetime) -> list[Command]:
        """Asterisk ended the recording by itself: at once another one, and ever more slowly when it does so
        again and again."""
        lived = self._lived()
        self._cut = self._cut + 1 if lived < SHORT_LIFE else 1
        self.broken = self.broken or self._cut > 1 or lived < STILLBORN
        if self._cut == 1:
            return self._again(at, ENDED)
        return [self._ledger.wake("again", min(LONGEST_PAUSE, 2.0 ** (self._cut - 2)))]

    def _again(self, at: datetime, cause: str) -> list[Command]:
        self._failures += 1
        if len(self._ledger.recording.segments) >= MOST_SEGMENTS:
            self._failures = ATTEMPTS + 1
        self._ledger.note(at, "gap", cause)
        old = self.pair.close() if self.pair is not None and not self.pair.closed else []
        if self.exhausted:
            return old
        return [*old, *self.take("resumed")]

    def _take_next(self, *, forced: bool = False) -> list[Command]:
        gone = self.pair is not None and self.pair.closed and self.pair.gone
        if self._off:
            return self._unguarded()
        if self._next is None or not (gone or forced):
            return []
        why, self._next = self._next, None
        return [*self.take(why), *self._unguarded()]

    def _unguarded(self) -> list[Command]:
        guard, self._guard = self._guard, None
        return [DropChannel(guard)] if guard is not None else []

    def _soon(self) -> Command:
        number = self.pair.segment.number if self.pair is not None else 0
        return self._ledger.wake(f"pair-{number}", 0.2)

    def _keep(self) -> None:
        if self.pair is not None:
            segments = self._ledger.recording.segments
            self._ledger.change(segments=(*segments[:-1], self.pair.segment))
