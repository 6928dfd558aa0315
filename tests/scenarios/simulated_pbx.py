"""A PBX made of text: it obeys the switchboard's orders at once and tells what a real one would tell.

Scenarios read like a script of the call; `disobey` makes single orders fail or stay unanswered.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from ari_recorder.capture import commands as cmd
from ari_recorder.capture import events as ev
from ari_recorder.capture.ledger import Prompt, Surroundings
from ari_recorder.capture.switchboard import Order, Switchboard
from ari_recorder.model.call import CallFacts, Decision, Party
from ari_recorder.model.recording import Chosen, Recording, Start

BEGIN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass
class Rules:
    """A judge that says what the scenario wants."""

    record: bool = True
    start: Start = Start.RING
    announcement: str | None = None
    targets: tuple[str, ...] = ("archive",)
    asked: list[CallFacts] = field(default_factory=list)

    def trunk_of(self, endpoint: str) -> str | None:
        return "berlin" if endpoint.startswith("PJSIP/trunk") else None

    def decide(self, facts: CallFacts) -> Decision:
        self.asked.append(facts)
        record = (self.record or facts.wish.force) and not facts.wish.forbid
        reason = "selected" if record else "forbidden" if facts.wish.forbid else "no-setting"
        return Decision(record, reason, reason, "r1", setting="all" if record else None)

    def chosen(self, decision: Decision, facts: CallFacts) -> Chosen:
        return Chosen(
            decision.setting or "",
            "r1",
            start=self.start,
            targets=self.targets,
            announcement=self.announcement,
        )


class SimulatedPbx:
    """Carries out orders and feeds the consequences back, in order, with a clock of its own."""

    def __init__(self, rules: Rules | None = None, *, reorders_lost: bool = False) -> None:
        self.now = BEGIN
        self.rules = rules or Rules()
        prompts = {"consent": Prompt("sound:ari-recorder/consent", "ab" * 32)}
        world = Surroundings(prompts, {}, reorders_lost=reorders_lost, random=random.Random(1))
        ids = iter(f"rec{n}" for n in range(1, 1000))
        self.board = Switchboard("pbx", self.rules, lambda _at: next(ids), world)
        self.formats: dict[str, str] = {}
        self.snoop_rate: dict[str, str] = {}
        self.disobey: Callable[[cmd.Command], bool | None] = lambda _command: None
        self.script: list[cmd.Command] = []
        self.saved: dict[str, Recording] = {}
        self.finished: list[Recording] = []
        self.refusals: list[cmd.Refuse] = []
        self.let_go: dict[str, dict[str, str]] = {}
        self.timers: list[tuple[datetime, str]] = []
        self.open_files: dict[str, str] = {}
        self.snoops: dict[str, str] = {}
        self.channels: dict[str, ev.Channel] = {}
        self.bridge: tuple[str, ...] = ()
        self.playing: str | None = None
        self._inbox: deque[ev.Event] = deque()

    # -- the scenario's verbs -----------------------------------------------------------------------

    def inbound(self, number: str = "+4915112345678", dialled: str = "4930100", fmt: str = "(alaw)") -> str:
        channel = ev.Channel("in-1", "PJSIP/trunk-berlin-00000001", "Ring", Party(number), exten=dialled)
        return self.create(channel, fmt)

    def create(self, channel: ev.Channel, fmt: str = "(alaw)") -> str:
        self.channels[channel.id] = channel
        self.formats[channel.id] = fmt
        self.tell(ev.ChannelCreated(self.now, channel))
        return channel.id

    def dial(self, caller: str, peer: ev.Channel, status: str = "", dialstring: str = "") -> None:
        if peer.id not in self.channels:
            self.create(peer)
        self.tell(ev.Dialled(self.now, self.channels[peer.id], self.channels[caller], status, dialstring))

    def answer(self, caller: str, peer: ev.Channel) -> None:
        if peer.id not in self.channels:
            self.dial(caller, peer)
        self.change(peer.id, "Up")
        self.dial(caller, peer, "ANSWER")
        self.change(caller, "Up")
        self.join(caller, peer.id)

    def change(self, channel_id: str, state: str) -> None:
        self.channels[channel_id] = replace(self.channels[channel_id], state=state)
        self.tell(ev.ChannelChanged(self.now, self.channels[channel_id]))

    def join(self, *channels: str) -> None:
        for channel in channels:
            self.bridge = (*self.bridge, channel)
            self.tell(ev.BridgeEntered(self.now, self.channels[channel], "b1", self.bridge))

    def leave(self, channel: str) -> None:
        self.bridge = tuple(m for m in self.bridge if m != channel)
        self.tell(ev.BridgeLeft(self.now, self.channels[channel], "b1", self.bridge))

    def gate(self, channel: str, *arguments: str) -> None:
        self.tell(ev.GateEntered(self.now, self.channels[channel], arguments))

    def hang_up(self, channel: str) -> None:
        gone = self.channels.pop(channel)
        for snoop in [s for s, spied in self.snoops.items() if spied == channel]:
            self._end_snoop(snoop)
        self._inbox.append(ev.ChannelGone(self.now, gone, 16, "Normal Clearing"))
        self._run()

    def tell(self, event: ev.Event) -> None:
        self._inbox.append(event)
        self._run()

    def pass_time(self, seconds: float) -> None:
        """Let timers fall due, one after the other."""
        end = self.now + timedelta(seconds=seconds)
        while due := sorted(t for t in self.timers if t[0] <= end):
            self.timers.remove(due[0])
            self.now = max(self.now, due[0][0])
            self.tell(ev.Woke(self.now, due[0][1]))
        self.now = end

    # -- obeying ----------------------------------------------------------------------------------------

    def carry_out(self, orders: list[Order]) -> None:
        for order in orders:
            self._obey(order.command)
        self._run()

    def _run(self) -> None:
        while self._inbox:
            self.now += timedelta(milliseconds=1)
            for order in self.board.handle(self._inbox.popleft()):
                self._obey(order.command)

    def _obey(self, command: cmd.Command) -> None:
        self.script.append(command)
        if isinstance(command, cmd.Together):
            for each in command.commands:
                self._obey(each)
            return
        verdict = self.disobey(command)
        if verdict is False:
            self._inbox.append(ev.CommandFailed(self.now, command, "ari.refused", "Asterisk refused."))
        elif verdict is None:
            self._do(command)

    def _do(self, command: cmd.Command) -> None:
        match command:
            case cmd.TakeSnoop(channel=channel, snoop=snoop):
                if channel not in self.channels:
                    self._inbox.append(ev.CommandFailed(self.now, command, "ari.not-found", "No channel."))
                    return
                self.snoops[snoop] = channel
                rate = {"g722": "slin16"}.get(self.formats[channel].strip("()").split("|")[0], "slin")
                self.snoop_rate[snoop] = rate
                self._inbox.append(ev.SnoopReady(self.now, snoop))
            case cmd.ReadChannel(channel=channel):
                value = (
                    f"({self.snoop_rate[channel]})"
                    if channel in self.snoop_rate
                    else self.formats.get(channel, "")
                )
                self._inbox.append(ev.ChannelRead(self.now, channel, {"CHANNEL(audionativeformat)": value}))
            case cmd.Record(snoop=snoop, name=name) if snoop in self.snoops:
                self.open_files[name] = snoop
                self._inbox.append(ev.RecordingStarted(self.now, name))
            case cmd.StopRecord(name=name) if name in self.open_files:
                del self.open_files[name]
                self._inbox.append(ev.RecordingFinished(self.now, name))
            case cmd.DropChannel(channel=snoop) if snoop in self.snoops:
                self._end_snoop(snoop)
            case cmd.Play(playback=playback):
                self.playing = playback
                self._inbox.append(ev.PlaybackStarted(self.now, playback))
            case _:
                self._note(command)

    def _note(self, command: cmd.Command) -> None:
        match command:
            case cmd.LetGo(channel=channel, variables=variables):
                self.let_go[channel] = dict(variables)
            case cmd.Save(recording=recording):
                self.saved[recording.id] = recording
            case cmd.Finish(recording=recording):
                self.finished.append(recording)
            case cmd.Refuse():
                self.refusals.append(command)
            case cmd.Wake(token=token, seconds=seconds):
                self.timers.append((self.now + timedelta(seconds=seconds), token))
            case _:
                pass

    def playback_ends(self, *, failed: bool = False) -> None:
        assert self.playing is not None
        playback, self.playing = self.playing, None
        self.tell(ev.PlaybackFinished(self.now, playback, failed))

    def _end_snoop(self, snoop: str) -> None:
        self.snoops.pop(snoop, None)
        for name in [n for n, s in self.open_files.items() if s == snoop]:
            del self.open_files[name]
            self._inbox.append(ev.RecordingFinished(self.now, name))
        self._inbox.append(ev.SnoopGone(self.now, snoop))

    def snapshot(self) -> ev.Snapshot:
        gated = frozenset(self.snoops)
        bridges = {"b1": self.bridge} if self.bridge else {}
        living = {channel: told for channel, told in self.let_go.items() if channel in self.channels}
        return ev.Snapshot(
            self.now, tuple(self.channels.values()), bridges, frozenset(self.open_files), gated,
            results={channel: told["ARI_RECORDER_RESULT"] for channel, told in living.items()},
            wishes={channel: told.get("ARI_RECORDER_WISH", "") for channel, told in living.items()},
        )  # fmt: skip


def user(number: str = "1001", channel: str = "user-1") -> ev.Channel:
    """An internal phone's leg that is being called."""
    return ev.Channel(
        channel, f"PJSIP/{number}-00000002", "Down", Party(number, f"User {number}"), app="AppDial"
    )
