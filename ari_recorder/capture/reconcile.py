"""After a restart or a lost connection: what the journal says, held against what the PBX holds.

Recordings that run are followed again, those whose calls ended meanwhile are closed, snoops that nobody
remembers are hung up, and calls that began meanwhile are decided now, with the gap in their notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TypeAlias

from ..model.call import CallFacts, Direction
from ..model.recording import Note, Recording
from . import calls
from . import events as ev
from .commands import DropChannel
from .pair import recording_in
from .session import Session
from .switchboard import Order, Switchboard

CUT_OFF = "cut-off"
"""The word of the note that Asterisk ended in the call; when, `asterisk/cut_off.py` finds out."""

PROBE_LIFE = timedelta(seconds=60)

Work: TypeAlias = Callable[[], list[Order]]


def _plainly(work: Work) -> list[Order]:
    return work()


def reconcile(
    board: Switchboard,
    recordings: Iterable[Recording],
    snapshot: ev.Snapshot,
    *,
    each: Callable[[Work], list[Order]] = _plainly,
) -> list[Order]:
    """Orders that bring the switchboard in step with the PBX.

    `recordings`: every journalled recording of this PBX in state decided or capturing. `each` does the work
    for one recording or channel: a defect in one must not keep the others from being recorded.
    """
    orders = board.adopt(snapshot)
    for recording in recordings:
        orders += each(partial(_resumed, board, recording, snapshot))
    followed = {session.channel for session in board.sessions.values()}
    # Dialled legs last: by then it is known which calls they belong to.
    for channel in sorted(snapshot.channels, key=_was_dialled):
        if channel.id not in followed:
            orders += each(partial(_unknown, board, channel, snapshot))
    return orders


def take_up(
    board: Switchboard,
    recordings: Iterable[Recording],
    snapshot: ev.Snapshot,
    *,
    each: Callable[[Work], list[Order]] = _plainly,
) -> list[Order]:
    """As `reconcile` for recordings that came to light when the switchboard was in step already. One whose
    call was decided anew meanwhile ends, for its call is recorded by another."""
    followed = {session.channel for session in board.sessions.values()}
    channels = tuple(channel for channel in snapshot.channels if channel.id not in followed)
    rest = replace(snapshot, channels=channels)
    return [order for one in recordings for order in each(partial(_resumed, board, one, rest))]


def _resumed(board: Switchboard, recording: Recording, snapshot: ev.Snapshot) -> list[Order]:
    session = Session(_cut_off(recording, snapshot), board.world)
    return board.resumed(session, session.resume(snapshot))


def _cut_off(recording: Recording, snapshot: ev.Snapshot) -> Recording:
    """With a note when Asterisk did not outlive the call, as far as anybody can tell."""
    if any(channel.id == recording.call.channel for channel in snapshot.channels):
        return recording
    began = recording.call.created_at or recording.decided_at
    another = snapshot.asterisk_began_at is not None and snapshot.asterisk_began_at > began
    if (not another and not snapshot.presumed_dead) or any(n.what == CUT_OFF for n in recording.notes):
        return recording
    how = "Asterisk was started anew" if another else "Asterisk gave no sign any more"
    detail = (
        f"{how} while the call ran, as far as the recorder saw; up to 2 s of each side never reached its disk"
    )
    return recording.noted(Note(snapshot.at, "cut-off", detail))


def _is_stale_probe(channel: ev.Channel, snapshot: ev.Snapshot) -> bool:
    """A dummy call (`asterisk/dummy_call.py`) whose process was killed: a living one takes seconds."""
    probe = channel.id.startswith("probe-") and channel.technology in ("UnicastRTP", "Snoop")
    return probe and channel.created_at is not None and snapshot.at - channel.created_at > PROBE_LIFE


def _unknown(board: Switchboard, channel: ev.Channel, snapshot: ev.Snapshot) -> list[Order]:
    owner = recording_in(channel.id)
    if _is_stale_probe(channel, snapshot):
        return [Order(channel.id, DropChannel(channel.id))]
    if channel.technology == "Snoop":
        session = board.sessions.get(owner or "")
        owned = session is not None and session.microphone.owns(channel.id)
        orphan = channel.id in snapshot.gated and not owned
        return [Order(channel.id, DropChannel(channel.id))] if orphan else []
    if channel.id in snapshot.gated and channel.app == "Stasis":
        arguments = tuple(channel.app_data.split(",")[1:])
        return board.handle(ev.GateEntered(snapshot.at, channel, arguments))
    facts = _facts_of_late(board, channel, snapshot)
    refused = snapshot.results.get(channel.id) == "refused" or board.world.refused(channel.id)
    if facts is None or board.was_decided(channel.id):
        return []
    if refused:
        board.stays_refused(channel, facts)
        return []
    if _was_dialled(channel) and board.is_part_of_a_call(channel.id):
        return []
    return board.decide_late(channel, facts, snapshot)


def _facts_of_late(board: Switchboard, channel: ev.Channel, snapshot: ev.Snapshot) -> CallFacts | None:
    """The call that a channel found on the PBX belongs to, where that can be told for sure."""
    trunk = board.judge.trunk_of(channel.endpoint)
    if trunk is not None and not _was_dialled(channel):
        facts = calls.inbound(snapshot.at, channel, trunk)
        user = _talks_with(board, channel, snapshot)
        return calls.rung(facts, user) if user is not None else facts
    if trunk is not None:
        return CallFacts(
            caller=channel.connected,
            callee=channel.caller,
            direction=Direction.OUTBOUND,
            at=snapshot.at,
            trunk=trunk,
            trunk_number=channel.connected.number or None,
        )
    return _internal(board, channel, snapshot)


def _internal(board: Switchboard, channel: ev.Channel, snapshot: ev.Snapshot) -> CallFacts | None:
    """A user who talks with exactly one other user whom he called: that is an internal call for sure."""
    if _was_dialled(channel) or channel.technology in ("Local", "Snoop") or channel.state != "Up":
        return None
    other = _talks_with(board, channel, snapshot)
    if other is None:
        return None
    # What was dialled is not told any more: `exten` has moved on with the dialplan.
    return calls.internal(snapshot.at, replace(channel, exten=""), other)


def _talks_with(board: Switchboard, channel: ev.Channel, snapshot: ev.Snapshot) -> ev.Channel | None:
    """The one user, called on behalf of somebody, with whom a channel talks."""
    known = {each.id: each for each in snapshot.channels}
    bridges = [members for members in snapshot.bridges.values() if channel.id in members]
    if len(bridges) != 1 or len(bridges[0]) != 2:
        return None
    other = known.get(next(each for each in bridges[0] if each != channel.id))
    if other is None or not _was_dialled(other) or other.technology in ("Local", "Snoop"):
        return None
    return other if board.judge.trunk_of(other.endpoint) is None else None


def _was_dialled(channel: ev.Channel) -> bool:
    """Called by another channel, or by a program: that shows only until it is answered (`AppDial2`)."""
    return channel.app in ("AppDial", "AppDial2")
