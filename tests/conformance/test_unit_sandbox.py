"""In a systemd unit's sandbox each writable folder is mounted onto itself: a bare one is not a disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.disk.mounts import disk_at, mount_of
from ari_recorder.model.errors import TransientError
from ari_recorder.spool.maintenance import Maintenance, place_for
from ari_recorder.spool.place import MARK
from ari_recorder.spool.places import Spools

from .mounts import mount, unmount
from .test_contract import MakeSample, put
from .test_mounted_folder import DISK, not_mounted, target_at


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder for a disk, and nothing mounted there."""
    made = tmp_path / "a place"
    made.mkdir()
    yield made
    with suppress(AssertionError):  # until nothing is mounted there any more
        while True:
            unmount(made, lazily=True)


def sandbox(folder: Path) -> None:
    """As `ReadWritePaths=` does."""
    mount(folder, "--bind", str(folder))


def test_a_folder_mounted_onto_itself_lies_where_it_lay(place: Path) -> None:
    before = disk_at(place)
    for _ in range(2):
        sandbox(place)
        assert mount_of(place).point == place
        assert disk_at(place) == before
    mount(place, *DISK)
    assert disk_at(place) == place
    sandbox(place)
    assert disk_at(place) == place


def test_a_folder_that_is_missing_lies_on_the_disk_of_its_parent(place: Path) -> None:
    mount(place, *DISK)
    assert disk_at(place / "not" / "there") == place


@pytest.mark.parametrize("below", [".", "deep/folder"])
def test_a_bare_folder_is_not_taken_for_the_targets_disk(place: Path, sample: MakeSample, below: str) -> None:
    folder = place / below
    folder.mkdir(parents=True, exist_ok=True)
    sandbox(folder)
    target = target_at(folder, mount=place)
    not_mounted(lambda: put(target, sample(b"x")))
    not_mounted(target.prepare)
    assert [p for p in place.rglob("*") if p.is_file()] == []


def test_a_targets_disk_counts_in_the_sandbox(place: Path, sample: MakeSample) -> None:
    mount(place, *DISK)
    (place / "deep").mkdir()
    sandbox(place)
    sandbox(place / "deep")
    put(target_at(place / "deep", mount=place), sample(b"x"), PurePosixPath("x"))
    assert (place / "deep/x").read_bytes() == b"x"


def test_a_folder_that_is_missing_on_the_bare_mount_point_is_said_to_be_unmounted(
    place: Path, sample: MakeSample
) -> None:
    sandbox(place)
    not_mounted(lambda: put(target_at(place / "deep", mount=place), sample(b"x")))


def test_a_bare_folder_is_not_taken_for_the_spool(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_recorder.disk.mounts.VOLATILE", frozenset({"ramfs"}))  # the disk is one of tmpfs
    (tmp_path / "state").mkdir()
    spools = Spools(place, state=tmp_path / "state")
    sandbox(place)
    mount(place, *DISK)
    with spools:
        pass
    unmount(place)
    with pytest.raises(TransientError, match="not the one that was used last") as caught:
        spools.open()
    assert caught.value.code == "spool.unusable"
    assert list(place.iterdir()) == []
    (place / MARK).touch()
    with spools:
        assert spools.places[0].ready


def test_a_spool_that_was_left_takes_another_disk_and_no_bare_folder(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_recorder.disk.mounts.VOLATILE", frozenset({"ramfs"}))
    (tmp_path / "state").mkdir()
    sandbox(place)
    mount(place, *DISK)
    with Spools(place, state=tmp_path / "state", second=tmp_path / "second") as spools:
        away = Maintenance(spools, spools.places[1])
        away.begin()
        assert away.end() == (place,)
        unmount(place)
        with pytest.raises(TransientError, match="not the one that was used last"):
            place_for(spools, "primary")
        assert list(place.iterdir()) == []
        mount(place, *DISK)
        assert place_for(spools, "primary").ready
