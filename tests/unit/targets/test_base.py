"""What all targets share, and the folder target where only a fault can be played."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.config import targets as config
from ari_recorder.disk import durable
from ari_recorder.model.errors import PermanentError, RecorderError, TransientError
from ari_recorder.targets import local
from ari_recorder.targets.base import checked, is_part, part_name
from ari_recorder.targets.local import LocalTarget
from ari_recorder.targets.register import make_target, make_targets
from ari_recorder.targets.sftp import SftpTarget


@pytest.fixture
def target(tmp_path: Path) -> LocalTarget:
    made = LocalTarget(config.LocalTarget(kind="local", name="archive", folder=tmp_path / "root"))
    made.prepare()
    return made


def put(target: LocalTarget, tmp_path: Path, content: bytes = b"content") -> None:
    source = tmp_path / "source"
    source.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    target.put(source, PurePosixPath("a/file"), sha256=sha256, size=len(content))


def test_part_names() -> None:
    name = part_name("call.wav", "0123456789abcdef" * 4)
    assert name == ".call.wav.0123456789abcdef.part"
    assert is_part(name)
    assert not is_part("call.part")


def test_a_path_inside_is_given_back() -> None:
    assert checked(PurePosixPath("a/b")) == PurePosixPath("a/b")


def test_each_kind_is_registered(tmp_path: Path) -> None:
    made = make_targets(
        [
            config.LocalTarget(kind="local", name="one", folder=tmp_path, path="$Y"),
            config.SftpTarget(
                kind="sftp", name="two", host="h", user="u", key_file=tmp_path, known_hosts=tmp_path
            ),
        ]
    )
    assert isinstance(made["one"], LocalTarget)
    assert isinstance(made["two"], SftpTarget)
    assert (made["one"].path_template, made["two"].path_template) == ("$Y", "$Y/$M/$D")
    assert make_target(config.LocalTarget(kind="local", name="x", folder=tmp_path)).name == "x"


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, PermanentError, "target.full"),
        (errno.EDQUOT, PermanentError, "target.full"),
        (errno.EACCES, PermanentError, "target.denied"),
        (errno.EROFS, PermanentError, "target.denied"),
        (errno.ENAMETOOLONG, PermanentError, "target.denied"),
        (errno.EFBIG, PermanentError, "target.denied"),
        (errno.EIO, TransientError, "target.unreachable"),
        (errno.ESTALE, TransientError, "target.unreachable"),
        (errno.EHOSTDOWN, TransientError, "target.unreachable"),
    ],
)
def test_errors_of_the_disk(
    target: LocalTarget,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[RecorderError],
    code: str,
) -> None:
    def fail(_descriptor: int, _data: bytes) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(durable, "write_all", fail)
    with pytest.raises(RecorderError) as caught:
        put(target, tmp_path)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert not (tmp_path / "root/a/file").exists()
    monkeypatch.undo()
    put(target, tmp_path)


def test_a_file_system_without_hard_links(
    target: LocalTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_words: object, **_more: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", no_links)
    put(target, tmp_path)
    put(target, tmp_path)
    assert [p.name for p in (tmp_path / "root/a").iterdir()] == ["file"]
    with pytest.raises(PermanentError) as caught:
        put(target, tmp_path, b"another")
    assert caught.value.code == "target.conflict"
    assert (tmp_path / "root/a/file").read_bytes() == b"content"


@pytest.mark.parametrize(("kept", "wrong", "written"), [(2, None, 1), (2, 0, 3), (2, 1, 2), (0, None, 3)])
def test_a_torn_upload_is_continued(
    target: LocalTarget,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kept: int,
    wrong: int | None,
    written: int,
) -> None:
    """In blocks: `kept` of three stand there, one of them altered; only what differs or lacks is written."""
    content = os.urandom(3 * durable.BLOCK)
    left = bytearray(content[: kept * durable.BLOCK])
    if wrong is not None:
        left[wrong * durable.BLOCK + 7] ^= 1
    part = tmp_path / "root/a" / part_name("file", hashlib.sha256(content).hexdigest())
    part.parent.mkdir()
    part.write_bytes(left)
    sizes: list[int] = []
    write_all = durable.write_all

    def counted(handle: int, data: bytes) -> None:
        sizes.append(len(data))
        write_all(handle, data)

    monkeypatch.setattr(durable, "write_all", counted)
    put(target, tmp_path, content)
    assert sizes == [durable.BLOCK] * written
    assert (tmp_path / "root/a/file").read_bytes() == content


def test_a_place_that_takes_part_files_away_is_not_filled_for_ever(
    target: LocalTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as an inbox that something empties."""
    looks = []

    def emptied(part: Path, _final: Path, **_more: object) -> bool:
        looks.append(part)
        part.unlink()
        return False

    monkeypatch.setattr(local, "_finished", emptied)
    with pytest.raises(TransientError, match="taken away") as caught:
        put(target, tmp_path)
    assert (caught.value.code, len(looks)) == ("target.torn", 1)
