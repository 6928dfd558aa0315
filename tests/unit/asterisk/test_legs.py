"""Legs on their way out of Asterisk's folder: none is taken too early, none deleted that was not taken."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ari_recorder.asterisk.legs import collect, discard
from ari_recorder.audio.legs import leg_file
from ari_recorder.model.call import Direction, Party, Side
from ari_recorder.model.errors import PermanentError, TransientError
from ari_recorder.model.recording import Call, Chosen, Leg, Recording, Segment, State

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LONG_AGO = time.time() - 3600


def recording(*, finished: bool = True) -> Recording:
    ended = NOW if finished else None
    legs = (Leg(f"ari-recorder/r1/1-{side}", f"r1.1-{side}", NOW, NOW, ended) for side in Side)
    segment = Segment(1, 8000, "alaw", "start", *legs)
    call = Call("pbx", "c1", Direction.INBOUND, Party(), Party())
    return Recording("r1", State.CAPTURED, NOW, call, Chosen("all", "r1"), segments=(segment,))


@pytest.fixture
def asterisk(tmp_path: Path) -> Path:
    """Asterisk's recording folder with both legs, closed an hour ago."""
    folder = tmp_path / "asterisk"
    (folder / "ari-recorder/r1").mkdir(parents=True)
    for side in Side:
        write(folder, side, b"\x01\x02" * 80, at=LONG_AGO)
    return folder


def write(folder: Path, side: Side, content: bytes, *, at: float | None = None) -> Path:
    path = folder / f"ari-recorder/r1/1-{side}.sln"
    path.write_bytes(content)
    if at is not None:
        os.utime(path, (at, at))
    return path


def fetched(tmp_path: Path, asterisk: Path, of: Recording) -> Recording:
    return collect(of, asterisk, tmp_path / "legs", leg_file)


def test_legs_are_copied_and_then_deleted(tmp_path: Path, asterisk: Path) -> None:
    done = fetched(tmp_path, asterisk, recording())
    assert [done.segments[0].leg(side).bytes for side in Side] == [160, 160]
    assert discard(done, asterisk) == ()
    assert list((asterisk / "ari-recorder").iterdir()) == []


def test_a_leg_whose_end_nobody_saw_is_not_copied_while_it_grows(tmp_path: Path, asterisk: Path) -> None:
    leg = write(asterisk, Side.LOCAL, b"\x01\x02" * 80)
    with pytest.raises(TransientError) as caught:
        fetched(tmp_path, asterisk, recording(finished=False))
    assert caught.value.code == "capture.no-legs"
    os.utime(leg, (LONG_AGO, LONG_AGO))
    assert fetched(tmp_path, asterisk, recording(finished=False)).segments[0].local.bytes == 160


def test_a_leg_that_asterisk_closed_is_copied_at_once(tmp_path: Path, asterisk: Path) -> None:
    write(asterisk, Side.LOCAL, b"\x01\x02" * 80)
    assert fetched(tmp_path, asterisk, recording()).segments[0].local.bytes == 160


def test_a_leg_that_was_not_copied_is_not_deleted(tmp_path: Path, asterisk: Path) -> None:
    late = asterisk / "ari-recorder/r1/1-local.sln"
    content = late.read_bytes()
    late.unlink()
    done = fetched(tmp_path, asterisk, recording())
    assert done.segments[0].local.error == "Asterisk left no file"
    late.write_bytes(content)  # it appears, as on a share whose other side is slow
    discard(done, asterisk)
    assert late.read_bytes() == content


def test_a_leg_that_grew_after_it_was_copied_is_not_deleted(tmp_path: Path, asterisk: Path) -> None:
    done = fetched(tmp_path, asterisk, recording())
    grown = write(asterisk, Side.REMOTE, b"\x01\x02" * 90)
    discard(done, asterisk)
    assert [path.name for path in grown.parent.iterdir()] == [grown.name]


def test_of_a_refused_call_nothing_is_left(tmp_path: Path, asterisk: Path) -> None:
    discard(replace(recording(), state=State.REFUSED), asterisk)
    assert list((asterisk / "ari-recorder").iterdir()) == []


@pytest.mark.parametrize("gone", ["the folder", "what is mounted on it"])
def test_a_share_that_is_not_mounted_is_waited_for(tmp_path: Path, asterisk: Path, gone: str) -> None:
    asterisk.rename(tmp_path / "elsewhere")
    if gone != "the folder":
        asterisk.mkdir()
    with pytest.raises(TransientError, match="is not there"):
        fetched(tmp_path, asterisk, recording())
    with pytest.raises(TransientError, match="is not there"):
        discard(replace(recording(), state=State.REFUSED), asterisk)


def test_one_leg_copied_and_the_share_gone_is_waited_for(tmp_path: Path, asterisk: Path) -> None:
    (asterisk / "ari-recorder/r1/1-local.sln").unlink()
    once = fetched(tmp_path, asterisk, recording())
    asterisk.rename(tmp_path / "elsewhere")
    with pytest.raises(TransientError):
        fetched(tmp_path, asterisk, once)


def test_a_call_of_which_asterisk_left_nothing_has_failed(tmp_path: Path, asterisk: Path) -> None:
    for side in Side:
        (asterisk / f"ari-recorder/r1/1-{side}.sln").unlink()
    with pytest.raises(PermanentError) as caught:
        fetched(tmp_path, asterisk, recording())
    assert caught.value.code == "capture.no-legs"


# What an earlier life did, and had no time to journal ------------------------------------------------------


def test_copies_whose_sizes_were_not_journalled_are_taken_where_asterisks_files_are_gone(
    tmp_path: Path, asterisk: Path
) -> None:
    """The recorder died after copying, then its host did: on the next one Asterisk's folder is a new one."""
    done = fetched(tmp_path, asterisk, recording())
    asterisk.rename(tmp_path / "died with its host")
    assert fetched(tmp_path, asterisk, recording()) == done
    asterisk.mkdir()
    assert fetched(tmp_path, asterisk, recording()) == done


def test_a_half_written_copy_is_not_taken_for_a_leg(tmp_path: Path, asterisk: Path) -> None:
    (tmp_path / "legs").mkdir()
    for side in Side:
        (tmp_path / f"legs/1-{side}.sln.part").write_bytes(b"\x01")
        (asterisk / f"ari-recorder/r1/1-{side}.sln").unlink()
    with pytest.raises(PermanentError):
        fetched(tmp_path, asterisk, recording())


def unrated() -> Recording:
    """Killed before Asterisk's word on the rate could be journalled."""
    before = recording()
    return replace(before, segments=(replace(before.segments[0], rate=0),))


def test_what_the_files_tell_is_journalled_before_the_first_is_copied(tmp_path: Path, asterisk: Path) -> None:
    for side in Side:
        path = asterisk / f"ari-recorder/r1/2-{side}.sln"
        path.write_bytes(b"\x01\x02" * 80)
        os.utime(path, (LONG_AGO, LONG_AGO))
    learnt: list[Recording] = []

    def learn(known: Recording) -> None:
        assert not any((tmp_path / "legs").iterdir())
        learnt.append(known)

    done = collect(unrated(), asterisk, tmp_path / "legs", leg_file, learn)
    assert [(s.number, s.rate, s.why) for s in learnt[0].segments] == [
        (1, 8000, "start"),
        (2, 8000, "adopted"),
    ]
    collect(done, asterisk, tmp_path / "legs", leg_file, learn)
    assert len(learnt) == 1


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_legs_that_cannot_be_looked_for_are_not_taken_for_none(
    tmp_path: Path, asterisk: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = recording()
    known = replace(before.segments[0], rate=8000)
    once = fetched(tmp_path, asterisk, replace(before, segments=(known,)))  # only a second segment is missing

    def unreadable(_self: Path) -> Iterator[Path]:
        raise OSError(number, os.strerror(number))

    for of in (unrated(), once):
        with monkeypatch.context() as patched:
            patched.setattr(Path, "iterdir", unreadable)
            with pytest.raises(TransientError) as caught:
                fetched(tmp_path, asterisk, of)
            assert caught.value.code == "capture.no-legs"
            if of is once:
                assert discard(of, asterisk) == ()  # what is sealed waits for no look


def test_a_leg_that_cannot_be_compared_is_not_deleted(
    tmp_path: Path, asterisk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = fetched(tmp_path, asterisk, recording())
    stat = Path.stat

    def failing(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if self.suffix == ".sln" and self.is_relative_to(asterisk):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return stat(self, follow_symlinks=follow_symlinks)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", failing)
        discard(done, asterisk)
    assert len(list((asterisk / "ari-recorder/r1").iterdir())) == 2
