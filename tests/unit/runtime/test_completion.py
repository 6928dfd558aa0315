"""From captured to sealed on real files: what is retried, what fails, what is thrown away."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ari_recorder.asterisk.legs import Found, LegStore, SharedFolder
from ari_recorder.evidence.chain import Chain
from ari_recorder.evidence.keys import Keys, ensure_keys
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.recording import Call, Chosen, Leg, Recording, Segment, State
from ari_recorder.pipeline import Pipeline
from ari_recorder.runtime import completion
from ari_recorder.runtime.completion import Completion
from ari_recorder.runtime.conditions import Conditions
from ari_recorder.spool.folders import RecordingFolder, Spool
from ari_recorder.spool.place import Place
from ari_recorder.spool.places import Spools
from ari_recorder.spool.stuck import trouble
from ari_recorder.spool.waits import hanging
from ari_recorder.targets.paths import base_name

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    return ensure_keys(folder / "key.pem", folder / "crt.pem", folder / "pass", "test")


class Bench:
    """A spool, Asterisk's folder, and a completion that works on them."""

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.asterisk = folder / "asterisk"
        self.spool: Spool = Spool(folder / "spool").open()
        self.chain = Chain(folder / "chain.jsonl")
        self.sealed: list[RecordingFolder] = []
        self.undeletable: list[tuple[str, tuple[str, ...]]] = []
        pipeline = Pipeline(
            keys, self.chain, {"pbx": self.asterisk}, lambda pbx, names: self.undeletable.append((pbx, names))
        )
        self.conditions = Conditions()
        self.completion = Completion(pipeline, self.sealed.append, self.conditions)

    def record(self, name: str, *, pbx: str = "pbx", state: State = State.CAPTURED) -> RecordingFolder:
        legs = (
            Leg(f"ari-recorder/{name}/1-{side}", f"{name}.1-{side}", NOW, NOW, NOW + timedelta(seconds=1))
            for side in ("remote", "local")
        )
        call = Call(pbx, "c", Direction.INBOUND, Party("030"), Party("1001"), created_at=NOW)
        segment = Segment(1, 8000, "alaw", "start", *legs)
        setting = Chosen("all", "r")
        return self.spool.create(Recording(name, state, NOW, call, setting, (segment,)))

    def write_legs(self, name: str) -> None:
        for side in ("remote", "local"):
            path = self.asterisk / "ari-recorder" / name / f"1-{side}.sln"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"\x08\x00" * 8000)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.completion.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def bench(tmp_path: Path, keys: Keys) -> Iterator[Bench]:
    bench = Bench(tmp_path, keys)
    yield bench
    bench.spool.close()
    bench.chain.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_captured_recording_is_sealed_and_the_pbx_is_cleared(bench: Bench) -> None:
    folder = bench.record("a")
    bench.write_legs("a")
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: bool(bench.sealed))
    recording = folder.load()
    assert recording.state is State.SEALED
    assert recording.assembled is not None
    assert recording.assembled.exact
    assert recording.call.ended_at == NOW + timedelta(seconds=1)
    assert not list(bench.asterisk.rglob("*.sln"))
    assert not folder.legs.exists()


async def test_a_disk_that_fails_at_a_look_is_looked_at_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XFS answers EIO to everything once it has shut itself down."""
    monkeypatch.setattr(completion, "LONGEST_PAUSE", 0.05)
    folder = bench.record("a")
    bench.write_legs("a")
    looks = 0

    def failing(self: RecordingFolder) -> Recording:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise OSError(errno.EIO, "Input/output error")
        return load(self)

    load = RecordingFolder.load
    monkeypatch.setattr(RecordingFolder, "load", failing)
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: bool(bench.sealed))


async def test_an_unmounted_folder_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "FIRST_PAUSE", 0.05)
    folder = bench.record("a")
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: bool(bench.completion._pauses))
        assert folder.load().state is State.CAPTURED
        bench.write_legs("a")
        await until(lambda: bool(bench.sealed))


async def test_whether_a_folder_is_still_there_is_looked_up_in_a_thread(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = set[str]()

    def is_there(_folder: RecordingFolder) -> bool:
        looked.add(threading.current_thread().name)
        return True

    monkeypatch.setattr(completion, "_is_there", is_there)
    bench.completion.submit(bench.record("r1"))
    damaged = bench.record("r2")
    (damaged.path / "recording.json").write_text("{", encoding="ascii")
    bench.completion.submit(damaged)
    async with bench.running():
        await until(lambda: looked == {"look-for-r1", "completion-intake"})


async def test_what_can_never_work_fails_with_its_reason_and_keeps_the_folder(bench: Bench) -> None:
    (bench.asterisk / "ari-recorder").mkdir(parents=True)
    folder = bench.record("a")
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: folder.load().state is State.FAILED)
    assert "capture.no-legs" in (folder.load().reason or "")
    assert len(bench.chain) == 0


async def test_a_pbx_that_is_no_longer_configured_is_waited_for(bench: Bench) -> None:
    folder = bench.record("a", pbx="gone")
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: bool(bench.completion._pauses))
    assert folder.load().state is State.CAPTURED


async def test_a_refused_call_leaves_nothing_behind(bench: Bench) -> None:
    folder = bench.record("a", state=State.REFUSED)
    bench.write_legs("a")
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: not folder.path.exists())
    assert not list(bench.asterisk.rglob("*.sln"))


async def test_what_may_not_be_deleted_here_is_left_to_asterisk(bench: Bench) -> None:
    folder = bench.record("a", state=State.REFUSED)
    bench.write_legs("a")
    stubborn = bench.asterisk / "ari-recorder" / "a" / "1-remote.sln"
    stubborn.unlink()
    stubborn.mkdir()  # deleting it fails for root, too
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: not folder.path.exists())
    assert bench.undeletable == [("pbx", ("ari-recorder/a/1-remote",))]
    assert not stubborn.with_name("1-local.sln").exists()


async def test_one_leg_missing_is_stated_and_the_other_kept(bench: Bench) -> None:
    folder = bench.record("a")
    bench.write_legs("a")
    (bench.asterisk / "ari-recorder" / "a" / "1-local.sln").unlink()
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: bool(bench.sealed))
    recording = folder.load()
    assert recording.segments[0].local.error == "Asterisk left no file"
    assert recording.assembled is not None
    assert recording.assembled.edits


# One disk does not hold up another -----------------------------------------------------------------------


def two_spools(bench: Bench, folder: Path) -> tuple[Spools, Place]:
    """The bench's spool and a second one; the place of the second."""
    bench.spool.close()
    bench.spool = Spools(folder / "spool", state=folder, second=folder / "second").open()
    return bench.spool, bench.spool.places[1]


async def test_a_spool_folder_that_hangs_holds_up_no_other(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "DISK", 0.05)
    answers = threading.Event()
    spools, second = two_spools(bench, tmp_path)
    first = [bench.record(f"first-{n}") for n in range(2)]
    spools.move("first-0", second)
    for folder in first:
        bench.write_legs(folder.id)
    load = RecordingFolder.load

    def waits(self: RecordingFolder) -> Recording:
        if self.path.parent == second.root:
            answers.wait(20)
        return load(self)

    monkeypatch.setattr(RecordingFolder, "load", waits)
    async with bench.running():
        for folder in first:
            bench.completion.submit(folder)
        await until(lambda: bool(bench.sealed))
        assert [folder.id for folder in bench.sealed] == ["first-1"]
        answers.set()
        await until(lambda: len(bench.sealed) == 2)


async def test_a_recording_whose_disk_is_known_to_hang_is_not_touched(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "HANGING", 0.05)
    spools, second = two_spools(bench, tmp_path)
    folder = bench.record("a")
    bench.write_legs("a")
    spools.move("a", second)
    second.hang(hanging(second))
    read = list[str]()
    load = RecordingFolder.load

    def noted(self: RecordingFolder) -> Recording:
        read.append(self.id)
        return load(self)

    monkeypatch.setattr(RecordingFolder, "load", noted)
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: bool(bench.completion._timers))
        assert not read
        second.answers()
        await until(lambda: bool(bench.sealed))


async def test_a_read_error_is_no_damage(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "LONGEST_PAUSE", 0.01)
    folder = bench.record("a")
    bench.write_legs("a")
    fails = [OSError(errno.EIO, "Input/output error")]
    read_text = Path.read_text

    def failing(self: Path, **more: Any) -> str:
        if fails and self.name == "recording.json":
            raise fails.pop()
        return read_text(self, **more)

    monkeypatch.setattr(Path, "read_text", failing)
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: bool(bench.sealed))
    assert bench.conditions.active() == ()


# One PBX does not hold up another -------------------------------------------------------------------------


async def test_a_folder_that_hangs_holds_up_no_other_pbxs_calls(
    bench: Bench, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung, gate = threading.Event(), threading.Event()

    class Hanging(SharedFolder):
        """A mounted folder whose server has died: every look into it waits."""

        def found(self, recording: Recording) -> Found:
            hung.set()
            gate.wait(20)
            return super().found(recording)

    stores: dict[str, Path | LegStore] = {"pbx": bench.asterisk, "dead": Hanging(bench.asterisk)}
    bench.completion = Completion(Pipeline(keys, bench.chain, stores), bench.sealed.append)
    folders = [bench.record(f"dead-{n}", pbx="dead") for n in range(5)]
    well = [bench.record(f"well-{n}") for n in range(5)]
    for folder in (*folders, *well):
        bench.write_legs(folder.id)
    async with bench.running():
        for folder in folders:
            bench.completion.submit(folder)
        await until(hung.is_set)
        for folder in well:
            bench.completion.submit(folder)
        await until(lambda: len(bench.sealed) == 5)
        assert {folder.id for folder in bench.sealed} == {folder.id for folder in well}
        closing = asyncio.create_task(bench.completion.close(0.05))
        await until(closing.done)  # and it does not hold the end either
        gate.set()


async def test_what_cannot_be_sealed_is_noted_told_and_tried_again_when_asked(bench: Bench) -> None:
    folder = bench.record("a")
    bench.write_legs("a")
    stray = folder.path / f"{base_name(folder.load())}.sig"
    stray.write_bytes(b"x")
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: trouble(folder.load()) is not None)
        assert folder.load().state is State.ASSEMBLED
        assert "seal.chain" in str(trouble(folder.load()))
        condition = bench.conditions.get("recording:a")
        assert condition is not None
        assert condition.code == "seal.chain"
        await until(lambda: not bench.completion._known)  # it is not tried again by itself
        stray.unlink()
        bench.completion.submit(folder)
        await until(lambda: bool(bench.sealed))
    assert trouble(folder.load()) is None
    assert [(note.what, note.until is None) for note in folder.load().notes] == [("stuck", False)]
    assert bench.conditions.get("recording:a") is None


async def test_a_recording_submitted_again_and_again_is_sealed_once(bench: Bench) -> None:
    folder = bench.record("a")
    bench.write_legs("a")
    async with bench.running():
        for _ in range(10):
            bench.completion.submit(folder)
            await asyncio.sleep(0)
        await until(lambda: bool(bench.sealed) and not bench.completion._known)
    assert len(bench.chain) == 1


async def test_what_waits_for_its_next_try_is_tried_now_when_it_is_submitted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "FIRST_PAUSE", 1000.0)
    folder = bench.record("a")
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: bool(bench.completion._timers))
        bench.write_legs("a")
        bench.completion.submit(folder)
        await until(lambda: bool(bench.sealed))
        assert not bench.completion._timers
        assert not bench.completion._pauses


async def test_a_folder_that_is_long_away_is_told_as_a_condition(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(completion, "LONG_PAUSE", 0.03)
    folder = bench.record("a")
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: bench.conditions.get("completion:pbx") is not None)
        bench.write_legs("a")
        await until(lambda: bool(bench.sealed))
        await until(lambda: bench.conditions.get("completion:pbx") is None)


async def test_a_damaged_journal_is_told_and_left_alone(bench: Bench) -> None:
    folder = bench.record("a")
    (folder.path / "recording.json").write_text("{")
    async with bench.running():
        bench.completion.submit(folder)
        await until(lambda: bench.conditions.get("recording:a") is not None)
    assert (folder.path / "recording.json").read_text() == "{"
