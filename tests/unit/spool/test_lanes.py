"""Lanes: their limits and health, and targets exchanged while recordings wait and are under way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.config.targets.limits import Limits, rate, window
from ari_recorder.model.delivery import Delivery, DeliveryState
from ari_recorder.model.errors import ConfigError, PermanentError, RecorderError, TransientError
from ari_recorder.spool import delivery as rooms
from ari_recorder.spool import lane
from ari_recorder.spool.folders import RecordingFolder, Spool
from ari_recorder.spool.lane import Health
from ari_recorder.spool.retry import Pauses

from .recordings import SUFFIXES, ToldTarget, contents, local_target, sealed
from .test_delivery import NEVER, Failing, delivering, delivery, done, eventually


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool") as made:
        yield made


class Gate:
    """Holds every upload until it is opened; `hung` is how many wait there."""

    def __init__(self) -> None:
        self.hung = 0
        self._open = threading.Event()

    def __call__(self, _path: PurePosixPath) -> None:
        self.hung += 1
        self._open.wait(20)
        self.hung -= 1

    def open(self) -> None:
        self._open.set()


def raising(error: RecorderError) -> Callable[[PurePosixPath], None]:
    def act(_path: PurePosixPath) -> None:
        raise error

    return act


UNREACHABLE = TransientError("target.unreachable", "It does not answer.")
LOGIN = ConfigError("target.login", "It refused.", remedy="Check the password.")
CONFLICT = PermanentError("target.conflict", "Something else stands there.")


# Limits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 5])
async def test_as_many_at_once_as_the_target_may_take(spool: Spool, at_once: int) -> None:
    gate = Gate()
    told = ToldTarget("a", gate)
    async with delivering([told], limits={"a": Limits(at_once)}) as (deliverer, watched):
        for number in range(8):
            deliverer.submit(sealed(spool, f"r-{number}", "a"))
        await eventually(lambda: gate.hung == at_once and deliverer.health()[0].waiting == 8)
        gate.open()
        for number in range(8):
            await watched.delivered(f"r-{number}")
    assert told.most_at_once == at_once


async def test_a_target_is_not_used_outside_its_hours_and_what_has_begun_is_finished(spool: Spool) -> None:
    night = datetime(2026, 11, 21, 20, 0, tzinfo=UTC).astimezone()
    now = [night]
    begins = night.strftime("%H:%M")
    ends = (night + timedelta(hours=1)).strftime("%H:%M")
    gate = Gate()
    told = ToldTarget("a", gate)
    limits = {"a": Limits(at_once=1, hours=(window(f"{begins}-{ends}"),))}
    async with delivering([told], limits=limits, clock=lambda: now[0]) as (deliverer, watched):
        for number in range(3):
            deliverer.submit(sealed(spool, f"r-{number}", "a"))
        await eventually(lambda: gate.hung == 1 and deliverer.health()[0].waiting == 3)
        assert deliverer.health()[0].opens_at is None
        now[0] = night + timedelta(hours=2)
        gate.open()
        await watched.delivered("r-0")
        await eventually(lambda: deliverer.health()[0].running == 0)
        (health,) = deliverer.health()
        assert (health.waiting, health.failures) == (2, 0)
        assert health.opens_at == night + timedelta(days=1)
        assert {path.name for path in told.files} == {f"r-0{suffix}" for suffix in SUFFIXES}
        now[0] = night + timedelta(days=1)
        deliverer.retry()  # looks at the clock again
        await watched.delivered("r-1")
        await watched.delivered("r-2")


@pytest.mark.parametrize(
    "error",
    [TransientError("target.unreachable", "No."), PermanentError("target.conflict", "No.")],
    ids=lambda error: error.code,
)
async def test_a_clock_that_is_set_back_prolongs_no_pause(
    spool: Spool, error: RecorderError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that begins with a wrong clock: what failed then must not wait for that time."""
    monkeypatch.setattr(lane, "LONGEST_REST", 0.01)
    now, asked = [datetime(2036, 1, 1, tzinfo=UTC)], 0

    def clock() -> datetime:
        nonlocal asked
        asked += 1
        return now[-1]

    target = ToldTarget("a", raising(error))
    async with delivering([target], clock=clock, pauses=Pauses()) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-1", "a"))
        await eventually(lambda: deliverer.health()[0].failures + deliverer.health()[0].blocked == 1)
        target.before_put = lambda _: None
        now.append(datetime(2026, 11, 21, tzinfo=UTC))
        before = asked
        await eventually(lambda: asked > before + 3)
        assert deliverer.health()[0].waiting == 1
        now.append(now[-1] + timedelta(hours=2))
        await watched.delivered("r-1")


async def test_bandwidth_is_the_sum_of_a_targets_uploads(spool: Spool, tmp_path: Path) -> None:
    content = sum(len(file) for file in contents("r-0").values())
    limits = {"a": Limits(at_once=3, bandwidth=rate("8 kB/s"))}
    async with delivering([local_target(tmp_path / "a", "a")], limits=limits) as (deliverer, watched):
        begun = asyncio.get_running_loop().time()
        for number in range(3):
            deliverer.submit(sealed(spool, f"r-{number}", "a"))
        for number in range(3):
            await watched.delivered(f"r-{number}")
        assert asyncio.get_running_loop().time() - begun >= 3 * content / 8000 - 0.3


async def test_the_oldest_goes_first_also_when_it_was_submitted_last(spool: Spool) -> None:
    gate = Gate()
    told = ToldTarget("a", gate)
    async with delivering([told], limits={"a": Limits(1)}) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-9", "a"))
        await eventually(lambda: gate.hung == 1)
        for number in (5, 3, 7):
            deliverer.submit(sealed(spool, f"r-{number}", "a"))
        await eventually(lambda: deliverer.health()[0].waiting == 4)
        gate.open()
        for number in (3, 5, 7, 9):
            await watched.delivered(f"r-{number}")
    assert [r.id for r in watched.changes] == ["r-9", "r-3", "r-5", "r-7"]


# Health ----------------------------------------------------------------------------------------------------


async def test_the_health_of_a_target_is_told_when_it_is_news(spool: Spool) -> None:
    told: list[Health] = []
    failing = [UNREACHABLE]

    def act(_path: PurePosixPath) -> None:
        if failing:
            raise failing[0]

    async with delivering([ToldTarget("a", act)], on_health=told.append) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-1", "a"))
        await watched.until(lambda r: r.deliveries[0].attempts >= 5)
        assert [(h.failures, h.error_code) for h in told] == [
            (1, "target.unreachable"),
            (2, "target.unreachable"),
        ]
        failing.clear()
        await watched.delivered()
        await eventually(lambda: told[-1].failures == 0)
    assert told[-1].fault is None


async def test_recordings_that_are_blocked_one_by_one_are_counted(spool: Spool) -> None:
    told: list[Health] = []
    blocked = {"r-1", "r-2"}

    def act(path: PurePosixPath) -> None:
        if path.name[:3] in blocked:
            raise CONFLICT

    async with delivering([ToldTarget("a", act)], on_health=told.append) as (deliverer, watched):
        for number in (1, 2, 3):
            deliverer.submit(sealed(spool, f"r-{number}", "a"))
        await watched.delivered("r-3")
        await eventually(lambda: deliverer.health()[0].blocked == 2)
        assert deliverer.health()[0].obstacle is CONFLICT
        assert deliverer.health()[0].failures == 0
        blocked.clear()
        await watched.delivered("r-1")
        await watched.delivered("r-2")
        await eventually(lambda: told[-1].blocked == 0)
    assert told[-1].obstacle is None


TORN = TransientError("target.torn", "The connection broke.")


@pytest.mark.parametrize("code", ["target.torn", "target.locked", "target.fault"])
async def test_what_ought_to_pass_and_never_does_is_told(spool: Spool, code: str) -> None:
    told: list[Health] = []
    error = TransientError(code, "Again.")
    failing = Failing(error)
    async with delivering([ToldTarget("a", failing)], on_health=told.append) as (deliverer, watched):
        for number in range(2):
            deliverer.submit(sealed(spool, f"r-{number}", "a"))
        await eventually(lambda: deliverer.health()[0].blocked == 2)
        assert failing.calls >= 5
        assert deliverer.health()[0].obstacle is error
        assert (told[0].blocked, told[0].obstacle) == (0, None)  # the first is no news
        failing.left = 0
        for number in range(2):
            await watched.delivered(f"r-{number}")
        await eventually(lambda: told[-1].blocked == 0)
    assert told[-1].obstacle is None


async def test_one_recording_that_never_passes_is_told_though_others_do(spool: Spool) -> None:
    def act(path: PurePosixPath) -> None:
        if path.name.startswith("r-1"):
            raise TORN

    async with delivering([ToldTarget("a", act)]) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-1", "a"))
        for attempts in range(1, 6):
            await watched.until(lambda r, n=attempts: r.deliveries[0].attempts >= n)  # type: ignore[misc]
            deliverer.submit(sealed(spool, f"r-2{attempts}", "a"))
            await watched.delivered(f"r-2{attempts}")
        await eventually(lambda: deliverer.health()[0].blocked == 1)
        assert deliverer.health()[0].obstacle is TORN


@pytest.mark.parametrize("answer", [TORN, RecorderError("evidence.altered", "It is another.")])
async def test_what_proves_nothing_does_not_make_a_failing_target_well(
    spool: Spool, answer: RecorderError
) -> None:
    """A target that is gone, but now and then lets somebody begin."""
    told: list[Health] = []
    calls = 0

    def act(_path: PurePosixPath) -> None:
        nonlocal calls
        calls += 1
        raise answer if calls % 2 == 0 else UNREACHABLE

    async with delivering([ToldTarget("a", act)], on_health=told.append) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-1", "a"))
        await watched.until(lambda r: r.deliveries[0].attempts >= 6)
    assert [health.failures for health in told] == [1, 2, *[told[-1].failures] * (len(told) - 2)]
    assert {health.error_code for health in told} == {"target.unreachable"}


@pytest.mark.parametrize("code", ["target.conflict", "target.denied", "target.mismatch"])
async def test_a_target_that_refuses_one_recording_is_there(spool: Spool, code: str) -> None:
    failing = Failing(UNREACHABLE, 2)
    target = ToldTarget("a", failing)
    async with delivering([target]) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-1", "a"))
        await watched.until(lambda r: r.deliveries[0].attempts == 2)
        target.before_put = raising(PermanentError(code, "No."))
        await eventually(lambda: deliverer.health()[0].fault is None)


# Asked to try again ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [UNREACHABLE, LOGIN, CONFLICT], ids=lambda e: e.code)
async def test_everything_is_tried_at_once_when_somebody_asks(spool: Spool, error: RecorderError) -> None:
    target = ToldTarget("a", raising(error))
    async with delivering([target], pauses=NEVER) as (deliverer, watched):
        for number in range(4):
            deliverer.submit(sealed(spool, f"r-{number}", "a"))
        await eventually(lambda: deliverer.health()[0].waiting == 4 and deliverer.health()[0].running == 0)
        target.before_put = lambda _: None
        assert deliverer.retry(targets=["other"]) == 0
        assert deliverer.retry() == 4
        for number in range(4):
            await watched.delivered(f"r-{number}")
        assert deliverer.retry() == 0


async def test_only_what_was_named_is_tried(spool: Spool) -> None:
    target = ToldTarget("a", raising(CONFLICT))
    async with delivering([target], pauses=NEVER) as (deliverer, watched):
        for number in range(3):
            deliverer.submit(sealed(spool, f"r-{number}", "a"))
        await eventually(lambda: deliverer.health()[0].blocked == 3)
        target.before_put = lambda _: None
        assert deliverer.retry({"r-1", "r-7"}) == 1
        await watched.delivered("r-1")
        assert deliverer.health()[0].waiting == 2


async def test_asking_again_and_again_delivers_once(spool: Spool) -> None:
    gate = Gate()
    target = ToldTarget("a", gate)
    async with delivering([target], limits={"a": Limits(1)}) as (deliverer, watched):
        for number in range(3):
            deliverer.submit(sealed(spool, f"r-{number}", "a"))
        await eventually(lambda: gate.hung == 1 and deliverer.health()[0].waiting == 3)
        for _ in range(50):
            assert deliverer.retry() == 2
            assert deliverer.retry({"r-1", "r-2"}) == 2
        assert len(deliverer._lanes["a"]._due) == 2
        gate.open()
        for number in range(3):
            await watched.delivered(f"r-{number}")
    assert len(target.puts) == 3 * len(SUFFIXES)


async def test_what_the_intake_has_still_to_read_is_tried_too(spool: Spool) -> None:
    for number in range(40):
        folder = sealed(spool, f"r-{number:02}", "a")
        later = Delivery("a", next_try_at=datetime.now(UTC) + timedelta(hours=1), error_code="target.torn")
        folder.update(lambda now, one=later: replace(now, deliveries=(one,)))  # type: ignore[misc]
    async with delivering([ToldTarget("a")], pauses=NEVER) as (deliverer, watched):
        for folder in spool.all():
            deliverer.submit(folder)
        deliverer.retry({"r-39"})
        await watched.delivered("r-39")
        await eventually(lambda: [(h.waiting, h.running) for h in deliverer.health()] == [(39, 0)])


# Targets that change, go and come --------------------------------------------------------------------------


async def test_a_mended_target_is_tried_at_once_with_everything_that_waited(spool: Spool) -> None:
    old = ToldTarget("a", raising(LOGIN))
    async with delivering([old], pauses=NEVER) as (deliverer, watched):
        for number in range(5):
            deliverer.submit(sealed(spool, f"r-{number}", "a"))
        await eventually(lambda: deliverer.health()[0].waiting == 5 and deliverer.health()[0].failures >= 1)
        await eventually(lambda: deliverer.health()[0].running == 0)
        new = ToldTarget("a")
        deliverer.put_in(new)
        for number in range(5):
            await watched.delivered(f"r-{number}")
        await eventually(old.closed.is_set)
    assert len(new.files) == 5 * len(SUFFIXES)


async def test_what_is_under_way_is_finished_with_the_old_target(spool: Spool) -> None:
    gate = Gate()
    old, new = ToldTarget("a", gate), ToldTarget("a")
    async with delivering([old], limits={"a": Limits(1)}) as (deliverer, watched):
        for number in range(3):
            deliverer.submit(sealed(spool, f"r-{number}", "a"))
        await eventually(lambda: gate.hung == 1 and deliverer.health()[0].waiting == 3)
        deliverer.put_in(new)
        await watched.delivered("r-1")
        await watched.delivered("r-2")
        deliverer.submit(sealed_again(spool, "r-0"))  # it is not given to the new one meanwhile
        assert not any(path.name.startswith("r-0") for path in new.puts)
        assert not old.closed.is_set()
        gate.open()
        await watched.delivered("r-0")
        await eventually(old.closed.is_set)
    assert {path.name for path in old.files} == {f"r-0{suffix}" for suffix in SUFFIXES}
    assert not any(path.name.startswith("r-0") for path in new.puts)


def sealed_again(spool: Spool, own: str) -> RecordingFolder:
    folder = spool.get(own)
    assert folder is not None
    return folder


async def test_what_hangs_with_the_old_target_is_given_to_the_new_one(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "RETIRING", 0.05)
    gate = Gate()
    old, new = ToldTarget("a", gate), ToldTarget("a")
    async with delivering([old]) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-1", "a"))
        await eventually(lambda: gate.hung == 1)
        deliverer.put_in(new)
        await watched.delivered()
        gate.open()
        await eventually(lambda: not gate.hung)
    assert len(watched.changes) == 1  # the old one, when it woke up, wrote nothing more
    assert len(new.files) == len(SUFFIXES)


async def test_a_target_that_is_taken_away_blocks_and_one_that_is_put_back_delivers(spool: Spool) -> None:
    old, other = ToldTarget("a", raising(UNREACHABLE)), ToldTarget("b")
    async with delivering([old, other], pauses=NEVER) as (deliverer, watched):
        folders = [sealed(spool, f"r-{number}", "a", "b") for number in range(3)]
        for folder in folders:
            deliverer.submit(folder)
        for folder in folders:
            await watched.until(lambda r, own=folder.id: r.id == own and done(r, "b"))  # type: ignore[misc]
        await eventually(lambda: not any(h.running for h in deliverer.health()))
        deliverer.take_out("a")
        await eventually(lambda: all(code_of(folder, "a") == "config.reference" for folder in folders))
        found = delivery(folders[0], "a")
        assert found.state is DeliveryState.BLOCKED
        assert '"a", which is not in the policy' in str(found.error)
        assert [h.target for h in deliverer.health()] == ["b"]
        deliverer.put_in(ToldTarget("a"))
        for folder in spool.all():
            deliverer.submit(folder)
        for folder in folders:
            await watched.delivered(folder.id)
    assert len(other.puts) == 3 * len(SUFFIXES)


def code_of(folder: RecordingFolder, target: str) -> str | None:
    found = folder.load().delivery(target)
    return None if found is None else found.error_code


async def test_targets_exchanged_all_the_time_lose_and_double_nothing(spool: Spool, tmp_path: Path) -> None:
    root = tmp_path / "a"
    async with delivering([local_target(root, "a")]) as (deliverer, watched):
        for number in range(40):
            deliverer.submit(sealed(spool, f"r-{number:02}", "a"))
            if number % 3 == 0:
                deliverer.put_in(local_target(root, "a"), Limits(1 + number % 4))
            if number % 10 == 5:
                deliverer.take_out("a")
                await asyncio.sleep(0)
                deliverer.put_in(local_target(root, "a"))
                for folder in spool.all():
                    deliverer.submit(folder)
            await asyncio.sleep(0)
        for number in range(40):
            await watched.delivered(f"r-{number:02}")
    assert list(spool.all()) == []
    assert len([p for p in root.rglob("*.*") if p.is_file()]) == 40 * len(SUFFIXES)


# Folders that move -----------------------------------------------------------------------------------------


async def test_a_folder_that_moved_to_the_second_spool_is_delivered_from_there(
    spool: Spool, tmp_path: Path
) -> None:
    torn = [TransientError("target.torn", "It broke.")]

    def act(_path: PurePosixPath) -> None:
        if torn:
            raise torn[0]

    with Spool(tmp_path / "second") as second:
        loop_thread = threading.get_ident()

        def find(own: str) -> RecordingFolder | None:
            assert threading.get_ident() != loop_thread, "a disk that hangs would hold up the calls"
            return second.get(own)

        folder = sealed(spool, "r-1", "a")
        async with delivering([ToldTarget("a", act)], find=find) as (deliverer, watched):
            deliverer.submit(folder)
            await watched.until(lambda r: r.deliveries[0].attempts == 1)
            folder.path.rename(second.root / "r-1")
            torn.clear()
            await watched.delivered()
        assert list(second.all()) == []


async def test_a_recording_that_is_gone_when_its_turn_comes_is_passed_over(spool: Spool) -> None:
    folder = sealed(spool, "r-1", "a")
    folder.remove()
    async with delivering([ToldTarget("a")]) as (deliverer, watched):
        deliverer.submit(folder)
        deliverer.submit(sealed(spool, "r-2", "a"))
        await watched.delivered("r-2")
        assert deliverer.health()[0].waiting == 0
