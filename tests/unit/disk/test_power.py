"""The power cut of the tests does lose what was not synced."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ari_recorder.disk import durable

from .power import Disk


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    root = tmp_path / "disk"
    root.mkdir()
    (root / "old").write_bytes(b"old")
    made = Disk(root)
    monkeypatch.setattr(os, "fsync", made.fsync)
    yield made
    made.close()


def test_what_was_not_synced_is_lost(disk: Disk) -> None:
    (disk.root / "file").write_bytes(b"x")
    assert disk.cut() == {"old": b"old"}
    durable.sync_folder(disk.root)
    assert disk.cut() == {"old": b"old", "file": b""}  # the name without the bytes
    durable.sync_file(disk.root / "file")
    assert disk.cut() == {"old": b"old", "file": b"x"}
    (disk.root / "file").write_bytes(b"yy")
    (disk.root / "file").rename(disk.root / "other")
    (disk.root / "old").unlink()
    assert disk.cut() == {"old": b"old", "file": b"x"}
    assert disk.cut(names_early=True) == {"other": b"x"}
    (disk.root / "folder").mkdir()
    durable.write_new(disk.root / "folder" / "deep", b"z")
    durable.sync_folder(disk.root / "folder")
    assert "folder" not in disk.cut()
    durable.sync_folder(disk.root)
    assert disk.cut() == {"other": b"x", "folder": None, "folder/deep": b"z"}
    disk.restore(disk.cut())
    assert (disk.root / "folder" / "deep").read_bytes() == b"z"


def test_the_durable_doors_keep_what_they_promise(disk: Disk) -> None:
    durable.write_atomically(disk.root / "old", b"new")
    assert disk.cut() == {"old": b"new"}
    durable.make_folders(disk.root / "a" / "b" / "c")
    durable.make_folders(disk.root / "a" / "b" / "c")
    assert disk.cut() == {"old": b"new", "a": None, "a/b": None, "a/b/c": None}
    durable.copy(disk.root / "old", disk.root / "a" / "copy")
    durable.publish(disk.root / "a" / "copy", disk.root / "a" / "b" / "moved")
    assert disk.cut()["a/b/moved"] == b"new"
