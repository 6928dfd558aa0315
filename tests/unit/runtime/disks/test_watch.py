"""The watch on the disks: what it says when, and what it does about spool folders that come and go."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ari_recorder.config.disk import DiskSettings
from ari_recorder.disk.space import Space, space
from ari_recorder.model.errors import TransientError
from ari_recorder.model.recording import State
from ari_recorder.runtime.backlog import Backlog
from ari_recorder.runtime.conditions import Conditions, Severity
from ari_recorder.runtime.disks import report as disk_report
from ari_recorder.runtime.disks import watch as disk_watch
from ari_recorder.runtime.disks.report import DiskLine
from ari_recorder.runtime.disks.verdict import judge, size, span
from ari_recorder.runtime.disks.watch import DiskWatch
from ari_recorder.spool import place as place_module
from ari_recorder.spool.places import Spools
from tests.unit.spool.recordings import recording, sealed

GB = 10**9
SETTINGS = DiskSettings()


class Scene:
    """A spool, a second one, Asterisk's folder and a target, on disks of 100 GB each."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.free: dict[str, int] = {}
        self._hung: dict[str, threading.Event] = {}
        self.running = 0
        self.now = 1000.0
        self.back: list[Backlog] = []
        for name in ("state", "pbx", "archive"):
            (folder / name).mkdir()
        monkeypatch.setattr(disk_watch, "space", self._space)
        monkeypatch.setattr(place_module, "space", self._space)
        self.spools = Spools(
            folder / "first", state=folder / "state", second=folder / "second", stop_at_free=200_000_000
        ).open()
        self.conditions = Conditions()
        self.targets = {"archive": folder / "archive"}
        self.watch = DiskWatch(
            self.spools,
            SETTINGS,
            folder / "state",
            self.conditions,
            pbxs={"main": folder / "pbx", "remote": folder / "not-here"},
            running=lambda: {"main": self.running},
            targets=lambda: self.targets,
            back=self.back.append,
            clock=lambda: self.now,
            patience=0.5,
        )

    def hang(self, name: str) -> None:
        """Whoever asks that disk for its space waits."""
        self._hung[name] = threading.Event()

    async def until_thawed(self, name: str) -> None:
        self._hung.pop(name).set()
        async with asyncio.timeout(20):
            while "disk.silent" in {code for code, _ in self.told().values()}:
                await self.pass_time(5)

    def end(self) -> None:
        for hung in self._hung.values():
            hung.set()
        self.spools.close()

    def _space(self, path: Path) -> Space:
        if (hung := self._hung.get(path.name)) is not None:
            hung.wait(20)
        return replace(space(path), total=100 * GB, free=self.free.get(path.name, 50 * GB), files_free=None)

    async def pass_time(
        self, seconds: float, per_second: dict[str, int] | None = None, every: int = 5
    ) -> None:
        for _ in range(int(seconds / every)):
            self.now += every
            for name, lost in (per_second or {}).items():
                self.free[name] = self.free.get(name, 50 * GB) - every * lost
            await self.watch.look()

    def told(self) -> dict[str, tuple[str, Severity]]:
        return {one.key: (one.code, one.severity) for one in self.conditions.active()}

    def lines(self) -> dict[str, DiskLine]:
        report = disk_report.read(self.folder / "state")
        assert report is not None
        return {line.key: line for line in report.disks}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    made = Scene(tmp_path, monkeypatch)
    yield made
    made.end()


async def test_all_is_well_and_reported(scene: Scene) -> None:
    await scene.pass_time(10)
    assert scene.told() == {}
    lines = scene.lines()
    assert set(lines) == {"spool", "second-spool", "pbx-main", "target-archive"}
    assert (lines["spool"].free, lines["spool"].total, lines["spool"].hours) == (50 * GB, 100 * GB, None)


async def test_a_disk_that_fills_is_warned_of_then_critical_then_full(scene: Scene) -> None:
    await scene.pass_time(3600, {"first": 1_000_000}, every=60)
    assert scene.told() == {"disk:spool": ("disk.filling", Severity.WARNING)}
    condition = scene.conditions.get("disk:spool")
    assert condition is not None
    assert "will be full in 13 hours at the present rate: 46.4 GB of 100 GB are free" in condition.sentence
    scene.free["first"] = 7 * GB
    await scene.pass_time(60, {"first": 1_000_000})
    assert scene.told() == {"disk:spool": ("disk.filling", Severity.CRITICAL)}
    scene.free["first"] = 199_000_000
    await scene.pass_time(5)
    assert scene.told() == {"disk:spool": ("spool.full", Severity.CRITICAL)}
    scene.free["first"] = 90 * GB
    await scene.pass_time(7200, every=60)
    assert scene.told() == {}


async def test_what_runs_counts_before_anything_is_measured(scene: Scene) -> None:
    """100 calls: 3.2 MB a second for Asterisk's folder, 4.8 for the spool, which here is the same disk."""
    scene.running = 100
    await scene.pass_time(5)
    lines = scene.lines()
    assert lines["pbx-main"].rate == pytest.approx(8_000_000, rel=0.01)
    assert lines["spool"].hours == pytest.approx(49.8e9 / 8e6 / 3600, rel=0.01)


async def test_asterisks_full_disk_begins_no_recording(scene: Scene) -> None:
    scene.watch.demand_room(recording())
    new = replace(recording(), call=replace(recording().call, pbx="main"))
    scene.free["pbx"] = 199_000_000
    scene.watch.demand_room(new)  # nothing is measured yet
    await scene.pass_time(5)
    scene.hang("pbx")  # to be asked costs no call any time
    with pytest.raises(TransientError, match=r"199 MB are free .* 200 MB have to be") as caught:
        scene.watch.demand_room(new)
    assert caught.value.code == "capture.disk-full"
    scene.watch.demand_room(replace(new, state=State.CAPTURING))
    assert scene.told() == {"disk:pbx-main": ("capture.disk-full", Severity.CRITICAL)}


async def test_a_pbx_whose_folder_is_gone_is_no_longer_judged_by_it(scene: Scene) -> None:
    new = replace(recording(), call=replace(recording().call, pbx="main"))
    scene.free["pbx"] = 199_000_000
    await scene.pass_time(5)
    (scene.folder / "pbx").rename(scene.folder / "away")
    await scene.pass_time(5)
    scene.watch.demand_room(new)


async def test_a_spool_folder_that_does_not_answer_is_left_out_until_it_does(scene: Scene) -> None:
    sealed(scene.spools, "r-1")
    scene.hang("first")
    await scene.pass_time(5)
    assert [place.name for place in scene.spools.places if place.hangs] == ["primary"]
    assert scene.told() == {"disk:spool": ("disk.silent", Severity.CRITICAL)}
    await scene.until_thawed("first")
    assert [folder.id for found in scene.back for folder in found.to_deliver] == ["r-1"]
    assert scene.spools.whole


async def test_a_target_whose_folder_is_changed_is_no_longer_silent(scene: Scene) -> None:
    scene.hang("archive")
    await scene.pass_time(5)
    assert set(scene.told()) == {"disk:target-archive"}
    (scene.folder / "other").mkdir()
    scene.targets["archive"] = scene.folder / "other"
    await scene.pass_time(5)
    assert scene.told() == {}
    assert scene.lines()["target-archive"].free == 50 * GB
    scene.targets["archive"], scene.free["third"] = scene.folder / "third", 40 * GB
    (scene.folder / "third").mkdir()
    await scene.pass_time(60)
    assert scene.lines()["target-archive"].hours is None, "another disk has lost nothing"


async def test_a_spool_folder_that_fails_is_told_and_its_recordings_come_back(scene: Scene) -> None:
    sealed(scene.spools, "r-1")
    (scene.folder / "first").rename(scene.folder / "away")
    await scene.pass_time(5)
    assert scene.told() == {"disk:spool": ("spool.unusable", Severity.CRITICAL)}
    condition = scene.conditions.get("disk:spool")
    assert condition is not None
    assert "New recordings begin in another spool folder" in condition.sentence
    assert scene.lines()["spool"].error is not None
    assert scene.back == []
    (scene.folder / "away").rename(scene.folder / "first")
    await scene.pass_time(5)
    assert scene.told() == {}
    assert [folder.id for found in scene.back for folder in found.to_deliver] == ["r-1"]


async def test_a_mount_that_hangs_is_told_and_stops_no_other_disk_from_being_watched(scene: Scene) -> None:
    scene.hang("archive")
    await scene.pass_time(5)
    assert scene.told() == {"disk:target-archive": ("disk.silent", Severity.CRITICAL)}
    condition = scene.conditions.get("disk:target-archive")
    assert condition is not None
    assert condition.sentence.endswith("archive) cannot be looked at: it does not answer.")
    assert scene.lines()["target-archive"].error == "it does not answer"
    (scene.folder / "second").rename(scene.folder / "away")
    scene.free["pbx"] = 199_000_000
    await scene.pass_time(5)
    assert set(scene.told()) == {"disk:target-archive", "disk:pbx-main", "disk:second-spool"}
    (scene.folder / "away").rename(scene.folder / "second")
    await scene.pass_time(5)
    assert set(scene.told()) == {"disk:target-archive", "disk:pbx-main"}
    await scene.until_thawed("archive")
    assert set(scene.told()) == {"disk:pbx-main"}


async def test_a_spool_folder_comes_back_while_the_other_hangs(scene: Scene) -> None:
    sealed(scene.spools, "r-1")
    (scene.folder / "first").rename(scene.folder / "away")
    await scene.pass_time(5)
    scene.hang("second")
    await scene.pass_time(5)
    (scene.folder / "away").rename(scene.folder / "first")
    await scene.pass_time(5)
    assert [folder.id for found in scene.back for folder in found.to_deliver] == ["r-1"]
    assert scene.told() == {"disk:second-spool": ("disk.silent", Severity.CRITICAL)}


async def test_what_a_slow_disk_brings_back_is_not_lost(scene: Scene) -> None:
    sealed(scene.spools, "r-1")
    (scene.folder / "first").rename(scene.folder / "away")
    await scene.pass_time(5)
    (scene.folder / "away").rename(scene.folder / "first")
    scene.hang("first")  # opened, and then asked for its space
    await scene.pass_time(5)
    assert scene.told() == {"disk:spool": ("disk.silent", Severity.CRITICAL)}
    assert scene.back == []
    await scene.until_thawed("first")
    assert [folder.id for found in scene.back for folder in found.to_deliver] == ["r-1"]
    assert scene.told() == {}


async def test_a_mount_that_gives_only_errors_is_told_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.is_dir

    def stale(self: Path) -> bool:
        if self.name == "archive":
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return real(self)

    monkeypatch.setattr(Path, "is_dir", stale)
    scene.free["first"] = 0
    await scene.pass_time(5)
    assert set(scene.told()) == {"disk:target-archive", "disk:spool"}
    condition = scene.conditions.get("disk:target-archive")
    assert condition is not None
    assert os.strerror(errno.ESTALE) in condition.sentence


async def test_a_state_folder_that_cannot_be_written_stops_nothing(scene: Scene) -> None:
    (scene.folder / "state" / f".{disk_report.FILE}.new").mkdir()
    scene.free["first"] = 0
    await scene.pass_time(5)
    assert "disk:spool" in scene.told()


def test_a_warning_does_not_flutter_at_the_brink() -> None:
    line = DiskLine("spool", "/spool", free=GB, total=GB)
    before: Severity | None = None
    said = []
    for hours in (25, 24.1, 23.9, 24.1, 29, 31, 24.1, 1.9, 2.1, 2.6):
        verdict = judge(replace(line, hours=hours), "the spool", SETTINGS, before)
        before = verdict.severity if verdict else None
        said.append(before.value[0] if before else "-")
    assert "".join(said) == "--www--ccw"


def test_a_disk_without_inodes_is_as_full_as_one_without_bytes() -> None:
    line = DiskLine("spool", "/spool", free=GB, total=GB, files_free=499)
    verdict = judge(line, "the spool", SETTINGS, None)
    assert verdict is not None
    assert "499 more files" in verdict.sentence


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (199e6, "199 MB"), (2.5e15, "2500.0 TB")],
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("hours", "text"), [(0, "0 minutes"), (1.5, "90 minutes"), (71.6, "72 hours"), (100, "4 days")]
)
def test_spans(hours: float, text: str) -> None:
    assert span(hours) == text
