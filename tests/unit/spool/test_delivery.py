"""Delivery: to every target, each in its own time, whole, once; and the local copy only then gone."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from ari_recorder.model.delivery import Delivery, DeliveryState
from ari_recorder.model.errors import ConfigError, PermanentError, TransientError
from ari_recorder.model.recording import Recording, State
from ari_recorder.spool.delivery import Deliverer
from ari_recorder.spool.folders import RecordingFolder, Spool
from ari_recorder.spool.retry import Pauses
from ari_recorder.targets.base import Target

from .recordings import CERTIFICATE, SUFFIXES, ToldTarget, contents, local_target, recording, sealed, stored

QUICK = Pauses(first=0.01, first_blocked=0.01, longest=0.05)
NEVER = Pauses(first=1000, first_blocked=1000, longest=1000)


class Watched:
    """What `on_change` told."""

    def __init__(self) -> None:
        self.changes: list[Recording] = []
        self._more = asyncio.Event()

    def __call__(self, changed: Recording) -> None:
        self.changes.append(changed)
        self._more.set()

    async def until(self, wanted: Callable[[Recording], bool], count: int = 1) -> Recording:
        """The last of `count` changes that are as wanted."""
        async with asyncio.timeout(20):
            while len(found := [r for r in self.changes if wanted(r)]) < count:
                self._more.clear()
                await self._more.wait()
        return found[-1]

    async def delivered(self, own: str = "r-1") -> Recording:
        return await self.until(lambda r: r.id == own and r.state is State.DELIVERED)


async def eventually(ask: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not ask():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def delivering(
    targets: Mapping[str, Target] | Sequence[Target], **more: Any
) -> AsyncIterator[tuple[Deliverer, Watched]]:
    watched = Watched()
    by_name = targets if isinstance(targets, Mapping) else {t.name: t for t in targets}
    deliverer = Deliverer(by_name, on_change=watched, **{"pauses": QUICK, **more})
    task = asyncio.create_task(deliverer.run())
    try:
        yield deliverer, watched
    finally:
        await deliverer.close(5)
        await task


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool") as made:
        yield made


def expected(own: str = "r-1") -> dict[str, bytes]:
    return {f"2026/11/21/{name}": content for name, content in contents(own).items()}


def delivery(folder: RecordingFolder, target: str) -> Delivery:
    found = folder.load().delivery(target)
    assert found is not None
    return found


def done(recording: Recording, target: str) -> bool:
    found = recording.delivery(target)
    return found is not None and found.state is DeliveryState.DELIVERED


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Folders are named by local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# As it should go -------------------------------------------------------------------------------------------


async def test_every_file_reaches_every_target_and_the_folder_goes(spool: Spool, tmp_path: Path) -> None:
    folder = sealed(spool, "r-1", "a", "b")
    targets: list[Target] = [local_target(tmp_path / name, name) for name in ("a", "b")]
    async with delivering(targets) as (deliverer, watched):
        deliverer.submit(folder)
        last = await watched.delivered()
    assert stored(tmp_path / "a") == stored(tmp_path / "b") == expected()
    assert not folder.path.exists()
    assert list(spool.all()) == []
    for one in last.deliveries:
        assert one.state is DeliveryState.DELIVERED
        assert one.attempts == 1
        assert one.folder == "2026/11/21"
        assert [r.path for r in one.receipts] == list(expected())
        assert {r.how for r in one.receipts} == {"read-back"}


async def test_the_signature_comes_last(spool: Spool) -> None:
    told = ToldTarget("a")
    async with delivering([told]) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-1", "a"))
        await watched.delivered()
    assert [path.name for path in told.puts] == [f"r-1{suffix}" for suffix in SUFFIXES]


async def test_the_local_copy_stays_until_the_last_target_has_confirmed(spool: Spool) -> None:
    gate = threading.Event()
    quick, slow = ToldTarget("quick"), ToldTarget("slow", lambda _: (gate.wait(20), None)[1])
    folder = sealed(spool, "r-1", "quick", "slow")
    async with delivering([quick, slow]) as (deliverer, watched):
        deliverer.submit(folder)
        first = await watched.until(lambda r: done(r, "quick"))
        assert first.state is State.DELIVERING
        assert delivery(folder, "quick").state is DeliveryState.DELIVERED
        assert (folder.path / "r-1.wav").exists()
        gate.set()
        await watched.delivered()
    assert not folder.path.exists()


async def test_the_certificate_stands_in_each_targets_root(spool: Spool, tmp_path: Path) -> None:
    certificate = tmp_path / "certificate.crt"
    certificate.write_bytes(b"certificate")
    told = ToldTarget("a")
    async with delivering(
        [told], certificate=lambda sha256: certificate if sha256 == CERTIFICATE else None
    ) as (
        deliverer,
        watched,
    ):
        for own in ("r-1", "r-2"):
            deliverer.submit(sealed(spool, own, "a"))
            await watched.delivered(own)
    name = PurePosixPath("ari-recorder-c0ffee00c0ffee00.crt")
    assert told.puts.count(name) == 1
    assert told.puts[0] == name
    assert told.files[name] == b"certificate"


async def test_no_target_chosen_stays_sealed_in_the_spool(spool: Spool) -> None:
    folder = sealed(spool, "r-1")
    other = sealed(spool, "r-2", "a")
    async with delivering([ToldTarget("a")]) as (deliverer, watched):
        deliverer.submit(folder)
        deliverer.submit(other)
        await watched.delivered("r-2")
    assert folder.load().state is State.SEALED
    assert (folder.path / "r-1.wav").exists()


async def test_what_is_not_sealed_yet_is_left_alone(spool: Spool) -> None:
    early = spool.create(recording("early", "a", state=State.CAPTURING))
    async with delivering([ToldTarget("a")]) as (deliverer, watched):
        for folder in (early, sealed(spool, "r-1", "a")):
            deliverer.submit(folder)
        await watched.delivered()
    assert early.load().state is State.CAPTURING


async def test_submitting_twice_delivers_once(spool: Spool) -> None:
    told = ToldTarget("a")
    folder = sealed(spool, "r-1", "a")
    async with delivering([told]) as (deliverer, watched):
        for _ in range(5):
            deliverer.submit(folder)
        await watched.delivered()
        deliverer.submit(folder)  # it is gone by now: no harm
        deliverer.submit(sealed(spool, "r-2", "a"))
        await watched.delivered("r-2")
    assert len(told.puts) == 2 * len(SUFFIXES)


async def test_two_at_once_and_never_more(spool: Spool) -> None:
    both = threading.Barrier(2)
    told = ToldTarget("a", lambda path: (both.wait(20), None)[1] if path.suffix == ".wav" else None)
    async with delivering([told]) as (deliverer, watched):
        for number in range(6):
            deliverer.submit(sealed(spool, f"r-{number}", "a"))
        for number in range(6):
            await watched.delivered(f"r-{number}")
    assert told.most_at_once == 2


# Failing ---------------------------------------------------------------------------------------------------


class Failing:
    """Fails a number of times, or until told otherwise."""

    def __init__(self, error: Exception, times: float = float("inf")) -> None:
        self.error = error
        self.left = times
        self.calls = 0

    def __call__(self, _path: PurePosixPath) -> None:
        self.calls += 1
        self.left -= 1
        if self.left >= 0:
            raise self.error


async def test_a_passing_fault_is_tried_again_until_it_works(spool: Spool) -> None:
    told = ToldTarget("a", Failing(TransientError("target.torn", "It broke."), 4))
    async with delivering([told]) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-1", "a"))
        last = await watched.delivered()
    assert last.deliveries[0].attempts == 5
    assert last.deliveries[0].error is None
    assert [r.deliveries[0].attempts for r in watched.changes] == [1, 2, 3, 4, 5]


async def test_a_target_that_hangs_delays_no_other(spool: Spool) -> None:
    gate = threading.Event()
    hanging, well = ToldTarget("hanging", lambda _: (gate.wait(20), None)[1]), ToldTarget("well")
    async with delivering([hanging, well]) as (deliverer, watched):
        for number in range(10):
            deliverer.submit(sealed(spool, f"r-{number}", "hanging", "well"))
        await eventually(lambda: len(well.files) == 10 * len(SUFFIXES))
        await eventually(
            lambda: (
                {h.target: (h.waiting, h.running) for h in deliverer.health()}
                == {"hanging": (10, 2), "well": (0, 0)}
            )
        )
        gate.set()
        for number in range(10):
            await watched.delivered(f"r-{number}")


async def test_what_a_person_must_mend_is_shown_as_blocked_and_nothing_is_lost(spool: Spool) -> None:
    error = ConfigError("target.login", "The server refused.", remedy="Check the password.")
    failing = Failing(error)
    folder = sealed(spool, "r-1", "a")
    async with delivering([ToldTarget("a", failing)]) as (deliverer, watched):
        deliverer.submit(folder)
        await watched.until(lambda r: r.deliveries[0].state is DeliveryState.BLOCKED)
        found = delivery(folder, "a")
        assert found.error_code == "target.login"
        assert found.error == "The server refused. Check the password. [target.login]"
        assert found.next_try_at is not None
        (health,) = deliverer.health()
        assert health.error_code == "target.login"
        assert health.failures >= 1
        failing.left = 0
        await watched.delivered()
        (health,) = deliverer.health()
        assert (health.error_code, health.failures, health.waiting) == (None, 0, 0)


async def test_a_conflict_blocks_one_recording_and_no_other(spool: Spool, tmp_path: Path) -> None:
    root = tmp_path / "a"
    target = local_target(root, "a")
    (root / "2026/11/21").mkdir(parents=True)
    (root / "2026/11/21/r-1_info.txt").write_bytes(b"something else")
    folder = sealed(spool, "r-1", "a")
    async with delivering([target]) as (deliverer, watched):
        deliverer.submit(folder)
        deliverer.submit(sealed(spool, "r-2", "a"))
        await watched.delivered("r-2")
        await watched.until(lambda r: r.id == "r-1" and r.deliveries[0].state is DeliveryState.BLOCKED)
        assert delivery(folder, "a").error_code == "target.conflict"
        assert [r.path for r in delivery(folder, "a").receipts] == ["2026/11/21/r-1.wav"]
        assert (root / "2026/11/21/r-1_info.txt").read_bytes() == b"something else"
        (root / "2026/11/21/r-1_info.txt").unlink()
        await watched.delivered("r-1")
    assert stored(root) == expected() | expected("r-2")


async def test_a_dead_target_is_left_in_peace_by_all_that_wait(spool: Spool) -> None:
    told = ToldTarget("a", Failing(TransientError("target.unreachable", "It does not answer.")))
    async with delivering([told], pauses=NEVER) as (deliverer, _):
        for number in range(20):
            deliverer.submit(sealed(spool, f"r-{number:02}", "a"))
        await eventually(lambda: deliverer.health()[0].waiting == 20 and deliverer.health()[0].running == 0)
        (health,) = deliverer.health()
        assert health.failures == 1
        assert health.next_try_at is not None
    assert 1 <= len(told.puts) <= 2  # those that were under way when it died


async def test_a_dead_target_is_probed_by_one_at_a_time_and_then_served_at_once(spool: Spool) -> None:
    failing = Failing(TransientError("target.unreachable", "It does not answer."))
    told = ToldTarget("a", failing)
    async with delivering([told]) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-00", "a"))
        await eventually(lambda: failing.calls >= 1)
        for number in range(1, 20):
            deliverer.submit(sealed(spool, f"r-{number:02}", "a"))
        await eventually(lambda: failing.calls >= 6)
        assert told.most_at_once == 1
        failing.left = 0
        for number in range(20):
            await watched.delivered(f"r-{number:02}")


async def test_an_altered_file_is_not_delivered_and_not_deleted(spool: Spool, tmp_path: Path) -> None:
    folder = sealed(spool, "r-1", "a")
    (folder.path / "r-1.json").write_bytes(b"altered")
    async with delivering([local_target(tmp_path / "a", "a")]) as (deliverer, watched):
        deliverer.submit(folder)
        await watched.until(lambda r: r.deliveries[0].state is DeliveryState.BLOCKED)
    assert delivery(folder, "a").error_code == "evidence.altered"
    assert folder.path.exists()
    assert not any(name.endswith((".json", ".sig")) for name in stored(tmp_path / "a"))


async def test_a_target_that_breaks_its_contract_is_a_fault_and_no_end(spool: Spool) -> None:
    told = ToldTarget("a", Failing(ZeroDivisionError("oops"), 2))
    folder = sealed(spool, "r-1", "a")
    async with delivering([told]) as (deliverer, watched):
        deliverer.submit(folder)
        await watched.delivered()
    assert watched.changes[0].deliveries[0].error_code == "target.fault"
    assert "oops" in str(watched.changes[0].deliveries[0].error)


async def test_a_receipt_for_something_else_is_a_mismatch(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ToldTarget("a")
    put = told.put
    monkeypatch.setattr(told, "put", lambda *w, **m: replace(put(*w, **m), sha256="00"))
    folder = sealed(spool, "r-1", "a")
    async with delivering([told], pauses=NEVER) as (deliverer, watched):
        deliverer.submit(folder)
        await watched.until(lambda r: r.deliveries[0].error_code == "target.mismatch")
    assert folder.path.exists()


async def test_a_target_that_the_policy_lost_is_named_and_the_others_are_served(spool: Spool) -> None:
    told = ToldTarget("there")
    folder = sealed(spool, "r-1", "gone", "there")
    async with delivering([told]) as (deliverer, watched):
        deliverer.submit(folder)
        await watched.until(
            lambda r: r.delivery("there") is not None and r.delivery("there").state is DeliveryState.DELIVERED  # type: ignore[union-attr]
        )
    lost = delivery(folder, "gone")
    assert lost.state is DeliveryState.BLOCKED
    assert lost.error_code == "config.reference"
    assert '"gone"' in str(lost.error)
    assert len(told.files) == len(SUFFIXES)
    again = ToldTarget("gone")
    async with delivering([told, again]) as (deliverer, watched):
        deliverer.submit(folder)
        await watched.delivered()
    assert len(again.files) == len(told.puts) == len(SUFFIXES)


async def test_a_spool_that_cannot_be_written_loses_nothing(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ToldTarget("a")
    folder = sealed(spool, "r-1", "a")
    save = RecordingFolder.save
    left = [3]

    def full(self: RecordingFolder, changed: Recording) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise TransientError("spool.full", "No space is left.")
        save(self, changed)

    monkeypatch.setattr(RecordingFolder, "save", full)
    async with delivering([told]) as (deliverer, watched):
        deliverer.submit(folder)
        await watched.delivered()
    assert len(told.files) == len(SUFFIXES)


async def test_a_damaged_journal_is_passed_over(spool: Spool) -> None:
    bad = sealed(spool, "bad", "a")
    (bad.path / "recording.json").write_text("{")
    async with delivering([ToldTarget("a")]) as (deliverer, watched):
        deliverer.submit(bad)
        deliverer.submit(sealed(spool, "r-1", "a"))
        await watched.delivered()
    assert bad.path.exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
async def test_a_disk_that_fails_at_a_look_or_a_read_is_asked_again(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Once, and while the disk's own watch finds nothing wrong with it."""
    looks, reads = {"r-look"}, {"r-read"}
    exists, read_text = Path.exists, Path.read_text

    def look(self: Path) -> bool:
        if self.name in looks:
            looks.discard(self.name)
            raise OSError(number, os.strerror(number), str(self))
        return exists(self)

    def read(self: Path, **how: Any) -> str:
        if self.parent.name in reads:
            reads.discard(self.parent.name)
            raise OSError(number, os.strerror(number), str(self))
        return read_text(self, **how)

    monkeypatch.setattr("ari_recorder.spool.delivery.AGAIN", 0.01)
    damaged: list[str] = []
    folders = [sealed(spool, own, "a") for own in ("r-look", "r-read")]
    monkeypatch.setattr(Path, "exists", look)
    monkeypatch.setattr(Path, "read_text", read)
    async with delivering([ToldTarget("a")], on_damaged=lambda folder, _: damaged.append(folder.id)) as (
        deliverer,
        watched,
    ):
        for folder in folders:
            deliverer.submit(folder)
        await watched.delivered("r-look")
        await watched.delivered("r-read")
    assert damaged == ["r-read"]


async def test_a_folder_moved_to_another_recorder_is_let_go(spool: Spool, tmp_path: Path) -> None:
    failing = Failing(TransientError("target.torn", "It broke."))
    folder = sealed(spool, "r-1", "a")
    async with delivering([ToldTarget("a", failing)]) as (deliverer, watched):
        deliverer.submit(folder)
        await watched.until(lambda r: r.deliveries[0].attempts == 2)
        folder.path.rename(tmp_path / "moved")
        await eventually(lambda: deliverer.health()[0].waiting == 0)


# Across restarts -------------------------------------------------------------------------------------------


async def test_after_a_restart_only_what_is_missing_is_sent(spool: Spool) -> None:
    stop = Failing(TransientError("target.torn", "It broke."), 0)
    told = ToldTarget("a", lambda path: stop(path) if path.suffix == ".sha256" else None)
    stop.left = 1
    folder = sealed(spool, "r-1", "a")
    async with delivering([told], pauses=NEVER) as (deliverer, watched):
        deliverer.submit(folder)
        await watched.until(lambda r: len(r.deliveries[0].receipts) == 3)
    folder.update(lambda r: replace(r, deliveries=(replace(r.deliveries[0], next_try_at=None),)))
    async with delivering([told]) as (deliverer, watched):
        deliverer.submit(folder)
        await watched.delivered()
    assert [p.name for p in told.puts].count("r-1.wav") == 1
    assert len(told.files) == len(SUFFIXES)


async def test_a_template_changed_meanwhile_does_not_split_a_recording(spool: Spool) -> None:
    stop = Failing(TransientError("target.torn", "It broke."), 1)
    told = ToldTarget("a", lambda path: stop(path) if path.suffix == ".json" else None)
    folder = sealed(spool, "r-1", "a")
    async with delivering([told], pauses=NEVER) as (deliverer, watched):
        deliverer.submit(folder)
        await watched.until(lambda r: r.deliveries[0].attempts == 1)
    folder.update(lambda r: replace(r, deliveries=(replace(r.deliveries[0], next_try_at=None),)))
    told.path_template = "$setting"
    async with delivering([told]) as (deliverer, watched):
        deliverer.submit(folder)
        await watched.delivered()
    assert {str(path.parent) for path in told.files} == {"2026/11"}


async def test_a_pause_lasts_over_a_restart_but_not_for_a_whole_target(spool: Spool) -> None:
    for own, code in (("r-1", "target.conflict"), ("r-2", "target.unreachable")):
        folder = sealed(spool, own, "a")
        told = ToldTarget("a", Failing(PermanentError(code, "No.")))
        async with delivering([told], pauses=NEVER) as (deliverer, watched):
            deliverer.submit(folder)
            await watched.until(lambda r: r.deliveries[0].attempts == 1)
    told = ToldTarget("a")
    async with delivering([told], pauses=NEVER) as (deliverer, watched):
        for folder in spool.all():
            deliverer.submit(folder)
        await watched.delivered("r-2")
        assert deliverer.health()[0].waiting == 1
    assert [p.name for p in told.puts] == [f"r-2{suffix}" for suffix in SUFFIXES]


async def test_a_target_that_asked_for_peace_has_it_over_a_restart(spool: Spool) -> None:
    asked = TransientError("target.busy", "Later.", retry_after=900)
    told = ToldTarget("a", Failing(asked))
    async with delivering([told]) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-1", "a"))
        await watched.until(lambda r: r.deliveries[0].attempts == 1)
    sealed(spool, "r-2", "a")  # never tried: it would come just as early
    told = ToldTarget("a")
    async with delivering([told], pauses=NEVER) as (deliverer, watched):
        for folder in spool.all():
            deliverer.submit(folder)
        await eventually(lambda: deliverer.health()[0].waiting == 2)
        await asyncio.sleep(0)
        (health,) = deliverer.health()
        assert health.running == 0
        assert health.next_try_at is not None
        assert 800 < (health.next_try_at - datetime.now(UTC)).total_seconds() <= 900
        assert told.puts == []
        deliverer.retry()
        await watched.delivered("r-1")
        await watched.delivered("r-2")


async def test_a_recording_that_was_delivered_but_not_removed_is_removed(spool: Spool) -> None:
    folder = sealed(spool, "r-1", "a")
    folder.update(lambda r: r.moved(State.DELIVERED))
    told = ToldTarget("a")
    async with delivering([told]) as (deliverer, _):
        deliverer.submit(folder)
        await eventually(lambda: not folder.path.exists())
    assert told.puts == []


# The end ---------------------------------------------------------------------------------------------------


async def test_closing_waits_for_what_is_under_way(spool: Spool) -> None:
    begun, gate = threading.Event(), threading.Event()

    def wait(_path: PurePosixPath) -> None:
        begun.set()
        gate.wait(20)

    told = ToldTarget("a", wait)
    folder = sealed(spool, "r-1", "a")
    async with delivering([told]) as (deliverer, watched):
        deliverer.submit(folder)
        await eventually(begun.is_set)
        closing = asyncio.create_task(deliverer.close(20))
        await asyncio.sleep(0)
        assert not closing.done()
        gate.set()
        await closing
    assert watched.changes[-1].state is State.DELIVERED
    assert told.closed.is_set()


async def test_closing_lets_go_of_what_hangs_and_that_writes_nothing_more(spool: Spool) -> None:
    begun, gate, ended = threading.Event(), threading.Event(), threading.Event()

    def wait(path: PurePosixPath) -> None:
        begun.set()
        gate.wait(20)
        if path.suffix == ".sig":
            ended.set()

    folder = sealed(spool, "r-1", "a")
    async with delivering([ToldTarget("a", wait)]) as (deliverer, watched):
        deliverer.submit(folder)
        await eventually(begun.is_set)
        before = time.monotonic()
        await deliverer.close(0.05)
        assert time.monotonic() - before < 3
        gate.set()
        await eventually(ended.is_set)
    assert [t for t in threading.enumerate() if t.name == "deliver-a" and not t.daemon] == []
    assert folder.load().state is State.DELIVERING
    assert watched.changes == []
    async with delivering([ToldTarget("a")]) as (deliverer, watched):
        deliverer.submit(folder)
        await watched.delivered()


async def test_cancelling_the_task_ends_it(spool: Spool) -> None:
    gate = threading.Event()
    deliverer = Deliverer({"a": ToldTarget("a", lambda _: (gate.wait(20), None)[1])})
    task = asyncio.create_task(deliverer.run())
    deliverer.submit(sealed(spool, "r-1", "a"))
    await eventually(lambda: deliverer.health()[0].running == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await deliverer.close(1)


async def test_closing_before_anything_ran() -> None:
    told = ToldTarget("a")
    await Deliverer({"a": told}).close()
    assert told.closed.is_set()
    await Deliverer({}).close()


async def test_a_mistake_in_on_change_is_not_swallowed_and_stops_no_delivery(spool: Spool) -> None:
    told = ToldTarget("a")

    def broken(_recording: Recording) -> None:
        raise RuntimeError("broken")

    deliverer = Deliverer({"a": told}, on_change=broken, pauses=QUICK)
    task = asyncio.create_task(deliverer.run())
    for number in range(3):
        deliverer.submit(sealed(spool, f"r-{number}", "a"))
    await eventually(lambda: len(told.files) == 3 * len(SUFFIXES))
    await deliverer.close(5)
    await task


async def test_the_loop_is_never_blocked(spool: Spool) -> None:
    """A target that holds its thread must not hold the loop."""
    gate = threading.Event()
    told = ToldTarget("a", lambda _: (gate.wait(20), None)[1])
    async with delivering([told]) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-1", "a"))
        await eventually(lambda: deliverer.health()[0].running)
        longest = 0.0
        for _ in range(20):
            before = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - before)
        gate.set()
        await watched.delivered()
    assert longest < 1


async def test_waiting_recordings_cost_no_memory_for_their_contents(spool: Spool) -> None:
    """The queue holds folders, not recordings."""
    told = ToldTarget("a", Failing(TransientError("target.unreachable", "Down.")))
    async with delivering([told], pauses=NEVER) as (deliverer, _):
        for number in range(30):
            deliverer.submit(sealed(spool, f"r-{number}", "a"))
        await eventually(lambda: deliverer.health()[0].waiting == 30)
        held = [item for lane in deliverer._lanes.values() for item in lane._due]
        assert all(isinstance(entry[3], RecordingFolder) for entry in held)
