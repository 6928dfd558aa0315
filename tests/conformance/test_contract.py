"""The contract of `targets/base.py`, demanded of every kind of target on the real thing."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.model.errors import IntegrityError, PermanentError, RecorderError
from ari_recorder.targets import local, sftp_session
from ari_recorder.targets.base import Confirms, Target, is_part, part_name
from ari_recorder.targets.register import make_target

from .conftest import Rig, Sample, password_settings
from .private_sshd import PrivateSshd

MakeSample = Callable[..., Sample]
PATH = PurePosixPath("2026/11/21/20261121-225046Z_a_b_0123456789.wav")


def put(target: Target, sample: Sample, path: PurePosixPath = PATH) -> None:
    receipt = target.put(sample.path, path, sha256=sample.sha256, size=sample.size)
    assert (receipt.path, receipt.sha256, receipt.bytes) == (str(path), sample.sha256, sample.size)
    assert receipt.how == target.properties.confirms


def names(root: Path) -> list[str]:
    """Every file below the root, part files included."""
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())


def test_a_file_stands_whole_under_its_final_name(rig: Rig, sample: MakeSample) -> None:
    one = sample(os.urandom(3_000_001))
    put(rig.target, one)
    assert names(rig.root) == [str(PATH)]
    assert (rig.root / PATH).read_bytes() == one.path.read_bytes()
    found = rig.target.stat(PATH)
    assert found is not None
    assert (found.bytes, found.regular) == (one.size, True)


def test_a_stored_file_can_be_read(rig: Rig, sample: MakeSample) -> None:
    one = sample(os.urandom(3_000_001))
    put(rig.target, one)
    with rig.target.open(PATH) as stream:
        assert stream.read(5) == one.path.read_bytes()[:5]
        assert stream.read() == one.path.read_bytes()[5:]
    with rig.target.open(PATH) as stream:
        assert stream.read(1) == one.path.read_bytes()[:1]  # closed early: nothing may hang or leak
    assert rig.target.stat(PATH) is not None


def test_putting_again_sends_nothing_and_confirms(rig: Rig, sample: MakeSample) -> None:
    one = sample(b"once")
    put(rig.target, one)
    before = (rig.root / PATH).stat()
    put(rig.target, one)
    after = (rig.root / PATH).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert names(rig.root) == [str(PATH)]


@pytest.mark.parametrize("other", [b"OTHER", b"longer than the first"], ids=["same size", "another size"])
def test_a_different_file_is_never_overwritten(rig: Rig, sample: MakeSample, other: bytes) -> None:
    put(rig.target, sample(b"first"))
    with pytest.raises(PermanentError) as caught:
        put(rig.target, sample(other))
    assert caught.value.code == "target.conflict"
    assert (rig.root / PATH).read_bytes() == b"first"
    assert names(rig.root) == [str(PATH)]


def test_a_folder_or_link_under_the_final_name_is_a_conflict(rig: Rig, sample: MakeSample) -> None:
    one = sample(b"x")
    (rig.root / "folder").mkdir()
    (rig.root / "link").symlink_to(one.path)
    for name in ("folder", "link"):
        with pytest.raises(PermanentError) as caught:
            put(rig.target, one, PurePosixPath(name))
        assert caught.value.code == "target.conflict"


def test_an_empty_file(rig: Rig, sample: MakeSample) -> None:
    empty = sample(b"")
    put(rig.target, empty)
    put(rig.target, empty)
    assert (rig.root / PATH).read_bytes() == b""
    with rig.target.open(PATH) as stream:
        assert stream.read() == b""


def test_200_megabytes(rig: Rig, tmp_path: Path) -> None:
    size = 200 * 1024 * 1024
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.write(b"begin")
        stream.truncate(size - 3)
        stream.seek(size - 3)
        stream.write(b"end")
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    put(rig.target, Sample(path, sha256, size))
    with (rig.root / PATH).open("rb") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == sha256


@pytest.mark.parametrize("leftover", [b"", b"torn", b"x" * 100_000], ids=["empty", "shorter", "longer"])
def test_what_a_torn_upload_left_is_written_over(rig: Rig, sample: MakeSample, leftover: bytes) -> None:
    one = sample(b"whole" * 1000)
    (rig.root / PATH.parent).mkdir(parents=True)
    (rig.root / PATH.parent / part_name(PATH.name, one.sha256)).write_bytes(leftover)
    put(rig.target, one)
    assert (rig.root / PATH).read_bytes() == b"whole" * 1000
    assert names(rig.root) == [str(PATH)]


def test_a_part_file_beside_a_finished_one_is_cleared(rig: Rig, sample: MakeSample) -> None:
    one = sample(b"whole")
    put(rig.target, one)
    (rig.root / PATH.parent / part_name(PATH.name, one.sha256)).hardlink_to(rig.root / PATH)
    put(rig.target, one)
    assert names(rig.root) == [str(PATH)]


def test_the_same_file_from_many_threads(rig: Rig, sample: MakeSample) -> None:
    one = sample(os.urandom(300_000))
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(put, rig.target, one) for _ in range(12)]:
            done.result()
    assert names(rig.root) == [str(PATH)]
    assert (rig.root / PATH).read_bytes() == one.path.read_bytes()


def test_many_files_from_many_threads(rig: Rig, sample: MakeSample) -> None:
    files = {PurePosixPath(f"deep/{n % 3}/er/{n}"): sample(os.urandom(50_000 + n)) for n in range(20)}
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(put, rig.target, one, path) for path, one in files.items()]:
            done.result()
    assert names(rig.root) == sorted(str(path) for path in files)
    for path, one in files.items():
        assert (rig.root / path).read_bytes() == one.path.read_bytes()


def test_of_different_files_for_one_name_exactly_one_wins(rig: Rig, sample: MakeSample) -> None:
    samples = [sample(bytes([n]) * 400_000) for n in range(6)]
    start = threading.Barrier(len(samples))

    def race(one: Sample) -> str:
        start.wait(20)
        try:
            put(rig.target, one)
        except RecorderError as error:
            return error.code
        return "stored"

    with ThreadPoolExecutor(len(samples)) as pool:
        ends = list(pool.map(race, samples))
    assert (ends.count("stored"), ends.count("target.conflict")) == (1, 5)
    assert (rig.root / PATH).read_bytes() == samples[ends.index("stored")].path.read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "with space and 'quotes' and \"double\"",
        "Łódź-Grüße-日本-العربية",
        "-rf",
        "$(reboot);`reboot`&|<>*?[a]\\",
        ".hidden",
        "new\nline",
        "n" * 120,
    ],
)
def test_awkward_names(rig: Rig, sample: MakeSample, name: str) -> None:
    path = PurePosixPath("folder " + name, name)
    one = sample(b"content")
    put(rig.target, one, path)
    assert (rig.root / path).read_bytes() == b"content"
    assert rig.target.delete(path)


@pytest.mark.parametrize("path", ["../out", "/etc/out", "a/../../out", ".", "nul\0"])
def test_no_path_leads_out(rig: Rig, sample: MakeSample, path: str) -> None:
    with pytest.raises(ValueError, match="not a path inside a target"):
        put(rig.target, sample(b"x"), PurePosixPath(path))


def test_what_is_not_there(rig: Rig) -> None:
    assert rig.target.stat(PATH) is None
    with pytest.raises(PermanentError) as caught:
        rig.target.open(PATH)
    assert caught.value.code == "target.missing"


def test_deleting(rig: Rig, sample: MakeSample) -> None:
    put(rig.target, sample(b"x"))
    assert rig.target.delete(PATH) is True
    assert rig.target.delete(PATH) is False
    assert rig.target.delete(PurePosixPath("no/such/folder/file")) is False
    assert names(rig.root) == []
    put(rig.target, sample(b"another"))


def test_a_source_that_is_not_what_was_sealed_leaves_nothing(rig: Rig, sample: MakeSample) -> None:
    one = sample(b"sealed")
    one.path.write_bytes(b"altere")
    with pytest.raises(IntegrityError) as caught:
        put(rig.target, one)
    assert caught.value.code == "evidence.altered"
    one.path.unlink()
    with pytest.raises(IntegrityError) as caught:
        put(rig.target, one)
    assert caught.value.code == "evidence.missing"
    assert names(rig.root) == []


def test_what_reads_back_differently_gets_no_final_name(
    rig: Rig, sample: MakeSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil() -> None:
        (part,) = (p for p in rig.root.rglob("*") if is_part(p.name))
        part.write_bytes(b"rotten bits")

    one = sample(b"whole bytes")
    if rig.kind == "local":
        monkeypatch.setattr(local, "fault_point", lambda name: spoil() if name == "local.synced" else None)
    else:
        write = sftp_session.Session.write

        def spoiled(session: sftp_session.Session, handle: bytes, stream: object) -> int:
            written = write(session, handle, stream)  # type: ignore[arg-type]
            spoil()
            return written

        monkeypatch.setattr(sftp_session.Session, "write", spoiled)
    with pytest.raises(IntegrityError) as caught:
        put(rig.target, one)
    assert caught.value.code == "target.mismatch"
    assert names(rig.root) == []
    monkeypatch.undo()
    put(rig.target, one)


def test_the_final_name_never_shows_a_part(rig: Rig, sample: MakeSample) -> None:
    assert rig.target.properties.atomic_rename
    one = sample(bytes(20_000_000))
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(put, rig.target, one)
        sizes = set()
        while not done.done():
            try:
                sizes.add((rig.root / PATH).stat().st_size)
            except FileNotFoundError:
                sizes.add(-1)
        done.result()
    assert sizes <= {-1, one.size}
    assert -1 in sizes


def test_a_removed_root_is_named_and_not_made_by_itself(rig: Rig, sample: MakeSample) -> None:
    rig.root.rmdir()
    with pytest.raises(PermanentError) as caught:
        put(rig.target, sample(b"x"))
    assert caught.value.code == "target.missing"
    assert not rig.root.exists()
    rig.target.prepare()
    rig.target.prepare()
    put(rig.target, sample(b"x"))


def test_permission_denied(
    denied: tuple[Target, Callable[[], AbstractContextManager[None]]], sample: MakeSample
) -> None:
    target, user = denied
    one = sample(b"x")
    for path in (PATH, PurePosixPath("at-root")):
        with user(), pytest.raises(PermanentError) as caught:
            put(target, one, path)
        assert caught.value.code == "target.denied"
        assert "right" in caught.value.remedy


def test_a_full_disk_behind_sftp(tmp_path: Path, sample: MakeSample) -> None:
    large, small = sample(bytes(3_000_000)), sample(bytes(100_000))
    with PrivateSshd(tmp_path / "private", disk="2m") as server:
        target = make_target(password_settings(server))
        with pytest.raises(PermanentError) as caught:
            put(target, large)
        assert caught.value.code == "target.full"
        assert target.stat(PATH) is None
        target.delete(PATH.with_name(part_name(PATH.name, large.sha256)))
        put(target, small)
        target.close()


def test_a_full_local_disk(small_local_disk: Callable[[], list[str]]) -> None:
    assert small_local_disk() == ["large target.full False", "small stored True", "large target.full False"]


def test_the_declared_properties_are_what_was_tested(rig: Rig) -> None:
    assert rig.target.properties.confirms is Confirms.READ_BACK
    assert rig.target.name == "archive"
