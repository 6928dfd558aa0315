"""One recorded call, pure: `handle(event) -> commands`. No clock, no network, no file.

The session follows the outside party's channel for as long as that channel lives, through hold and
transfers. `Microphone` keeps the snoops on it, `Gate` plays the announcement; the session knows the call.
Its whole memory is the ledger's recording, so it can be rebuilt from the journal after a crash or a lost
connection (`capture/reconcile.py`).
"""

from __future__ import annotations

from datetime import datetime

from ..model.call import Direction
from ..model.delivery import Delivery
from ..model.recording import Chosen, Recording, Start, State
from . import events as ev
from .commands import Command, Finish, Play, PollRtp, ReadChannel
from .failure import BEGIN_PATIENCE, Failures
from .gate import Gate, Played
from .ledger import Ledger, Surroundings
from .lines import presented, transfer
from .microphone import Microphone
from .outcome import EXHAUSTED, outcome
from .pair import NATIVE_FORMAT
from .source import Source

CHANNEL_FUNCTIONS = (
    NATIVE_FORMAT,
    "CHANNEL(linkedid)",
    "CHANNEL(rtp,secure,audio)",
    "CHANNEL(pjsip,call-id)",
)
FINISH_PATIENCE = 5.0
"""Seconds that files may take to close after the channel is gone; usual is 20 ms."""
ANNOUNCE_PATIENCE = 1.0
"""Seconds that a waiting caller's announcement waits for the microphones; usual is 30 ms."""


class Session:
    """The pure core of one recording."""

    def __init__(self, recording: Recording, world: Surroundings) -> None:
        self.ledger = Ledger(recording, world)
        self.microphone = Microphone(self.ledger)
        self.gate = Gate(self.ledger)
        self.failures = Failures(self.ledger, self.gate, self.microphone)
        self.source = Source(self.ledger, self.microphone)
        self.done = False
        self.members: tuple[str, ...] = ()
        """Channels now bridged with the followed one."""
        self._ended = False
        self._verdict: State | None = None
        self._inherited = 0
        """So many segments were journalled by an earlier life, which may have begun them without a word."""
        self._blind = False
        """The call may have been answered without the recorder seeing it."""

    @property
    def recording(self) -> Recording:
        return self.ledger.recording

    @property
    def channel(self) -> str:
        return self.recording.call.channel

    # -- orders from the switchboard ---------------------------------------------------------------------

    def begin(self) -> list[Command]:
        """The first orders: journal and microphones; nothing records before the journal is durable."""
        late = self.recording.setting.start is Start.AFTER_ANNOUNCEMENT
        read = ReadChannel(self.channel, CHANNEL_FUNCTIONS)
        commands = [self.ledger.save(), read] if late else self._take("start", read)
        return [*commands, self.poll_later()]

    def enter_gate(self, at: datetime, misread: str = "") -> list[Command]:
        """The call waits in Stasis: announce, then let it go; without announcement at once."""
        self.gate.holds_call, self.gate.misread = True, misread
        if self.gate.playing:
            return []
        if not self.gate.due:
            return [*self._start_late(), *self._go_on()]
        if self.microphone.started and not self.microphone.rolling:
            return [self.ledger.wake("announce", ANNOUNCE_PATIENCE)]
        return self._announce(at)

    def rechosen(self, chosen: Chosen, direction: Direction) -> list[Command]:
        """What the dialplan asked for at the gate, where it is not what was decided at first."""
        before = self.recording
        if (chosen, direction) == (before.setting, before.call.direction):
            return []
        deliveries = tuple(before.delivery(target) or Delivery(target) for target in chosen.targets)
        self.ledger.change(setting=chosen, deliveries=deliveries)
        self.ledger.change_call(direction=direction)
        return [self.ledger.save()]

    def refuse(self, at: datetime, reason: str) -> list[Command]:
        """The call is not to be recorded after all: what was captured is discarded."""
        return [*self._conclude(State.REFUSED, reason), *self._settle(at)]

    def poll_later(self) -> Command:
        return self.ledger.wake("poll", self.ledger.world.random.uniform(0.8, 1.2))

    def resume(self, snapshot: ev.Snapshot) -> list[Command]:
        """Go on after the recorder was away: the journal says what was, the snapshot what is."""
        self.ledger.away(snapshot, "the recorder was not connected until now")
        self._inherited = len(self.recording.segments)
        self.microphone.find(snapshot.live_recordings)
        if self.recording.reason not in (None, EXHAUSTED):
            return self._refused_before(snapshot)
        if not any(channel.id == self.channel for channel in snapshot.channels):
            return self._ended_meanwhile(snapshot.at)
        joined = self.found_joined(snapshot)
        if self._verdict is not None:
            return joined
        return [
            *joined,
            self.ledger.save(),
            ReadChannel(self.channel, CHANNEL_FUNCTIONS),
            self.poll_later(),
            *self._microphone_again(snapshot.at),
            *self._at_gate(snapshot),
        ]

    def found_joined(self, snapshot: ev.Snapshot) -> list[Command]:
        """Who talks with whom, of a call that went on while the recorder was away."""
        bridged = (m for m in snapshot.bridges.values() if self.channel in m)
        self.members = tuple(m for members in bridged for m in members if m != self.channel)
        up = any(channel.id == self.channel and channel.state == "Up" for channel in snapshot.channels)
        self._blind = self._blind or up
        if not self.members or self.recording.call.answered_at is not None:
            return []
        if self.gate.compulsory and not self.gate.heard:
            return self.refuse(snapshot.at, "not-announced")
        self.ledger.answered_meanwhile(snapshot.at)
        return [self.ledger.save()]

    # -- events ------------------------------------------------------------------------------------------

    def handle(self, event: ev.Event) -> list[Command]:
        """Whatever happened, in the order in which it happened; returns what is to be done."""
        if self.done:
            return []
        commands = self.failures.handle(event)
        if commands is None and self.microphone.concerns(event):
            commands = [*self.microphone.handle(event), *self._rolling(event.at)]
        elif commands is None:
            commands = self._woke(event) if isinstance(event, ev.Woke) else self._happened(event)
        return [*commands, *self._settle(event.at)]

    def _rolling(self, at: datetime) -> list[Command]:
        """What waited for the microphones."""
        if not self.microphone.rolling:
            return []
        announce = self._announce(at) if self.gate.due and not self.gate.playing else []
        return [*announce, *(self._go_on() if self.gate.waits else [])]

    def _happened(self, event: ev.Event) -> list[Command]:
        match event:
            case ev.BridgeEntered() | ev.BridgeLeft():
                return self._bridged(event)
            case ev.Held() | ev.Unheld():
                return self._hold(event)
            case ev.BlindTransferred() | ev.AttendedTransferred():
                return self._transferred(event)
            case ev.PlaybackStarted(at=at) if self.gate.playing:
                self.gate.began(at)
            case ev.PlaybackFinished(at=at, failed=failed):
                return self._played(at, heard=not failed)
            case ev.CommandFailed(at=at, command=Play()):
                return self._played(at, heard=False)
            case ev.CommandFailed():
                return self.microphone.command_failed(event)
            case _:
                return self._of_channel(event)
        return []

    def _of_channel(self, event: ev.Event) -> list[Command]:
        match event:
            case ev.Dialled(status="ANSWER", at=at, peer=peer, caller=caller):
                called = peer.id == self.channel
                return self._answered(at, caller if called else peer, is_callee=not called)
            case ev.ChannelRead(channel=self.channel):
                return self._read(event)
            case ev.ChannelChanged(channel=channel) if channel.id == self.channel:
                return self._up(event.at) if channel.state == "Up" else []
            case ev.GateLeft(channel=channel) if channel.id == self.channel:
                self.gate.holds_call = False
            case ev.ChannelGone(channel=channel) if channel.id == self.channel:
                return self._gone(event)
        return []

    def _up(self, at: datetime) -> list[Command]:
        """Asterisk answered the channel: for another party, seen next, or by itself (IVR, voicemail)."""
        if self.recording.call.answered_at is None and not self.ledger.noted("up"):
            self.ledger.note(at, "up", "Asterisk answered the call")
        return [ReadChannel(self.channel, CHANNEL_FUNCTIONS)]

    def _read(self, event: ev.ChannelRead) -> list[Command]:
        self.ledger.learn(event.values)
        return self._codec(event.formats[0], event.at) if len(event.formats) == 1 else []

    def _codec(self, codec: str, at: datetime) -> list[Command]:
        """The one codec that is final now: compare it with what is being recorded."""
        known = self.recording.call.codec
        if known not in (None, codec):
            self.ledger.note(at, "codec", f"{known} → {codec}")
        self.ledger.change_call(codec=codec)
        if self.microphone.is_on(codec):
            return [self.ledger.save()] if known != codec else []
        guarded = self.source.guarded(self.members)
        return self.microphone.retake("codec", at, f"the codec turned out to be {codec}", guarded)

    def _answered(self, at: datetime, other: ev.Channel | None, *, is_callee: bool) -> list[Command]:
        commands: list[Command] = []
        if self.recording.call.answered_at is None:
            if self.gate.compulsory and not self.gate.heard:
                return self.refuse(at, "not-announced")
            self.ledger.change_call(answered_at=at)
            if is_callee and other is not None and other.caller.number:
                self.ledger.change_call(callee=other.caller)
            commands = [self.ledger.save(), *self._start_late()]
        self.source.heard = other.id if other is not None else None
        return [*commands, *self.source.changed(at, "the other party answered", self.members)]

    def _bridged(self, event: ev.BridgeEntered | ev.BridgeLeft) -> list[Command]:
        left = isinstance(event, ev.BridgeLeft) and event.channel.id == self.channel
        others = () if left else tuple(m for m in event.members if m != self.channel)
        joined = [m for m in others if m not in self.members]
        self.members = others
        channels = self.ledger.world.channels
        for member in joined:
            self.ledger.note(event.at, "party", presented(channels.get(member), member))
        if not joined:
            return []
        if self.recording.call.answered_at is None:
            called = self.recording.call.direction is Direction.OUTBOUND
            return self._answered(event.at, channels.get(joined[0]), is_callee=not called)
        known, self.source.heard = self.source.heard, joined[0]
        other = known not in joined
        changed = self.source.changed(event.at, "another party joined", others) if other else []
        return [self.ledger.save(), *changed]

    def _hold(self, event: ev.Held | ev.Unheld) -> list[Command]:
        held = self.source.held = isinstance(event, ev.Held)
        self.ledger.note(event.at, "hold" if held else "unhold", f"by {event.channel.name}")
        # Music has no sequence numbers, so whoever comes back after it is heard again in any case.
        changed = self.source.changed(event.at, "hold", self.members) if held else []
        return [self.ledger.save(), *changed]

    def _transferred(self, event: ev.BlindTransferred | ev.AttendedTransferred) -> list[Command]:
        self.ledger.note(event.at, "transfer", transfer(event, self.ledger.world.channels))
        return [self.ledger.save()]

    # -- announcement ------------------------------------------------------------------------------------

    def _announce(self, at: datetime) -> list[Command]:
        return self.gate.announce(at) or self._unannounced(at, "the prompt is not installed on the PBX")

    def _played(self, at: datetime, *, heard: bool) -> list[Command]:
        if not self.gate.playing:
            return []
        if self.gate.ended(at, heard=heard and self.gate.holds_call) is Played.FAILED:
            return self._unannounced(at, "it was not played to its end")
        return [*self._start_late(), self.ledger.save(), *self._go_on()]

    def _unannounced(self, at: datetime, why: str) -> list[Command]:
        self.ledger.note(at, "announcement-failed", why)
        if self.gate.compulsory:
            return self.refuse(at, "announcement-failed")
        return [*self._start_late(), *self._go_on()]

    def _go_on(self) -> list[Command]:
        """Back into the dialplan; a call that must not take place unrecorded waits until it is recorded."""
        self.gate.waits = self.gate.holds_call and self.failures.strict and not self.microphone.rolling
        return [] if self.gate.waits else self.gate.let_go("recording")

    def _start_late(self) -> list[Command]:
        return [] if self.microphone.started or self._ended else self._take("start")

    def _take(self, why: str, *meanwhile: Command) -> list[Command]:
        return [*self.microphone.take(why, *meanwhile), self.ledger.wake("begin", BEGIN_PATIENCE)]

    # -- timers ------------------------------------------------------------------------------------------

    def _woke(self, event: ev.Woke) -> list[Command]:
        what = event.token.partition(".")[2]
        if what == "poll":
            return [*self.failures.mended(event.at), *self._poll()]
        if what == "finish":
            self.microphone.give_up()
            return []
        if what == "announce":
            return self._announce(event.at) if self.gate.due and not self.gate.playing else []
        if what in ("failure", "journal"):
            return self.failures.hang_up() if what == "failure" else self.failures.journal_again()
        if what == "begin":
            over = self._ended or self._verdict is not None
            return [] if over else self.failures.begin_overdue(event.at)
        return self.microphone.woke(what, event.at)

    def _poll(self) -> list[Command]:
        if self._ended or self._verdict is not None:
            return []
        poll = PollRtp(self.recording.id, (self.channel, *self.members))
        return [poll, ReadChannel(self.channel, (NATIVE_FORMAT,)), self.poll_later()]

    # -- after the recorder was away ---------------------------------------------------------------------

    def _refused_before(self, snapshot: ev.Snapshot) -> list[Command]:
        """The refusal was journalled; whether its orders reached Asterisk nobody knows."""
        self.gate.holds_call = self.channel in snapshot.gated
        return [*self.microphone.give_last_back(), *self.refuse(snapshot.at, self.recording.reason or "")]

    def _ended_meanwhile(self, at: datetime) -> list[Command]:
        self._ended = self._blind = True
        self.microphone.channel_ended()
        if self.recording.call.answered_at is None and self.gate.compulsory and not self.gate.heard:
            return self.refuse(at, "not-announced")
        return [self.ledger.save(), self.ledger.wake("finish", FINISH_PATIENCE), *self._settle(at)]

    def _microphone_again(self, at: datetime) -> list[Command]:
        waits = self.recording.setting.start is Start.AFTER_ANNOUNCEMENT and not self.recording.segments
        waits = waits and not self.gate.heard and not self.members
        if waits and self.recording.setting.announcement:
            return []
        if self.microphone.rolling:
            segment = self.recording.segments[-1]
            return [] if segment.rate else [ReadChannel(segment.remote.snoop, (NATIVE_FORMAT,))]
        lost = self.recording.segments[-1:]
        for segment in lost:
            self.ledger.note(at, "gap", f"segment {segment.number} had ended when the recorder came back")
        return [*self.microphone.give_last_back(), *self._take("resumed" if lost else "start")]

    def _at_gate(self, snapshot: ev.Snapshot) -> list[Command]:
        if self.channel not in snapshot.gated:
            return []
        if self.gate.playing:
            self.gate.ended(snapshot.at, heard=False)
        return self.enter_gate(snapshot.at)

    # -- the end -----------------------------------------------------------------------------------------

    def _gone(self, event: ev.ChannelGone) -> list[Command]:
        self._ended = True
        self.gate.holds_call = False
        self.microphone.channel_ended()
        self.ledger.change_call(ended_at=event.at)
        self.ledger.note(event.at, "ended", f"{event.cause} {event.cause_text}".strip())
        return [self.ledger.save(), self.ledger.wake("finish", FINISH_PATIENCE)]

    def _conclude(self, verdict: State, reason: str) -> list[Command]:
        self._verdict = verdict
        self.ledger.change(reason=reason)
        result = "failed" if verdict is State.FAILED else "refused"
        # Journalled first: whoever takes this recording up again must not take it for one that goes on.
        orders = [self.ledger.save(), *self.gate.let_go(result), *self.microphone.switch_off()]
        return [*orders, self.ledger.wake("finish", FINISH_PATIENCE)]

    def _settle(self, at: datetime) -> list[Command]:
        """Finish when all that was waited for has come."""
        if self.done:
            return []
        commands: list[Command] = []
        if self._verdict is None and not self._ended:
            commands = self.failures.of_microphone(at)
            if self.microphone.exhausted:
                commands += self._conclude(State.FAILED, EXHAUSTED)
        over = self._verdict is not None and not self.failures.ending
        if (self._ended or over) and self.microphone.silent:
            commands += self._finish(at)
        return commands

    def _finish(self, at: datetime) -> list[Command]:
        self.done = True
        begun = self.ledger.begun(self._inherited)
        self.ledger.change(segments=begun)
        if begun and self.recording.call.answered_at is None and (up := self.ledger.noted("up")):
            self.ledger.change_call(answered_at=up.at)
        if self._blind and begun and not self.recording.call.answered_at and self._from_answer:
            self.ledger.answered_meanwhile(at)
        unannounced = self.gate.compulsory and not self.gate.heard
        state, reason = outcome(
            self.recording, self._verdict, captured=bool(begun), unannounced=unannounced, unseen=self._blind
        )
        if self.recording.call.ended_at is None and not self._was_away:
            self.ledger.change_call(ended_at=at)
        self.ledger.recording = self.recording.moved(state, reason=reason)
        sound = state is State.CAPTURED and not self.failures.standing
        clear = [self.failures.all_clear()] if sound else []
        return [*self.gate.let_go("failed"), self.ledger.save(), *clear, Finish(self.recording)]

    @property
    def _from_answer(self) -> bool:
        return self.recording.setting.start is Start.ANSWER

    @property
    def _was_away(self) -> bool:
        """The recorder missed part of the call."""
        return self.ledger.noted("away") is not None
