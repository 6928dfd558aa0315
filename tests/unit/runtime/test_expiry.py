"""Logins that end: told while it lasts, and as what it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, cast

from ari_recorder.model.errors import ConfigError, RecorderError, TransientError
from ari_recorder.runtime.conditions import Change, Condition, Conditions, Severity
from ari_recorder.runtime.expiry import _look, watch
from ari_recorder.targets.base import Target

SOON = ConfigError("target.expiring", "The secret expires on 2026-12-01.", remedy="Make a new one.")
AWAY = TransientError("target.unreachable", "The login service is not available now.")
OVER = ConfigError("target.login", "The login has expired.", remedy="Log in again.")


class Login:
    """A target of which only the login matters."""

    def __init__(self, *looks: tuple[RecorderError, ...] | Exception) -> None:
        self._looks = list(looks)

    def login_warnings(self) -> tuple[RecorderError, ...]:
        found = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        if isinstance(found, Exception):
            raise found
        return found


async def told(
    wanted: int, *targets: dict[str, Any], act: Callable[[], None] | None = None
) -> list[tuple[Change, Condition]]:
    """The first changes while the targets in use are those, each set for one look and the last for ever."""
    conditions, changes = Conditions(), cast("list[tuple[Change, Condition]]", [])
    enough = asyncio.Event()

    def listen(change: Change, condition: Condition) -> None:
        changes.append((change, condition))
        if len(changes) >= wanted:
            enough.set()

    rounds = list(targets)
    conditions.listen(listen)
    in_use = lambda: cast("dict[str, Target]", rounds.pop(0) if len(rounds) > 1 else rounds[0])  # noqa: E731
    task = asyncio.create_task(watch(in_use, conditions, every=0.01))
    try:
        await asyncio.wait_for(enough.wait(), 10)
    finally:
        if act is not None:
            act()
        task.cancel()
        await asyncio.wait({task})
    return changes


async def test_a_login_that_will_end_ends_and_is_mended() -> None:
    found = await told(3, {"cloud": Login((SOON,), (SOON,), (SOON, OVER), ())})
    assert [(change, one.key, one.code, one.severity) for change, one in found] == [
        (Change.BEGAN, "login:cloud", "target.expiring", Severity.WARNING),
        (Change.CHANGED, "login:cloud", "target.login", Severity.CRITICAL),
        (Change.ENDED, "login:cloud", "target.login", Severity.CRITICAL),
    ]
    assert found[0][1].remedy == "Make a new one."


async def test_a_target_that_is_taken_out_is_wrong_no_more() -> None:
    cloud = Login((OVER,))
    found = await told(2, {"cloud": cloud}, *[{"cloud": cloud}] * 50, {})
    assert [change for change, _ in found] == [Change.BEGAN, Change.ENDED]


async def test_a_target_that_hangs_or_fails_holds_up_no_other() -> None:
    thawed = threading.Event()

    class Hanging(Login):
        def login_warnings(self) -> tuple[RecorderError, ...]:
            thawed.wait(20)
            return ()

    targets = {"a": Hanging(()), "b": Login(RuntimeError("a defect")), "c": Login((OVER,)), "plain": object()}
    found = await told(1, targets, act=thawed.set)
    assert [(change, one.key) for change, one in found] == [(Change.BEGAN, "login:c")]


async def test_a_login_service_that_is_away_ends_nothing_that_was_told() -> None:
    found = await told(3, {"cloud": Login((OVER,), AWAY, AWAY, (SOON,), AWAY, ())})
    assert [(change, one.code) for change, one in found] == [
        (Change.BEGAN, "target.login"),
        (Change.CHANGED, "target.expiring"),
        (Change.ENDED, "target.expiring"),
    ]


async def test_a_look_that_ends_after_its_target_was_taken_out_tells_nothing() -> None:
    asked, thawed, conditions = threading.Event(), threading.Event(), Conditions()
    in_use: dict[str, Any] = {}

    class Slow(Login):
        def login_warnings(self) -> tuple[RecorderError, ...]:
            asked.set()
            thawed.wait(20)
            return super().login_warnings()

    slow = in_use["cloud"] = Slow((OVER,))
    look = asyncio.create_task(_look("cloud", slow, lambda: cast("dict[str, Target]", in_use), conditions))
    await asyncio.to_thread(asked.wait, 10)
    in_use.clear()
    thawed.set()
    await look
    assert conditions.active() == ()
