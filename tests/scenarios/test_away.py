"""What became of calls while nobody listened, and what can be told for sure when somebody does again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ari_recorder.capture import commands as cmd
from ari_recorder.capture import events as ev
from ari_recorder.capture.reconcile import CUT_OFF, reconcile
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.recording import Recording, State

from .simulated_pbx import BEGIN, SimulatedPbx, user

PHONE = ev.Channel(
    "u", "PJSIP/1001-00000001", "Up", Party("1001"), exten="1002", created_at=BEGIN - timedelta(seconds=10)
)
OTHER = replace(user("1002", "v"), state="Up")


def talking(*channels: ev.Channel) -> SimulatedPbx:
    """A PBX on which these talk in one bridge, and a recorder that has seen nothing of it."""
    pbx = SimulatedPbx()
    pbx.channels = {channel.id: channel for channel in channels}
    pbx.formats = dict.fromkeys(pbx.channels, "(alaw)")
    pbx.bridge = tuple(pbx.channels)
    return pbx


def back(pbx: SimulatedPbx, *recordings: Recording, **told: object) -> None:
    """The recorder is connected again."""
    snapshot = replace(pbx.snapshot(), **told)  # type: ignore[arg-type]
    pbx.carry_out(reconcile(pbx.board, recordings, snapshot))


def running(pbx: SimulatedPbx) -> Recording:
    """The journal of an inbound call that talks."""
    caller = pbx.inbound()
    pbx.answer(caller, user())
    return pbx.saved["rec1"]


def test_an_internal_call_that_began_meanwhile_is_recorded_from_now_on() -> None:
    pbx = talking(PHONE, OTHER)
    back(pbx, deaf_since=BEGIN - timedelta(seconds=30))
    (session,) = pbx.board.sessions.values()
    call = session.recording.call
    assert (call.direction, call.channel) == (Direction.INTERNAL, "u")
    assert (call.caller.number, call.callee.number) == ("1001", "1002")
    (away,) = [note for note in session.recording.notes if note.what == "away"]
    assert (away.at, away.until) == (PHONE.created_at, BEGIN)


def test_what_is_no_internal_call_for_sure_is_not_taken_for_one() -> None:
    local = replace(OTHER, id="l", name="Local/1002@x-00000001;1")
    trunk = replace(OTHER, id="t", name="PJSIP/trunk-berlin-00000009", app="")
    conference = [replace(PHONE, id=f"c{n}", name=f"PJSIP/100{n}-00000001") for n in range(3)]
    for channels in ((PHONE, local), tuple(conference), (PHONE, replace(OTHER, app="")), (PHONE,)):
        pbx = talking(*channels)
        back(pbx)
        assert not pbx.board.sessions, [c.name for c in channels]
    pbx = talking(PHONE, trunk)
    back(pbx)
    directions = [s.recording.call.direction for s in pbx.board.sessions.values()]
    assert Direction.INTERNAL not in directions


def test_an_internal_call_that_rang_already_is_recorded_from_its_answer() -> None:
    ringing = replace(PHONE, state="Ring")
    pbx = talking(ringing, replace(OTHER, state="Ringing"))
    pbx.bridge = ()
    back(pbx)
    assert not pbx.board.sessions
    pbx.tell(ev.Dialled(pbx.now, OTHER, ringing, "ANSWER"))
    (session,) = pbx.board.sessions.values()
    assert session.recording.call.direction is Direction.INTERNAL
    assert [note.what for note in session.recording.notes if note.what == "away"]


def test_who_was_transferred_to_meanwhile_is_noted() -> None:
    pbx = SimulatedPbx()
    recording = running(pbx)
    del pbx.channels["user-1"]
    third = replace(user("1007", "w"), state="Up")
    pbx.channels["w"] = third
    pbx.bridge = ("in-1", "w")
    back(pbx, recording)
    (session,) = pbx.board.sessions.values()
    parties = [note.detail for note in session.recording.notes if note.what == "party"]
    assert len(parties) == 2
    assert "1007" in parties[1]
    back(pbx, session.recording)
    (session,) = pbx.board.sessions.values()
    assert len([note for note in session.recording.notes if note.what == "party"]) == 2


def test_a_call_that_asterisk_did_not_outlive_is_cut_off() -> None:
    pbx = SimulatedPbx()
    recording = running(pbx)
    pbx.channels.clear()
    pbx.bridge, pbx.open_files = (), {}
    back(pbx, recording, asterisk_began_at=pbx.now)
    (done,) = pbx.finished
    assert done.state is State.CAPTURED
    (note,) = [note for note in done.notes if note.what == CUT_OFF]
    assert "started anew" in note.detail


def test_a_call_that_merely_ended_meanwhile_is_not() -> None:
    pbx = SimulatedPbx()
    recording = running(pbx)
    pbx.channels.clear()
    pbx.bridge, pbx.open_files = (), {}
    back(pbx, recording, asterisk_began_at=BEGIN - timedelta(days=1))
    (done,) = pbx.finished
    assert not [note for note in done.notes if note.what == CUT_OFF]


def test_an_asterisk_that_was_taken_for_dead_and_wakes_up_is_recorded_anew() -> None:
    pbx = SimulatedPbx()
    recording = running(pbx)
    dead = ev.Snapshot(pbx.now, (), {}, frozenset(), presumed_dead=True)
    assert reconcile(pbx.board, [recording], dead)
    back(pbx, deaf_since=BEGIN)
    (session,) = pbx.board.sessions.values()
    assert session.recording.id != recording.id
    assert [note.what for note in session.recording.notes if note.what == "away"]


def test_an_asterisk_without_a_sign_ends_what_it_recorded() -> None:
    pbx = SimulatedPbx()
    recording = running(pbx)
    dead = ev.Snapshot(pbx.now, (), {}, frozenset(), presumed_dead=True)
    orders = reconcile(pbx.board, [recording], dead)
    (finish,) = [order.command for order in orders if isinstance(order.command, cmd.Finish)]
    assert finish.recording.state is State.CAPTURED
    assert [note.what for note in finish.recording.notes if note.what == CUT_OFF]


def test_a_recording_taken_up_where_late_packets_are_lost_says_so_once() -> None:
    pbx = SimulatedPbx()
    recording = running(pbx)
    assert not any(note.what == "translator" for note in recording.notes)
    for _life in range(2):
        again = SimulatedPbx(reorders_lost=True)
        again.channels, again.formats, again.bridge = pbx.channels, pbx.formats, pbx.bridge
        back(again, recording)
        recording = again.saved["rec1"]
    assert [note.what for note in recording.notes].count("translator") == 1
