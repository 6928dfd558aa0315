"""The bandwidth of a target: the sum of its uploads, exact in the long run, and nothing else changed."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.config import targets as config
from ari_recorder.model.errors import TransientError
from ari_recorder.targets.base import chunks, open_source
from ari_recorder.targets.local import LocalTarget
from ari_recorder.targets.pace import BURST, Pace, paced

CONTENT = bytes(range(256)) * 400  # 100 KiB


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


def facts() -> tuple[str, int]:
    return hashlib.sha256(CONTENT).hexdigest(), len(CONTENT)


def test_a_source_without_a_pace_is_the_plain_file(source: Path) -> None:
    sha256, size = facts()
    with open_source(source, sha256=sha256, size=size) as stream:
        assert b"".join(chunks(stream)) == CONTENT


def test_a_paced_source_is_the_same_bytes_also_when_read_again_and_in_whole_blocks(source: Path) -> None:
    sha256, size = facts()
    pace = Pace(100_000_000)
    with paced(pace), open_source(source, sha256=sha256, size=size) as stream:
        assert stream.read(70_000) == CONTENT[:70_000]  # as much as was asked for, as any file gives
        assert stream.seek(10) == 10
        assert stream.read() == CONTENT[10:]
        assert stream.tell() == size
    assert pace.taken >= size  # and the check before did not count
    with open_source(source, sha256=sha256, size=size) as stream:
        assert not hasattr(stream, "raw") or not hasattr(stream.raw, "piece")


def test_uploads_side_by_side_share_one_pace(tmp_path: Path, source: Path) -> None:
    sha256, size = facts()
    rate = 400_000
    target = LocalTarget(config.LocalTarget(kind="local", name="a", folder=tmp_path / "a"))
    target.prepare()
    pace = Pace(rate)

    def put(name: str) -> None:
        with paced(pace):
            target.put(source, PurePosixPath(name), sha256=sha256, size=size)

    threads = [threading.Thread(target=put, args=(f"{n}.wav",)) for n in range(3)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    # A lower bound holds on any machine: the clock cannot have run slower than the bucket lets through.
    assert time.monotonic() - begun >= 3 * size / rate - BURST - 0.01
    assert pace.taken == 3 * size
    assert (tmp_path / "a" / "2.wav").read_bytes() == CONTENT


def test_what_was_not_used_is_not_saved_up() -> None:
    now = [0.0]
    pace = Pace(1000, clock=lambda: now[0])
    now[0] = 3600.0
    pace.take(int(1000 * BURST))  # at once
    waited = time.monotonic()
    pace.take(100)
    assert time.monotonic() - waited >= 0.09


def test_nobody_waits_at_a_pace_that_has_ended() -> None:
    pace = Pace(1)
    refused = threading.Event()

    def take() -> None:
        try:
            pace.take(1_000_000)
        except TransientError:
            refused.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    pace.end()
    assert refused.wait(10)


def test_pieces_are_small_enough_not_to_look_like_a_stall() -> None:
    assert Pace(8_000).piece == 2_000
    assert Pace(1_000_000_000).piece == 1 << 20
