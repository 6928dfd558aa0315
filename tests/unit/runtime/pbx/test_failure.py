"""Recordings that fail, as the runtime sees them: the journal, what is told of it, and the gate's keeper."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace, TracebackType
from typing import Any, Self, cast

import pytest

from ari_recorder.asterisk.ari.client import AriClient
from ari_recorder.asterisk.ari.connection import Connected
from ari_recorder.capture import commands as cmd
from ari_recorder.capture import events as ev
from ari_recorder.capture import gate as gates
from ari_recorder.capture.ledger import Prompt, Surroundings
from ari_recorder.capture.switchboard import Switchboard
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.errors import TransientError
from ari_recorder.model.recording import Call, Chosen, OnFailure, Recording, State
from ari_recorder.rules.policy import parse_policy
from ari_recorder.runtime import journal
from ari_recorder.runtime.conditions import Conditions, Severity
from ari_recorder.runtime.journal import Journal
from ari_recorder.runtime.pbx import gatekeeper
from ari_recorder.runtime.pbx.failure_desk import FailureDesk
from ari_recorder.runtime.pbx.gatekeeper import Gatekeeper
from ari_recorder.runtime.pbx.judge import PolicyJudge
from ari_recorder.spool.places import Spools
from ari_recorder.spool.waits import Waits
from tests.scenarios.simulated_pbx import Rules

NOW = datetime.now(UTC)
CALLER = ev.Channel("in-1", "PJSIP/trunk-berlin-00000001", "Ring", Party("030"), exten="1")


def recording(name: str, on_failure: OnFailure = OnFailure.CARRY_ON, at: datetime = NOW) -> Recording:
    call = Call("pbx", f"channel-{name}", Direction.INBOUND, Party(), Party())
    return Recording(name, State.DECIDED, at, call, Chosen("all", "r1", on_failure=on_failure))


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.005)


# -- the journal --------------------------------------------------------------------------------------------


class Disk:
    """A spool whose disk does as the test says."""

    def __init__(self) -> None:
        self.error: TransientError | None = None
        self.waits = Waits()
        self.places: list[Any] = []
        self.free = threading.Event()
        self.free.set()
        self.written: list[str] = []

    def get(self, _recording: str) -> None:
        return None

    def create(self, one: Recording) -> None:
        self.free.wait(20)
        if self.error is not None:
            raise self.error
        self.written.append(one.id)


async def test_what_cannot_be_journalled_is_told_and_so_is_that_it_can_again() -> None:
    disk = Disk()
    book = Journal(cast(Spools, disk))
    assert await book.told(recording("a")) == []
    disk.error = TransientError("spool.full", "No space is left.")
    (told,) = await book.told(recording("a"))
    assert isinstance(told, ev.CommandFailed)
    assert (told.command, told.code) == (cmd.Save(recording("a")), "spool.full")
    disk.error = None
    (told,) = await book.told(recording("a"))
    assert isinstance(told, ev.Journalled)
    assert told.journal == "a.journal"
    assert await book.told(recording("a")) == []


async def test_a_disk_that_hangs_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PATIENCE", 0.05)
    disk = Disk()
    book = Journal(cast(Spools, disk))
    disk.free.clear()
    (told,) = await book.told(recording("a"))
    assert isinstance(told, ev.CommandFailed)
    assert told.code == "spool.unusable"
    monkeypatch.setattr(journal, "PATIENCE", 60.0)
    async with asyncio.timeout(5):
        assert isinstance((await book.told(recording("a")))[0], ev.CommandFailed)
    disk.free.set()
    async with asyncio.timeout(5):
        while not await book.save(recording("a")):
            await asyncio.sleep(0.005)
    assert disk.written == ["a", "a"]


# -- what is told -------------------------------------------------------------------------------------------


def alarm(one: Recording, failure: str = "broken") -> cmd.Alarm:
    return cmd.Alarm(one.call.channel, one, failure, "The disk is full", "capture.no-recording")


async def test_failures_make_a_condition_and_a_line_of_refusal_until_one_works_again() -> None:
    conditions, refused = Conditions(), list[cmd.Refuse]()

    async def note(_pbx: str, refusal: cmd.Refuse) -> None:
        refused.append(refusal)

    desk = FailureDesk(conditions, note)
    old = recording("old", at=NOW - timedelta(hours=1))
    await desk.take("pbx", cmd.AllClear("x", old))
    await desk.take("pbx", alarm(recording("a")))
    condition = conditions.get("capture:pbx")
    assert condition is not None
    assert condition.severity is Severity.WARNING
    await desk.take("pbx", alarm(recording("b", OnFailure.HANG_UP)))
    condition = conditions.get("capture:pbx")
    assert condition is not None
    assert condition.severity is Severity.CRITICAL
    assert [refusal.reason for refusal in refused] == ["broken", "broken"]
    assert "the call goes on" in refused[0].because
    assert "the call is ended" in refused[1].because
    await desk.take("pbx", cmd.AllClear("x", old))
    await desk.take("other", cmd.AllClear("x", recording("c")))
    assert conditions.get("capture:pbx") is not None
    await desk.take("pbx", cmd.AllClear("x", recording("new", at=datetime.now(UTC))))
    assert conditions.get("capture:pbx") is None


async def test_the_last_that_failed_and_recovers_ends_the_condition() -> None:
    conditions = Conditions()

    async def note(_pbx: str, _refusal: cmd.Refuse) -> None:
        """Nobody reads it."""

    desk = FailureDesk(conditions, note)
    for name in "ab":
        await desk.take("pbx", alarm(recording(name, OnFailure.ALARM)))
    await desk.take("pbx", cmd.AllClear("x", recording("a")))
    assert conditions.get("capture:pbx") is not None
    await desk.take("pbx", cmd.AllClear("x", recording("b")))
    assert conditions.get("capture:pbx") is None


# -- the gate's keeper --------------------------------------------------------------------------------------


class Asterisk:
    """Hears what is ordered, from whichever thread."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, ...]] = []
        self.asked: set[str] = set()
        self.talking: set[str] = set()
        """Channels that left the gate, which nobody was told."""
        self.channels = self
        self.asterisk = SimpleNamespace(ping=self._ping, set_variable=self._set)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def _ping(self) -> SimpleNamespace:
        return SimpleNamespace(at=NOW)

    async def _set(self, name: str, value: str) -> None:
        self.orders.append((name, value))

    async def set_variable(self, channel: str, name: str, value: str) -> None:
        self.orders.append((channel, name, value))

    async def continue_in_dialplan(self, channel: str) -> None:
        self.orders.append((channel, "continue"))

    async def get(self, channel: str) -> ev.Channel:
        self.asked.add(channel)
        return replace(CALLER, id=channel, app="Dial" if channel in self.talking else "Stasis")

    async def hangup(self, channel: str, *, reason: str = "") -> None:
        self.orders.append((channel, "hangup", reason))


POLICY = """
[[prompt]]
name = "consent"
file = "a.wav"

[[prompt]]
name = "sorry"
file = "b.wav"

[[setting]]
name = "announced"
announcement = { prompt = "consent" }

[[setting]]
name = "strict"
on_failure = "hang-up"
failure_announcement = "sorry"
"""


class Kept:
    """A gate with its keeper."""

    def __init__(self, on_failure: OnFailure = OnFailure.CARRY_ON) -> None:
        prompts = {"consent": Prompt("c", "", 20.0), "sorry": Prompt("s", "", 5.0)}
        rules = Rules()
        chosen = rules.chosen
        rules.chosen = lambda decision, facts: replace(  # type: ignore[method-assign]
            chosen(decision, facts), on_failure=on_failure
        )
        self.board = Switchboard("pbx", rules, lambda _at: "rec1", Surroundings(prompts, {}))
        self.asterisk = Asterisk()
        client = cast(AriClient, self.asterisk)
        self.keeper = Gatekeeper(lambda: client, "app", self.board, PolicyJudge(parse_policy(POLICY)))
        self.keeping = asyncio.create_task(self.keeper.keep(client))

    async def close(self) -> None:
        self.keeping.cancel()
        await asyncio.gather(self.keeping, return_exceptions=True)


@pytest.mark.parametrize("on_failure", [OnFailure.CARRY_ON, OnFailure.HANG_UP])
async def test_who_stays_too_long_is_sent_away_as_the_setting_says(
    on_failure: OnFailure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "SOON", 0.2)
    kept = Kept(on_failure)
    kept.board.handle(ev.ChannelCreated(NOW, CALLER))
    kept.keeper.see(ev.GateEntered(NOW, CALLER, ()))
    await until(lambda: [order for order in kept.asterisk.orders if order[0] == "in-1"])
    await kept.close()
    if on_failure is OnFailure.HANG_UP:
        assert ("in-1", "hangup", "congestion") in kept.asterisk.orders
        assert ("in-1", "continue") not in kept.asterisk.orders
    else:
        assert ("in-1", "ARI_RECORDER_RESULT", "failed") in kept.asterisk.orders
        assert ("in-1", "ARI_RECORDER_FAILURE", "overdue") in kept.asterisk.orders
        assert ("in-1", "continue") in kept.asterisk.orders


async def test_a_blocked_loop_does_not_keep_the_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (gates, gatekeeper):
        monkeypatch.setattr(module, "SOON", -19.9)
    kept = Kept()
    await asyncio.sleep(0)  # its thread is started
    kept.keeper.see(ev.GateEntered(NOW, CALLER, ()))
    # This is the recorder's loop, and nothing in it turns meanwhile.
    await_blocking(lambda: not missing(kept))
    assert ("in-1", "continue") in kept.asterisk.orders
    await kept.close()


def await_blocking(what: Callable[[], bool]) -> None:
    """Until then, or 10 s, and the event loop stands still."""
    clock = threading.Event()
    for _ in range(1000):
        if what():
            return
        clock.wait(0.01)


def missing(kept: Kept) -> bool:
    return ("in-1", "continue") not in kept.asterisk.orders


async def test_who_left_is_left_alone_and_who_was_there_before_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (gates, gatekeeper):
        monkeypatch.setattr(module, "SOON", -19.7)
    kept = Kept()
    left, gone = replace(CALLER, id="left"), replace(CALLER, id="gone")
    talks = replace(CALLER, id="talks")
    kept.asterisk.talking.add("talks")
    snoop = replace(CALLER, id="snoop", name="Snoop/in-1-00000001")
    for channel in (left, gone):
        kept.keeper.see(ev.GateEntered(NOW, channel, ()))
    kept.keeper.see(ev.GateLeft(NOW, left))
    kept.keeper.see(ev.ChannelGone(NOW, gone, 16, ""))
    everybody = frozenset({"in-1", "snoop"})
    kept.keeper.see(Connected(ev.Snapshot(NOW, (CALLER, snoop), {}, frozenset(), everybody)))
    kept.keeper.see(ev.GateEntered(NOW, talks, ()))
    await until(lambda: not missing(kept) and "talks" in kept.asterisk.asked)
    await kept.close()
    assert not [order for order in kept.asterisk.orders if order[0] in ("left", "gone", "snoop", "talks")]


async def test_the_pbx_is_told_that_the_recorder_lives_and_how_long_it_may_hold_a_call() -> None:
    kept = Kept()
    await until(lambda: kept.asterisk.orders)
    await kept.close()
    seconds = round(gates.SOON + 20.0 + gatekeeper.SPARE + 0.5)
    assert kept.asterisk.orders[0] == ("ARI_RECORDER_ALIVE", f"{int(NOW.timestamp())} {seconds}")
