"""The contract of `targets/base.py`, demanded of every kind of target on the real thing."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from ari_recorder.model.errors import IntegrityError, PermanentError, RecorderError
from ari_recorder.targets.base import Confirms, Target, part_name
from ari_recorder.targets.steps import Step, watched

from .rig import Rig, Sample

MakeSample = Callable[..., Sample]
PATH = PurePosixPath("2026/11/21/20261121-225046Z_a_b_0123456789.wav")


def put(target: Target, sample: Sample, path: PurePosixPath = PATH) -> None:
    receipt = target.put(sample.path, path, sha256=sample.sha256, size=sample.size)
    assert (receipt.path, receipt.sha256, receipt.bytes) == (str(path), sample.sha256, sample.size)
    assert receipt.how in (target.properties.confirms, Confirms.READ_BACK)


def part_of(sample: Sample, path: PurePosixPath = PATH) -> PurePosixPath:
    return path.with_name(part_name(path.name, sample.sha256))


def test_a_file_stands_whole_under_its_final_name(rig: Rig, sample: MakeSample) -> None:
    one = sample(os.urandom(3_000_001))
    put(rig.target, one)
    assert rig.names() == [str(PATH)]
    assert rig.read(PATH) == one.path.read_bytes()
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
    before = rig.identity(PATH)
    put(rig.target, one)
    assert rig.identity(PATH) == before
    assert rig.names() == [str(PATH)]


@pytest.mark.parametrize("other", [b"OTHER", b"longer than the first"], ids=["same size", "another size"])
def test_a_different_file_is_never_overwritten(rig: Rig, sample: MakeSample, other: bytes) -> None:
    put(rig.target, sample(b"first"))
    with pytest.raises(PermanentError) as caught:
        put(rig.target, sample(other))
    assert caught.value.code == "target.conflict"
    assert rig.read(PATH) == b"first"
    assert rig.names() == [str(PATH)]


def test_a_folder_under_the_final_name_is_a_conflict(rig: Rig, sample: MakeSample) -> None:
    one = sample(b"x")
    folder = PurePosixPath("2026/folder.wav")
    rig.plant_folder(folder)
    with pytest.raises(PermanentError) as caught:
        put(rig.target, one, folder)
    assert caught.value.code == "target.conflict"


def test_an_empty_file(rig: Rig, sample: MakeSample) -> None:
    empty = sample(b"")
    put(rig.target, empty)
    put(rig.target, empty)
    assert rig.read(PATH) == b""
    with rig.target.open(PATH) as stream:
        assert stream.read() == b""


@pytest.mark.parametrize("leftover", [b"", b"torn", b"x" * 100_000], ids=["empty", "shorter", "longer"])
def test_what_a_torn_upload_left_is_written_over(rig: Rig, sample: MakeSample, leftover: bytes) -> None:
    one = sample(b"whole" * 1000)
    rig.plant(part_of(one), leftover)
    put(rig.target, one)
    assert rig.read(PATH) == b"whole" * 1000
    assert rig.names() == [str(PATH)]


def test_a_part_file_beside_a_finished_one_is_cleared(rig: Rig, sample: MakeSample) -> None:
    one = sample(b"whole")
    put(rig.target, one)
    rig.plant(part_of(one), b"who")
    put(rig.target, one)
    assert rig.names() == [str(PATH)]


def test_the_same_file_from_many_threads(rig: Rig, sample: MakeSample) -> None:
    one = sample(os.urandom(300_000))
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(put, rig.target, one) for _ in range(12)]:
            done.result()
    assert rig.names() == [str(PATH)]
    assert rig.read(PATH) == one.path.read_bytes()


def test_many_files_from_many_threads(rig: Rig, sample: MakeSample) -> None:
    files = {PurePosixPath(f"deep/{n % 3}/er/{n}"): sample(os.urandom(50_000 + n)) for n in range(20)}
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(put, rig.target, one, path) for path, one in files.items()]:
            done.result()
    assert rig.names() == sorted(str(path) for path in files)
    for path, one in files.items():
        assert rig.read(path) == one.path.read_bytes()


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
    assert rig.read(PATH) == samples[ends.index("stored")].path.read_bytes()


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
    if not rig.takes(name):
        with pytest.raises(PermanentError) as caught:
            put(rig.target, one, path)
        assert caught.value.code == "target.denied"
        assert rig.names() == []
        return
    put(rig.target, one, path)
    assert rig.read(path) == b"content"
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
    assert rig.names() == []
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
    assert rig.names() == []


@pytest.mark.parametrize("good", [0, 4_200_000], ids=["while it is checked", "while it is sent"])
def test_a_sector_of_the_spool_that_cannot_be_read_is_no_fault_of_the_target(
    rig: Rig, sample: MakeSample, good: int
) -> None:
    one = sample(os.urandom(3_000_001))
    with pytest.raises(IntegrityError) as caught:
        put(rig.target, replace(one, path=_failing(one.path, good)))
    assert caught.value.code == "evidence.missing"
    assert os.strerror(errno.EIO) in caught.value.sentence
    assert rig.size(PATH) is None
    put(rig.target, one)
    assert rig.names() == [str(PATH)]


def _failing(path: Path, good: int) -> Path:
    """The path of a file on a disk that gives so many bytes, however often it is opened, and then EIO."""

    class File(io.FileIO):
        def readinto(self, buffer: Any) -> int:
            nonlocal good
            if good <= 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            size = super().readinto(buffer) or 0
            good -= size
            return size

    class OnFailingDisk(type(path)):  # type: ignore[misc]
        def open(self, *_words: object, **_more: object) -> File:
            return File(str(self), "rb")

    return OnFailingDisk(path)


def test_what_reads_back_differently_gets_no_final_name(rig: Rig, sample: MakeSample) -> None:
    one = sample(b"whole bytes")

    def spoil(step: Step) -> None:
        if step is rig.last_look:
            rig.spoil_parts(b"rotten bits")

    with watched(spoil), pytest.raises(IntegrityError) as caught:
        put(rig.target, one)
    assert caught.value.code == "target.mismatch"
    assert rig.names() == []
    put(rig.target, one)
    assert rig.read(PATH) == b"whole bytes"


def test_each_step_is_told_in_its_order(rig: Rig, sample: MakeSample) -> None:
    seen: list[Step] = []
    with watched(seen.append):
        put(rig.make(), sample(b"x"))
    assert tuple(dict.fromkeys(seen)) == rig.steps


def test_the_final_name_never_shows_a_part(rig: Rig, sample: MakeSample) -> None:
    assert rig.target.properties.atomic_rename
    one = sample(bytes(20_000_000))
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(put, rig.target, one)
        sizes = set()
        while not done.done():
            sizes.add(rig.size(PATH))
        done.result()
    assert sizes <= {None, one.size}
    assert None in sizes


def test_a_removed_root_is_named_and_not_made_by_itself(rig: Rig, sample: MakeSample) -> None:
    rig.remove_root()
    with pytest.raises(PermanentError) as caught:
        put(rig.target, sample(b"x"))
    assert caught.value.code == "target.missing"
    assert not rig.root_exists
    rig.target.prepare()
    rig.target.prepare()
    put(rig.target, sample(b"x"))


def test_a_root_that_is_removed_in_between(rig: Rig, sample: MakeSample) -> None:
    one = sample(b"x" * 100_000)
    gone = False

    def remove(step: Step) -> None:
        nonlocal gone
        if step is rig.last_look and not gone:
            gone = True
            rig.remove_root()

    with watched(remove), pytest.raises(RecorderError) as caught:
        put(rig.target, one)
    assert gone
    assert caught.value.code in {"target.torn", "target.missing", "target.mismatch"}
    with pytest.raises(PermanentError) as again:
        put(rig.target, one)
    assert again.value.code == "target.missing"
    assert not rig.root_exists
    rig.target.prepare()
    put(rig.target, one)
    assert rig.names() == [str(PATH)]


def test_permission_denied(rig: Rig, sample: MakeSample) -> None:
    one = sample(b"x")
    one.path.chmod(0o644)
    with rig.denied() as target:
        for path in (PATH, PurePosixPath("at-root")):
            with pytest.raises(PermanentError) as caught:
                put(target, one, path)
            assert caught.value.code == "target.denied"
            assert "right" in caught.value.remedy


def test_no_space(rig: Rig, sample: MakeSample) -> None:
    large, small = sample(os.urandom(3_000_000)), sample(bytes(100_000))
    with rig.full() as target:
        with pytest.raises(PermanentError) as caught:
            put(target, large)
        assert caught.value.code == "target.full"
        assert caught.value.remedy
        assert target.stat(PATH) is None
        target.delete(part_of(large))  # frees the disk, as an admin would
        put(target, small)


def test_a_receipt_says_how_it_was_confirmed_as_the_properties_claim(rig: Rig, sample: MakeSample) -> None:
    one = sample(os.urandom(100_000))
    properties = rig.target.properties
    receipt = rig.target.put(one.path, PATH, sha256=one.sha256, size=one.size)
    assert receipt.how is properties.confirms
    assert properties.server_side_hash or properties.confirms is not Confirms.SERVER_HASH
    assert rig.target.name == "archive"
