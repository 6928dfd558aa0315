"""A folder target on a disk that comes and goes: an empty mount point must not be filled."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.config import targets as config
from ari_recorder.model.errors import PermanentError
from ari_recorder.targets.archive_root import MARK
from ari_recorder.targets.base import Target
from ari_recorder.targets.register import make_target
from ari_recorder.targets.steps import Step, watched

from .mounts import mount, unmount
from .test_contract import PATH, MakeSample, put

DISK = ("-t", "tmpfs", "-o", "size=32m", "none")


@pytest.fixture
def point(tmp_path: Path) -> Iterator[Path]:
    """A mount point with a disk."""
    place = tmp_path / "a mount point"
    place.mkdir()
    mount(place, *DISK)
    yield place
    if os.path.ismount(place):
        unmount(place, lazily=True)


def target_at(folder: Path, **more: object) -> Target:
    values = {"kind": "local", "name": "archive", "folder": folder, **more}
    return make_target(config.LocalTarget.model_validate(values))


def not_mounted(work: Callable[[], object]) -> str:
    with pytest.raises(PermanentError) as caught:
        work()
    assert caught.value.code == "target.not-mounted"
    return str(caught.value)


@pytest.mark.parametrize("below", [".", "deep/folder"])
def test_unmounted_between_puts(point: Path, sample: MakeSample, below: str) -> None:
    target = target_at(point / below, mount=point)
    target.prepare()
    put(target, sample(b"x"))
    unmount(point)
    said = not_mounted(lambda: put(target, sample(b"y"), PurePosixPath("other")))
    assert str(point) in said
    assert "is then delivered by itself" in said
    for work in (
        lambda: target.stat(PATH),
        lambda: target.open(PATH),
        lambda: target.delete(PATH),
        target.prepare,
    ):
        not_mounted(work)
    (point / below).mkdir(parents=True, exist_ok=True)  # the same folder on the disk beneath
    not_mounted(lambda: put(target, sample(b"y"), PurePosixPath("other")))
    assert [p for p in point.rglob("*") if p.is_file()] == []
    mount(point, *DISK)
    target.prepare()
    put(target, sample(b"y"), PurePosixPath("other"))
    assert (point / below / "other").read_bytes() == b"y"


@pytest.mark.parametrize("step", [Step.WRITE, Step.READ_BACK, Step.RENAME])
def test_taken_away_while_a_file_is_put(point: Path, sample: MakeSample, step: Step) -> None:
    """What was begun on the disk ends there; nothing of it lands beneath."""
    target, one = target_at(point, mount=point), sample(os.urandom(5_000_000))
    away = False

    def take_away(seen: Step) -> None:
        nonlocal away
        if seen is step and not away:
            away = True
            unmount(point, lazily=True)

    with watched(take_away):
        put(target, one)
    assert away
    assert list(point.iterdir()) == []
    not_mounted(lambda: put(target, one))


def test_a_disk_in_use_cannot_be_unmounted(point: Path, sample: MakeSample) -> None:
    target, refused = target_at(point, mount=point), []

    def try_to(_step: Step) -> None:
        with pytest.raises(AssertionError, match="busy"):
            unmount(point)
        refused.append(True)

    with watched(try_to):
        put(target, sample(b"x"))
    assert len(refused) == 3
    unmount(point)


def test_a_bind_mount_counts_and_one_beneath_the_mount_too(point: Path, sample: MakeSample) -> None:
    inner = point / "inner"
    (point / "source").mkdir()
    inner.mkdir()
    mount(inner, "--bind", str(point / "source"))
    for given in (inner, point):
        put(target_at(inner, mount=given), sample(b"x"))
    unmount(inner)
    not_mounted(lambda: put(target_at(inner, mount=inner), sample(b"y"), PurePosixPath("y")))
    put(target_at(inner, mount=point), sample(b"y"), PurePosixPath("y"))


def test_a_mark_is_demanded_and_only_prepare_makes_it(point: Path, sample: MakeSample) -> None:
    target = target_at(point, marked=True)
    said = not_mounted(lambda: put(target, sample(b"x")))
    assert "target test --prepare archive" in said
    target.prepare()
    target.prepare()
    assert (point / MARK).read_text() == "archive\n"
    put(target, sample(b"x"))
    unmount(point)
    not_mounted(lambda: put(target, sample(b"y"), PurePosixPath("y")))
    assert list(point.iterdir()) == []


def test_another_targets_disk_is_not_filled(point: Path, sample: MakeSample) -> None:
    target_at(point, marked=True, name="other").prepare()
    target = target_at(point, marked=True)
    assert 'not "archive"' in not_mounted(lambda: put(target, sample(b"x")))
    assert 'not "archive"' in not_mounted(target.prepare)
    assert [p.name for p in point.iterdir()] == [MARK]


def test_a_folder_outside_its_mount_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not lie below"):
        target_at(tmp_path / "a", mount=tmp_path / "b")
