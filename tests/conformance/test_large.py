"""What takes long, once for each kind: a file past every 32-bit bound, and two processes at one file."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from pathlib import Path, PurePosixPath

from ari_recorder.config import targets as config
from ari_recorder.model.errors import RecorderError
from ari_recorder.targets.register import make_target

from .rig import Rig, Sample
from .test_contract import PATH, MakeSample, put

LARGE = 2 * 1024**3 + 12_345
PATIENCE = 120.0
"""Seconds for the large file. An idle machine needs some 40."""


def test_two_gibibytes(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:  # sparse, with marks where counters of 31 and 32 bits would turn over
        for mark in (0, 2**31 - 8, 2**31 + 8, LARGE - 8):
            stream.seek(mark)
            stream.write(os.urandom(8))
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    begun = time.monotonic()
    put(rig.target, Sample(path, sha256, LARGE))
    taken = time.monotonic() - begun
    assert rig.size(PATH) == LARGE
    assert rig.sha256(PATH) == sha256
    assert rig.target.delete(PATH)
    assert taken < PATIENCE


def _put_often(settings: config.Target, path: str, sha256: str, size: int, times: int) -> list[str]:
    """In a process of its own: what came of each put."""
    target = make_target(settings)
    said = []
    for number in range(times):
        try:
            target.put(Path(path), PurePosixPath(f"{number}/file"), sha256=sha256, size=size)
            said.append("stored")
        except RecorderError as error:
            said.append(str(error))
    target.close()
    return said


def test_two_processes_bring_the_same_files(rig: Rig, sample: MakeSample) -> None:
    one, times = sample(os.urandom(2_000_000)), 6
    words = (rig.settings(), str(one.path), one.sha256, one.size, times)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        both = [pool.apply_async(_put_often, words) for _ in range(2)]
        assert [done.get(60) for done in both] == [["stored"] * times] * 2
    assert rig.names() == [f"{number}/file" for number in range(times)]
    for number in range(times):
        assert rig.sha256(PurePosixPath(f"{number}/file")) == one.sha256
