"""One PBX's link: what an old connection left is not taken for news, and one defect stops nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog

from ari_recorder.asterisk.ari.client import AriClient
from ari_recorder.asterisk.ari.connection import AriConnection, Connected, Disconnected
from ari_recorder.asterisk.orders import Orders
from ari_recorder.capture import commands as cmd
from ari_recorder.capture import events as ev
from ari_recorder.capture.ledger import Surroundings
from ari_recorder.capture.session import Session
from ari_recorder.capture.switchboard import Switchboard
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.errors import TransientError
from ari_recorder.model.recording import Call, Chosen, Recording, State
from ari_recorder.runtime.journal import Journal
from ari_recorder.runtime.pbx.link import Ears, PbxLink
from tests.scenarios.simulated_pbx import Rules

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CALLER = ev.Channel("in-1", "PJSIP/trunk-berlin-00000001", "Ring", Party("030"), exten="1")
NOTHING = ev.Snapshot(NOW, (), {}, frozenset())


def recording(recording_id: str) -> Recording:
    call = Call("pbx", f"channel-{recording_id}", Direction.INBOUND, Party(), Party())
    return Recording(recording_id, State.DECIDED, NOW, call, Chosen("all", "r1"))


@dataclass
class Stage:
    """A link whose connection, orders and journal are the test's."""

    told: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    seen: list[ev.Event] = field(default_factory=list)
    ordered: list[cmd.Command] = field(default_factory=list)
    refused: list[cmd.Refuse] = field(default_factory=list)
    finished: list[Recording] = field(default_factory=list)
    obey: Callable[[cmd.Command], Awaitable[list[ev.Event]]] | None = None
    connections: int = 0
    heard_at: datetime | None = None
    saved: list[Recording] = field(default_factory=list)
    lost: int = 0
    there: ev.Snapshot = NOTHING
    """What is there when it is asked for beside a connection."""

    def __post_init__(self) -> None:
        ids = iter(f"new{n}" for n in range(100))
        self.board = Switchboard("pbx", Rules(), lambda _at: next(ids), Surroundings({}, {}))
        handle = self.board.handle

        def watched(event: ev.Event) -> list[Any]:
            self.seen.append(event)
            return handle(event)

        self.board.handle = watched  # type: ignore[method-assign]
        self.link = PbxLink(
            self.board,
            cast(AriClient, SimpleNamespace(asterisk=SimpleNamespace(info=self._info, ping=self._ping))),
            cast(AriConnection, self),
            cast(Orders, SimpleNamespace(carry_out=self._carry_out)),
            cast(Journal, SimpleNamespace(save=self._save, told=self._told)),
            Ears(self.finished.append, self._refused, self._connected),
        )

    async def __aenter__(self) -> Stage:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._items()

    async def _items(self) -> AsyncIterator[Any]:
        while True:
            yield await self.told.get()

    async def snapshot(self) -> ev.Snapshot:
        return self.there

    async def _info(self) -> SimpleNamespace:
        return SimpleNamespace(version="22")

    async def _ping(self) -> SimpleNamespace:
        return SimpleNamespace(at=datetime.now(UTC))

    async def _save(self, recording: Recording) -> bool:
        self.saved.append(recording)
        return True

    async def _told(self, _recording: Recording) -> list[ev.Event]:
        return []

    async def _refused(self, _pbx: str, refusal: cmd.Refuse) -> None:
        self.refused.append(refusal)

    def _connected(self, _pbx: str, error: object) -> None:
        self.connections += error is None
        self.lost += error is not None

    async def _carry_out(self, command: cmd.Command) -> list[ev.Event]:
        self.ordered.append(command)
        return await self.obey(command) if self.obey is not None else []

    async def until(self, what: Callable[[], Any]) -> None:
        async with asyncio.timeout(5):
            while not what():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def running() -> AsyncIterator[Stage]:
    stage = Stage()
    task = asyncio.create_task(stage.link.run())
    yield stage
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_orders_of_a_lost_connection_say_is_not_told_to_new_sessions() -> None:
    async with running() as stage:
        answer = asyncio.Event()

        async def slow(command: cmd.Command) -> list[ev.Event]:
            if isinstance(command, cmd.TakeSnoop):
                await answer.wait()
                return [ev.CommandFailed(NOW, command, "ari.timeout", "Too late.")]
            return []

        stage.obey = slow
        stage.told.put_nowait(ev.ChannelCreated(NOW, CALLER))
        await stage.until(lambda: any(isinstance(c, cmd.TakeSnoop) for c in stage.ordered))
        stage.told.put_nowait(Connected(ev.Snapshot(NOW, (CALLER,), {}, frozenset())))
        stage.told.put_nowait(ev.ChannelChanged(NOW, CALLER))
        await asyncio.sleep(0)  # the link waits for the orders under way
        stage.obey = None
        answer.set()
        await stage.until(lambda: stage.connections and isinstance(stage.seen[-1], ev.ChannelChanged))
        assert not any(isinstance(event, ev.CommandFailed) for event in stage.seen)


async def test_a_question_waits_for_no_order() -> None:
    async with running() as stage:
        answer = asyncio.Event()

        async def slow(command: cmd.Command) -> list[ev.Event]:
            if isinstance(command, cmd.TakeSnoop):
                await answer.wait()
            return []

        stage.obey = slow
        stage.told.put_nowait(ev.ChannelCreated(NOW, CALLER))
        await stage.until(lambda: any(isinstance(c, cmd.TakeSnoop) for c in stage.ordered))
        before = sum(isinstance(c, cmd.ReadChannel) for c in stage.ordered)
        stage.told.put_nowait(ev.ChannelChanged(NOW, replace(CALLER, state="Up")))
        await stage.until(lambda: sum(isinstance(c, cmd.ReadChannel) for c in stage.ordered) > before)
        answer.set()


async def test_a_recording_that_cannot_be_taken_up_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    resume = Session.resume

    def poisoned(self: Session, snapshot: ev.Snapshot) -> list[cmd.Command]:
        if self.recording.id == "bad":
            raise RuntimeError("a defect")
        return resume(self, snapshot)

    monkeypatch.setattr(Session, "resume", poisoned)
    async with running() as stage:
        stage.link.remember([recording("bad"), recording("good")])
        stage.told.put_nowait(Connected(NOTHING))
        await stage.until(lambda: stage.finished)
        assert [r.id for r in stage.finished] == ["good"]


async def test_an_old_journal_of_what_has_ended_is_not_taken_up_again() -> None:
    """Of a spool folder that comes back after it hung."""
    async with running() as stage:
        stage.link.remember([recording("r")])
        stage.told.put_nowait(Connected(NOTHING))
        await stage.until(lambda: stage.finished)
        stage.link.remember([recording("r"), recording("s")])
        stage.told.put_nowait(Connected(NOTHING))
        await stage.until(lambda: stage.connections == 2 and len(stage.finished) > 1)
        assert [r.id for r in stage.finished] == ["r", "s"]


async def test_what_comes_to_light_later_is_taken_up_on_the_connection_that_stands() -> None:
    """Of a spool folder that answered only after the start: its calls ended long ago."""
    async with running() as stage:
        stage.told.put_nowait(ev.ChannelCreated(NOW, CALLER))
        await stage.until(lambda: stage.board.sessions)
        stage.heard_at = NOW
        stage.link.take_up([recording("late")])
        await stage.until(lambda: stage.finished)
        assert [r.id for r in stage.finished] == ["late"]
        assert stage.connections == 0
        assert set(stage.board.sessions) == {"new0"}, "what runs is left alone"


async def test_a_late_recording_whose_call_was_decided_anew_ends() -> None:
    async with running() as stage:
        stage.told.put_nowait(ev.ChannelCreated(NOW, CALLER))
        await stage.until(lambda: stage.board.sessions)
        stage.heard_at, stage.there = NOW, ev.Snapshot(NOW, (CALLER,), {}, frozenset())
        late = recording("late")
        stage.link.take_up([replace(late, call=replace(late.call, channel=CALLER.id))])
        await stage.until(lambda: stage.finished)
        assert [r.id for r in stage.finished] == ["late"]
        assert set(stage.board.sessions) == {"new0"}


async def test_without_a_connection_late_recordings_wait_for_the_next() -> None:
    async with running() as stage:
        stage.link.take_up([recording("late")])
        stage.told.put_nowait(Connected(NOTHING))
        await stage.until(lambda: stage.finished)
        assert not stage.link._late


async def test_a_caller_at_the_gate_is_let_go_whatever_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as stage:

        def broken(_event: ev.Event) -> list[Any]:
            raise RuntimeError("a defect")

        monkeypatch.setattr(stage.board, "handle", broken)
        stage.told.put_nowait(ev.GateEntered(NOW, CALLER, ()))
        await stage.until(lambda: stage.ordered)
        told = {"ARI_RECORDER_RESULT": "failed", "ARI_RECORDER_FAILURE": "defect"}
        assert stage.ordered == [cmd.LetGo("in-1", told)]


async def test_a_defect_in_one_call_hides_the_event_from_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = Session.handle

    def poisoned(self: Session, event: ev.Event) -> list[cmd.Command]:
        if self.channel == "in-1" and isinstance(event, ev.BridgeEntered):
            raise RuntimeError("a defect")
        return handle(self, event)

    monkeypatch.setattr(Session, "handle", poisoned)
    other = replace(CALLER, id="in-2", name="PJSIP/trunk-berlin-00000002")
    async with running() as stage:
        for channel in (CALLER, other):
            stage.told.put_nowait(ev.ChannelCreated(NOW, channel))
        stage.told.put_nowait(ev.BridgeEntered(NOW, other, "b", ("in-1", "in-2")))
        await stage.until(lambda: len(stage.seen) == 3)
        members = {s.channel: s.members for s in stage.board.sessions.values()}
        assert members == {"in-1": (), "in-2": ("in-1",)}


async def test_orders_that_wait_do_not_outlive_their_connection_but_journal_entries_do() -> None:
    """A frozen Asterisk takes seconds for each order: a reconnection must not wait for all of them."""
    async with running() as stage:
        answer = asyncio.Event()

        async def frozen(command: cmd.Command) -> list[ev.Event]:
            if isinstance(command, cmd.TakeSnoop):
                await answer.wait()
            return []

        stage.obey = frozen
        stage.told.put_nowait(ev.ChannelCreated(NOW, CALLER))
        await stage.until(lambda: any(isinstance(c, cmd.TakeSnoop) for c in stage.ordered))
        stage.told.put_nowait(ev.ChannelGone(NOW, CALLER, 16, "Normal Clearing"))
        await stage.until(lambda: isinstance(stage.seen[-1], ev.ChannelGone))
        saved = len(stage.saved)
        stage.told.put_nowait(Disconnected(TransientError("ari.timeout", "Frozen.")))
        await stage.until(lambda: stage.lost)
        answer.set()
        await stage.until(lambda: len(stage.saved) > saved)
        rates = [c for c in stage.ordered if isinstance(c, cmd.ReadChannel) and c.channel != CALLER.id]
        assert rates == [], "asked of snoops that are gone with the connection"


async def test_a_wish_that_means_nothing_is_logged_with_channel_and_word() -> None:
    with structlog.testing.capture_logs() as logs:
        async with running() as stage:
            stage.told.put_nowait(ev.GateEntered(NOW, CALLER, ("forbit\n", "")))
            await stage.until(lambda: any(isinstance(c, cmd.LetGo) for c in stage.ordered))
    (line,) = [line for line in logs if line.get("action") == "gate.unknown-wish"]
    assert (line["channel"], line["name"]) == ("in-1", CALLER.name)
    assert '"forbit\N{REPLACEMENT CHARACTER}"' in line["event"]


async def test_a_call_that_began_before_the_probes_verdict_says_it_in_its_recording() -> None:
    async with running() as stage:
        stage.told.put_nowait(ev.ChannelCreated(NOW, CALLER))
        await stage.until(lambda: stage.board.sessions)
        (session,) = stage.board.sessions.values()
        assert session.ledger.noted("translator") is None
        for _connection in range(2):
            stage.link.distrust_translator(True)
        assert [note.what for note in session.recording.notes].count("translator") == 1
        stage.told.put_nowait(ev.ChannelGone(NOW, CALLER))
        stage.told.put_nowait(ev.Woke(NOW, "new0.finish"))
        await stage.until(lambda: stage.finished)
        assert any(note.what == "translator" for note in stage.finished[0].notes)
