"""Where an adopted recording is put, what is demanded before its source goes, and what a failure leaves."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ari_recorder.disk import durable
from ari_recorder.disk.space import Space, space
from ari_recorder.model.errors import TransientError
from ari_recorder.model.recording import State
from ari_recorder.spool import place as place_module
from ari_recorder.spool.adoption import Adoption
from ari_recorder.spool.folders import LOCK, Spool
from ari_recorder.spool.ledger import Ledger, Move
from ari_recorder.spool.maintenance import Maintenance
from ari_recorder.spool.place import MARK
from ari_recorder.spool.places import Spools

from .recordings import contents, sealed

OWN = "r-1"
FLOOR = 200_000_000
FREE = 10**9


class Scene:
    """A recorder with two spool folders that has run, and a dead host's spool with one recording."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "state").mkdir()
        with self.spools():
            pass
        self.source = folder / "dead" / OWN
        with Spool(folder / "dead") as spool:
            sealed(spool, OWN)
        self.told: list[str] = []

    def spools(self) -> Spools:
        return Spools(
            self.folder / "first",
            state=self.folder / "state",
            second=self.folder / "second",
            stop_at_free=FLOOR,
        )

    def adopt(self, *, tell: Callable[[str], None] | None = None) -> None:
        Adoption(self.spools(), tell or self.told.append, move=True).take(self.source)

    def where(self) -> list[str]:
        return [name for name in ("first", "second") if (self.folder / name / OWN).exists()]

    def full(self, _own: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def is_kept(self) -> bool:
        """The source is as it was, and no half copy lies anywhere."""
        whole = {name: (self.source / name).read_bytes() for name in contents(OWN)} == contents(OWN)
        return whole and not list(self.folder.glob("*/.adopt-*"))

    def leave_first(self) -> None:
        """Everything into the second folder, and then the first is let go of."""
        with self.spools() as spools:
            maintenance = Maintenance(spools, spools.places[1])
            maintenance.begin()
            maintenance.end()

    def unmount_first(self) -> None:
        ledger = Ledger(self.folder / "state")
        ledger.read()
        root = str(self.folder / "first")
        known = tuple(replace(k, mount=k.path) if k.path == root else k for k in ledger.placement.known)
        ledger.place(replace(ledger.placement, known=known))
        shutil.rmtree(root)
        Path(root).mkdir()

    def mount_first(self) -> None:
        (self.folder / "first" / MARK).touch()


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Free bytes by the name of a spool folder."""
    told: dict[str, int] = {}

    def asked(path: Path) -> Space:
        return replace(space(path), free=told.get(path.name, FREE), total=FREE * 10)

    monkeypatch.setattr(place_module, "space", asked)
    return told


@pytest.fixture
def scene(tmp_path: Path, free: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(place_module.Place, "volatile", False)  # also where the tests lie on a RAM disk
    return Scene(tmp_path)


# Where it is put -------------------------------------------------------------------------------------------


def test_it_goes_where_new_recordings_begin(scene: Scene) -> None:
    with scene.spools() as running:
        scene.adopt()
        assert scene.where() == ["first"]
        assert running.get(OWN) is not None
    assert not scene.source.exists()
    assert scene.told == [OWN]


def test_a_folder_that_was_left_gets_nothing(scene: Scene) -> None:
    scene.leave_first()
    with scene.spools() as running:
        scene.adopt()
        assert scene.where() == ["second"]
        found = running.get(OWN)
        assert found is not None
        assert found.load().state is State.SEALED
    assert not scene.source.exists()


def test_a_folder_that_is_being_left_gets_nothing(scene: Scene) -> None:
    with scene.spools() as running:
        Maintenance(running, running.places[1]).begin()
        scene.adopt()
        assert scene.where() == ["second"]


def test_a_bare_mount_point_gets_nothing(scene: Scene) -> None:
    scene.unmount_first()
    with pytest.raises(TransientError, match="not mounted"):
        scene.adopt()
    assert (scene.where(), list((scene.folder / "first").iterdir())) == ([], [])
    assert scene.is_kept()
    assert scene.told == []
    scene.mount_first()
    scene.adopt()
    assert scene.where() == ["first"]


def test_what_an_earlier_one_put_into_a_folder_that_is_not_mounted_is_not_put_beside_it(scene: Scene) -> None:
    """Else it stood twice when that is back, and the one that has been worked on since might not count."""
    scene.adopt()
    (scene.folder / "first").rename(scene.folder / "away")
    with Spool(scene.folder / "dead") as spool:
        sealed(spool, OWN)
    with pytest.raises(TransientError, match="not mounted"):
        scene.adopt()
    (scene.folder / "away").rename(scene.folder / "first")
    assert scene.where() == ["first"]
    assert scene.is_kept()


def test_what_is_found_is_had_although_another_folder_is_not_mounted(scene: Scene) -> None:
    with pytest.raises(TransientError):
        scene.adopt(tell=scene.full)
    (scene.folder / "second").rename(scene.folder / "away")
    scene.adopt()
    assert (scene.where(), scene.told) == (["first"], [OWN])
    assert not scene.source.exists()


def test_in_a_folder_out_of_use_it_does_not_count(scene: Scene) -> None:
    """Else the source would be removed although no recorder will ever find that copy."""
    scene.leave_first()
    shutil.copytree(scene.source, scene.folder / "first" / OWN)
    scene.adopt()
    assert scene.where() == ["first", "second"]


def test_from_a_folder_that_was_left_it_comes_back(scene: Scene) -> None:
    scene.leave_first()
    scene.source = scene.source.rename(scene.folder / "first" / OWN)
    scene.adopt()
    assert scene.where() == ["second"]


def test_a_folder_that_is_left_meanwhile_costs_no_source(scene: Scene) -> None:
    with pytest.raises(TransientError, match="no longer in use"):
        scene.adopt(tell=lambda _: scene.leave_first())
    assert scene.is_kept()
    scene.adopt()
    assert "second" in scene.where()


def test_where_a_copy_does_not_count_none_is_put(scene: Scene) -> None:
    """The recorder would take it for the stale one, and clear it away."""
    ledger = Ledger(scene.folder / "state")
    ledger.decide(Move(OWN, str(scene.folder / "first"), "/elsewhere", "0" * 32, gone=True))
    scene.adopt()
    assert scene.where() == ["second"]


# Room ------------------------------------------------------------------------------------------------------


def test_the_floor_of_a_running_recorder_is_kept(scene: Scene, free: dict[str, int]) -> None:
    free |= {"first": FLOOR + 10_000}
    scene.adopt()
    assert scene.where() == ["second"]


def test_a_ram_disk_is_no_place_for_what_is_safe_elsewhere(
    scene: Scene, free: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    free |= {"first": 0}
    monkeypatch.setattr(place_module.Place, "volatile", True)
    with pytest.raises(TransientError) as caught:
        scene.adopt()
    assert caught.value.code == "spool.full"
    assert scene.is_kept()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_copy_that_fails_leaves_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    copies = 0
    real = durable.copy

    def failing(source: Path, destination: Path) -> int:
        nonlocal copies
        copies += 1
        if copies == 3:
            destination.with_name(destination.name + ".part").write_bytes(b"half")
            raise OSError(number, os.strerror(number))
        return real(source, destination)

    monkeypatch.setattr(durable, "copy", failing)
    with pytest.raises(TransientError):
        scene.adopt()
    assert scene.where() == []
    assert scene.is_kept()


def test_an_interrupted_copy_leaves_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_source: Path, _destination: Path) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(durable, "copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scene.adopt()
    assert scene.is_kept()


# Telling, and locking --------------------------------------------------------------------------------------


def test_a_recorder_that_cannot_be_told_costs_no_source(scene: Scene) -> None:
    with pytest.raises(TransientError):
        scene.adopt(tell=scene.full)
    assert scene.is_kept()
    scene.adopt()
    assert scene.told == [OWN]


class Share:
    """Answers to flock(2) as NFS does: an exclusive lock needs a handle that is open for writing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, read_only: bool) -> None:
        self._flock, self._open = fcntl.flock, os.open
        self._read_only = read_only
        monkeypatch.setattr(fcntl, "flock", self.flock)
        monkeypatch.setattr(os, "open", self.open)

    def flock(self, handle: int, operation: int) -> None:
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._flock(handle, operation)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        if self._read_only and Path(path).parent.name == "dead" and flags & os.O_ACCMODE != os.O_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return self._open(path, flags, mode)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_share_is_locked_where_it_can_be(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, read_only: bool
) -> None:
    assert (scene.folder / "dead" / LOCK).exists()
    Share(monkeypatch, read_only=read_only)
    adopted = Adoption(scene.spools(), scene.told.append).take(scene.source)
    assert adopted.locked is not read_only
    assert scene.where() == ["first"]
