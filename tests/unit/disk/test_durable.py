"""Writing so that a power cut leaves the old or the new, and a full disk says so."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ari_recorder.disk import durable
from ari_recorder.disk.digest import digest_of
from ari_recorder.model.errors import TransientError


def test_writing_atomically(tmp_path: Path) -> None:
    path = tmp_path / "document"
    durable.write_atomically(path, b"old")
    assert path.stat().st_mode & 0o777 == 0o600
    (tmp_path / ".document.tmp").write_bytes(b"a torn temporary file, longer than the new one")
    durable.write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["document"]
    assert path.read_bytes() == b"new"


def test_a_temporary_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"victim")
    (tmp_path / ".document.tmp").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        durable.write_atomically(tmp_path / "document", b"new")
    assert (tmp_path / "victim").read_bytes() == b"victim"


def test_copying_replaces_an_earlier_copy_and_its_torn_part(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(b"whole" * 1000)
    copy.write_bytes(b"earlier")
    (tmp_path / "copy.part").write_bytes(b"torn" * 9000)
    assert durable.copy(source, copy) == 5000
    assert digest_of(copy) == digest_of(source)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy", "source"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "spool.full"), (errno.EDQUOT, "spool.full"), (errno.EIO, "spool.unusable")],
)
def test_trouble_is_explained(number: int, code: str) -> None:
    with (
        pytest.raises(TransientError, match=r"Sealing x failed: .*/place") as caught,
        durable.explained("Sealing x"),
    ):
        raise OSError(number, os.strerror(number), "/place")
    assert caught.value.code == code
