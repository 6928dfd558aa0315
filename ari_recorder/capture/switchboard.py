"""Sees every channel of one PBX, asks the rules once for each call, and leads events to their sessions.

Pure: `handle(event)` returns orders, each with the worker that must carry it out. How calls are recognised:

- inbound: a channel of a trunk's endpoint created in state `Ring` (it calls us);
- outbound: a dialled leg on a trunk's endpoint, whether a channel or a program dials it;
- internal: a dialled leg of an ordinary endpoint, called by another ordinary endpoint.

Legs called on behalf of a call that is followed already belong to that call, also through `Local/` channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from ..model.call import CallFacts, Decision, Direction, Wish
from ..model.delivery import Delivery
from ..model.recording import Call, Chosen, Recording, State
from . import calls
from . import events as ev
from .commands import Command, LetGo, Misread, Refuse
from .gate import SOON, UNKNOWN_WISH, Stay, result_variables
from .ledger import Surroundings
from .lines import Lines
from .pair import channel_of, recording_in, recording_of
from .session import Session
from .unrecorded import Unrecorded
from .wish import NOTHING, obeyed, read_wish, read_written


class Judge(Protocol):
    """The rules, as the switchboard needs them."""

    def trunk_of(self, endpoint: str) -> str | None:
        """The trunk's name when the endpoint (`PJSIP/…`) belongs to one."""

    def decide(self, facts: CallFacts) -> Decision: ...

    def chosen(self, decision: Decision, facts: CallFacts) -> Chosen: ...


@dataclass(frozen=True, slots=True)
class Order:
    """A command and the worker (a recording's or a channel's id) in whose order it stands."""

    worker: str
    command: Command


class Switchboard:
    """All calls of one PBX."""

    def __init__(
        self, pbx: str, judge: Judge, new_id: Callable[[datetime], str], world: Surroundings
    ) -> None:
        self.pbx = pbx
        self.judge = judge
        self.lines = Lines()
        self.world = replace(world, channels=self.lines.channels)
        self.sessions: dict[str, Session] = {}
        """Running recordings, by recording id."""
        self.each: Callable[[Callable[[], list[Order]]], list[Order]] = lambda work: work()
        """Tells one session of an event; may be exchanged for one that survives a defect in it."""
        self.pbx_version: str | None = None
        self._new_id = new_id
        self._wishes: dict[str, Wish] = {}
        self._decided: dict[str, CallFacts] = {}
        self._finished: set[str] = set()
        """Living channels whose recording is over (refused or failed): not to be begun again."""
        self._unrecorded = Unrecorded()

    def handle(self, event: ev.Event) -> list[Order]:
        """Whatever the PBX, a timer or a command's result says."""
        self.lines.see(event)
        orders = self._about_calls(event)
        for session in self._concerned(event):
            orders += self.each(lambda told=session: self._ordered(told, told.handle(event)))  # type: ignore[misc]
        if isinstance(event, ev.ChannelGone):
            orders += self._forget(event.channel.id)
        return orders

    # -- which sessions an event is for -----------------------------------------------------------------

    def _concerned(self, event: ev.Event) -> list[Session]:
        match event:
            case ev.SnoopReady(snoop=name) | ev.SnoopGone(snoop=name) | ev.RecordingEvent(name=name):
                return self._named(recording_in(name))
            case ev.PlaybackStarted(playback=name) | ev.PlaybackFinished(playback=name):
                return self._named(recording_in(name))
            case ev.Woke(token=name) | ev.Journalled(journal=name):
                return self._named(recording_in(name))
            case ev.CommandFailed(command=command):
                return self._named(recording_of(command)) or self._following({channel_of(command)})
            case ev.ChannelRead(channel=channel):
                return self._named(recording_in(channel)) or self._following({channel})
            case ev.Dialled(peer=peer, caller=caller):
                return self._following({peer.id, *self.lines.callers_of(peer.id), *_ids(caller)})
            case ev.BridgeEntered(members=members) | ev.BridgeLeft(members=members):
                return self._following({*members, event.channel.id})
            case ev.BlindTransferred(transferee=transferee) | ev.AttendedTransferred(transferee=transferee):
                transferer = event.channel.id
                return self._following({transferee or "", transferer, *self.lines.bridged_with(transferer)})
            case ev.ChannelEvent(channel=channel):
                return self._following({channel.id, *self.lines.bridged_with(channel.id)})
        return []

    def _named(self, recording: str | None) -> list[Session]:
        session = self.sessions.get(recording or "")
        return [session] if session is not None else []

    def _session(self, channel: str) -> Session | None:
        return next(iter(self._following({channel})), None)

    def _following(self, channels: set[str]) -> list[Session]:
        return [s for s in self.sessions.values() if s.channel in channels]

    # -- new calls ------------------------------------------------------------------------------------------

    def _about_calls(self, event: ev.Event) -> list[Order]:
        match event:
            case ev.ChannelCreated(at=at, channel=channel):
                return self._calls_us(at, channel)
            case ev.Dialled(at=at, status="", peer=peer, caller=None):
                return self._originated(at, peer, event.dialstring)
            case ev.Dialled(at=at, status="", peer=peer, caller=caller) if caller is not None:
                return self._called(at, caller, peer, event.dialstring)
            case ev.Dialled(at=at, status="ANSWER", peer=peer, caller=caller) if caller is not None:
                origin = self.lines.origin(caller.id) or caller
                return self._answered_by(at, origin, peer) or self._missed(event, origin, caller)
            case ev.GateEntered(at=at, channel=channel, arguments=arguments):
                return self._at_gate(at, channel, arguments)
        return []

    def decide_late(self, channel: ev.Channel, facts: CallFacts, snapshot: ev.Snapshot) -> list[Order]:
        """A call that began while nobody listened (`capture/reconcile.py`)."""
        orders = self._decide(channel, obeyed(facts, self._asked_before(channel, facts)))
        for session in self._following({channel.id}):
            session.ledger.away(snapshot, "the call began while the recorder was away")
            orders += self._ordered(session, session.found_joined(snapshot))
        return orders

    def _missed(self, event: ev.Dialled, origin: ev.Channel, caller: ev.Channel) -> list[Order]:
        """An internal call that rang already when the recorder came back, and is answered now."""
        channels = {origin.id, caller.id, event.peer.id}
        if channels & self._decided.keys() or "Local" in (origin.technology, event.peer.technology):
            return []
        orders = self._called(event.at, caller, event.peer, event.dialstring)
        for session in self._following(channels):
            session.ledger.note(event.at, "away", "the call began while the recorder was away")
        return orders

    def stays_refused(self, channel: ev.Channel, facts: CallFacts) -> None:
        """What an earlier recorder refused is known, as is what was asked for it, and not begun again."""
        self._decided[channel.id] = obeyed(facts, self._asked_before(channel, facts))
        self._finished.add(channel.id)

    def was_decided(self, channel: str) -> bool:
        return channel in self._decided

    def is_part_of_a_call(self, channel: str) -> bool:
        """A leg that talks with a followed channel, or with one that came from outside and was decided."""
        peers = self.lines.bridged_with(channel)
        decided = (self._decided[peer] for peer in peers & self._decided.keys())
        return bool(self._following(peers)) or any(f.direction is Direction.INBOUND for f in decided)

    def _calls_us(self, at: datetime, channel: ev.Channel) -> list[Order]:
        trunk = self.judge.trunk_of(channel.endpoint)
        if trunk is None or channel.state != "Ring" or channel.id in self._decided:
            return []
        return self._decide(channel, calls.inbound(at, channel, trunk))

    def _called(self, at: datetime, caller: ev.Channel, peer: ev.Channel, dialstring: str) -> list[Order]:
        origin = self.lines.origin(caller.id) or caller
        if self._spoken_for(caller.id) or peer.technology == "Local":
            return self._user_known(at, origin, peer)
        trunk = self.judge.trunk_of(peer.endpoint)
        wish = self._asked(origin.id, caller.id)
        if trunk is not None and peer.id in self._decided:
            return []
        if trunk is not None:
            return self._decide(peer, calls.outbound(at, origin, peer, trunk, dialstring, wish))
        if origin.id in self._decided:
            return self._user_known(at, origin, peer)
        if origin.technology == "Local" or self.judge.trunk_of(origin.endpoint) is not None:
            return []  # a call from outside is decided when it comes in
        return self._decide(origin, calls.internal(at, origin, peer, dialstring, wish))

    def _originated(self, at: datetime, peer: ev.Channel, dialstring: str) -> list[Order]:
        """Called by a program. What the leg does once it is answered, as to dial a user, is this call."""
        trunk = self.judge.trunk_of(peer.endpoint)
        if trunk is None or peer.id in self._decided:
            return []
        return self._decide(peer, calls.originated(at, peer, trunk, dialstring))

    def _user_known(self, at: datetime, origin: ev.Channel, peer: ev.Channel) -> list[Order]:
        """A call that no setting took so far now rings a user: a setting may be for that user."""
        facts = self._rung(origin, peer)
        if facts is None or facts.wish.forbid or origin.id in self._finished or self._session(origin.id):
            return []
        facts = replace(facts, at=at)
        decision = self.judge.decide(facts)
        if not decision.record:
            # Any other reason the first decision told; who is rung next may have it recorded all the same.
            if decision.reason == "exception":
                self._unrecorded.hold(origin.id, decision)
            return []
        self._decided[origin.id] = facts
        session = self._open(origin, facts, self.judge.chosen(decision, facts))
        return self._ordered(session, session.begin())

    def _answered_by(self, at: datetime, origin: ev.Channel, peer: ev.Channel) -> list[Order]:
        """Who answers first has the call (R1, R6): another setting may be for that user, or none."""
        session = self._session(origin.id)
        if session is None:
            return self._user_known(at, origin, peer)
        facts = self._rung(origin, peer)
        if facts is None or session.recording.call.answered_at is not None:
            return []
        if peer.endpoint in self._decided[origin.id].callee_names:
            return []
        decision = self.judge.decide(facts)
        if decision.revision != session.recording.setting.revision:
            return []  # a policy read meanwhile: a running recording keeps what it was decided by
        self._decided[origin.id] = facts
        if decision.record:
            chosen = self.judge.chosen(decision, facts)
            return self._ordered(session, session.rechosen(chosen, facts.direction))
        refused = self._ordered(session, session.refuse(at, decision.reason))
        return [*_logged(self._unrecorded.log(origin.id, decision)), *refused]

    def _rung(self, origin: ev.Channel, peer: ev.Channel) -> CallFacts | None:
        """The facts of a call that was decided, with the user whom this leg rings; None where it rings none,
        or the user is not the one who is called."""
        facts = self._decided.get(origin.id)
        outside = self.judge.trunk_of(peer.endpoint) is not None
        if facts is None or facts.direction is Direction.OUTBOUND or outside or peer.technology == "Local":
            return None
        return calls.rung(facts, peer)

    def _asked(self, *channels: str) -> Wish:
        """What the dialplan asked for on one of them, also for a call that came in or was transferred."""
        wishes = [self._wishes[each] for each in channels if each in self._wishes]
        wishes += [self._decided[each].wish for each in channels if each in self._decided]
        return next((wish for wish in wishes if wish != NOTHING), NOTHING)

    def _asked_before(self, channel: ev.Channel, facts: CallFacts) -> Wish:
        """What was asked before the recorder came back; of a call that goes out, on its caller's channel."""
        if facts.direction is not Direction.OUTBOUND:
            return self._asked(channel.id)
        known = ((each, self.lines.channels.get(each)) for each in self._wishes)
        line = channel.linkedid
        same = (each for each, other in known if line and other is not None and other.linkedid == line)
        return self._asked(channel.id, *self.lines.bridged_with(channel.id), *same)

    def _spoken_for(self, caller: str) -> bool:
        """A leg called for a call whose trunk channel was decided upon already is no call of its own."""
        origin = self.lines.origin(caller)
        ids = {caller, *(_ids(origin))}
        if self._following({*ids, *self.lines.bridged_with(caller)}):
            return True
        return any(self._decided[i].direction is Direction.INBOUND for i in ids & self._decided.keys())

    def _decide(self, channel: ev.Channel, facts: CallFacts) -> list[Order]:
        self._decided[channel.id] = facts
        decision = self.judge.decide(facts)
        if not decision.record:
            return _logged(self._unrecorded.refused(channel.id, decision, facts))
        session = self._open(channel, facts, self.judge.chosen(decision, facts))
        return self._ordered(session, session.begin())

    def _open(self, channel: ev.Channel, facts: CallFacts, chosen: Chosen) -> Session:
        recording = Recording(
            id=self._new_id(facts.at),
            state=State.DECIDED,
            decided_at=facts.at,
            call=Call(
                pbx=self.pbx,
                channel=channel.id,
                direction=facts.direction,
                caller=facts.caller,
                callee=facts.callee,
                linkedid=channel.linkedid,
                channel_name=channel.name,
                trunk=facts.trunk,
                trunk_number=facts.trunk_number,
                created_at=channel.created_at or facts.at,
                pbx_version=self.pbx_version,
                sip_call_id=channel.protocol_id or None,
            ),
            setting=chosen,
            notes=self.world.notes(facts.at),
            deliveries=tuple(Delivery(target) for target in chosen.targets),
        )
        session = Session(recording, self.world)
        self._unrecorded.recorded(channel.id)
        self.sessions[recording.id] = session
        return session

    # -- the gate -----------------------------------------------------------------------------------------

    def _at_gate(self, at: datetime, channel: ev.Channel, arguments: tuple[str, ...]) -> list[Order]:
        wish, unknown = read_wish(arguments)
        told = [Order(channel.id, Misread(channel.id, channel.name, unknown))] if unknown else []
        return [*told, *self._asked_at_gate(at, channel, wish, UNKNOWN_WISH if unknown else "")]

    def _asked_at_gate(self, at: datetime, channel: ev.Channel, wish: Wish, misread: str) -> list[Order]:
        facts = self._decided.get(channel.id)
        trunk = self.judge.trunk_of(channel.endpoint)
        if facts is None and trunk is not None:
            facts = calls.inbound(at, channel, trunk)
        if wish == NOTHING:
            wish = self._asked(channel.id)
        if facts is None:
            self._wishes[channel.id] = wish
            return [Order(channel.id, LetGo(channel.id, result_variables("noted", None, misread, wish)))]
        facts = obeyed(facts, wish)
        self._wishes.pop(channel.id, None)
        known = self._decided.get(channel.id)
        self._decided[channel.id] = facts
        return self._judged_at_gate(at, channel, facts, misread, logged=known == facts)

    def _judged_at_gate(
        self, at: datetime, channel: ev.Channel, facts: CallFacts, misread: str, *, logged: bool
    ) -> list[Order]:
        session = self._session(channel.id)
        if session is not None and logged:
            return self._ordered(session, session.enter_gate(at, misread))
        decision = self.judge.decide(facts)
        if not decision.record:
            over = session is not None or channel.id in self._finished
            decision = replace(decision, awaits_user=decision.awaits_user and not over)
            log = [] if logged else _logged(self._unrecorded.refused(channel.id, decision, facts))
            word = "noted" if decision.awaits_user else "refused"
            result = result_variables(word, None, misread, facts.wish)
            ended = self._ordered(session, session.refuse(at, decision.reason)) if session is not None else []
            return [*ended, *log, Order(channel.id, LetGo(channel.id, result))]
        chosen = self.judge.chosen(decision, facts)
        if session is None:
            session = self._open(channel, facts, chosen)
            commands = [*session.begin(), *session.enter_gate(at, misread)]
        else:
            commands = [*session.rechosen(chosen, facts.direction), *session.enter_gate(at, misread)]
        return self._ordered(session, commands)

    def stay(self, channel: str) -> Stay:
        """How long a call may be in the gate, by what was decided of it."""
        return next((session.gate.stay() for session in self._following({channel})), Stay(SOON))

    # -- housekeeping ---------------------------------------------------------------------------------------

    def resumed(self, session: Session, commands: list[Command]) -> list[Order]:
        """Take a rebuilt session in."""
        self.sessions[session.recording.id] = session
        return self._ordered(session, commands)

    def adopt(self, snapshot: ev.Snapshot) -> list[Order]:
        """Begin anew with what the PBX holds now; nothing is kept of channels that are gone."""
        self.lines.adopt(snapshot)
        known = self._decided.keys() | self._wishes.keys() | self._finished
        orders: list[Order] = []
        for gone in known - self.lines.channels.keys():
            orders += self._forget(gone)
        for channel, wish in snapshot.wishes.items():
            self._wishes.setdefault(channel, read_written(wish))
        return orders

    def _ordered(self, session: Session, commands: list[Command]) -> list[Order]:
        if session.done:
            self.sessions.pop(session.recording.id, None)
            self._finished.add(session.channel)
        return [Order(session.recording.id, command) for command in commands]

    def _forget(self, channel: str) -> list[Order]:
        self._wishes.pop(channel, None)
        self._decided.pop(channel, None)
        self._finished.discard(channel)
        self.lines.forget(channel)
        return _logged(self._unrecorded.gone(channel))


def _logged(refusals: list[Refuse]) -> list[Order]:
    return [Order(refusal.channel, refusal) for refusal in refusals]


def _ids(channel: ev.Channel | None) -> set[str]:
    return {channel.id} if channel is not None else set()
