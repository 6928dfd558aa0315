"""Legs in, WAV out, judged by samples read with another program's reader."""

from __future__ import annotations

import errno
import os
import tracemalloc
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ari_recorder.audio import assembly
from ari_recorder.audio.assembly import assemble
from ari_recorder.audio.g711 import law
from ari_recorder.audio.legs import BLOCK
from ari_recorder.audio.wav import read_header
from ari_recorder.model.call import Side
from ari_recorder.model.errors import RecorderError, TransientError
from ari_recorder.model.recording import Assembled, Coding, Recording, Sides

from .calls import Array, g711, leg, put, recording, segment, speech, tone

REMOTE, LOCAL = Side.REMOTE, Side.LOCAL


def read(path: Path) -> Array:
    samples: Array = soundfile.read(path, dtype="int16", always_2d=True)[0]
    return samples


def codes(path: Path, channels: int = 2) -> list[list[int]]:
    header = read_header(path)
    raw = path.read_bytes()[header.data_at :][: header.data_bytes]
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, channels).T.tolist()


def pair(folder: Path, number: int, remote: Array, local: Array) -> None:
    put(folder, number, REMOTE, remote)
    put(folder, number, LOCAL, local)


def one_segment(folder: Path, count: int, sides: Sides = Sides.STEREO, codec: str = "alaw") -> Recording:
    coding = Coding(codec)
    pair(folder, 1, speech(count, 1, coding), speech(count, 2, coding))
    return recording(segment(1, leg(0, count), leg(0, count), codec=codec), sides=sides)


@pytest.mark.parametrize("codec", ["alaw", "ulaw"])
def test_the_bytes_on_the_wire_are_in_the_file(tmp_path: Path, codec: str) -> None:
    count = 3 * BLOCK + 17
    done = assemble(one_segment(tmp_path, count, codec=codec), tmp_path, tmp_path, "call")
    (file,) = done.files
    path = tmp_path / "call.wav"
    assert codes(path) == [g711(count, side, Coding(codec)).tolist() for side in (1, 2)]
    assert (done.exact, done.edits, done.seconds) == (True, (), count / 8000)
    assert (file.name, file.channels, file.coding, file.rate) == ("call.wav", (REMOTE, LOCAL), codec, 8000)
    assert (file.samples, file.bytes) == (count, path.stat().st_size)
    assert file.sha256 == sha256(path.read_bytes()).hexdigest()
    assert read(path).T.tolist() == [speech(count, side, Coding(codec)).tolist() for side in (1, 2)]


def test_separate_files_hold_one_side_each(tmp_path: Path) -> None:
    done = assemble(one_segment(tmp_path, 1001, Sides.SEPARATE), tmp_path, tmp_path, "call")
    assert [file.name for file in done.files] == ["call_remote.wav", "call_local.wav"]
    assert [file.channels for file in done.files] == [(REMOTE,), (LOCAL,)]
    assert codes(tmp_path / "call_remote.wav", 1) == [g711(1001, 1).tolist()]
    assert codes(tmp_path / "call_local.wav", 1) == [g711(1001, 2).tolist()]


@pytest.mark.parametrize(("sides", "seed"), [(Sides.REMOTE, 1), (Sides.LOCAL, 2)])
def test_one_side_alone_needs_only_its_own_legs(tmp_path: Path, sides: Sides, seed: int) -> None:
    call = one_segment(tmp_path, 999, sides)
    (tmp_path / ("1-local.sln" if sides is Sides.REMOTE else "1-remote.sln")).unlink()
    assemble(call, tmp_path, tmp_path, "call")
    assert codes(tmp_path / "call.wav", 1) == [g711(999, seed).tolist()]


def test_wideband_is_untouched_pcm(tmp_path: Path) -> None:
    random = np.random.default_rng(5).integers(-32768, 32768, (2, 5000)).astype(np.int16)
    pair(tmp_path, 1, random[0], random[1])
    call = recording(segment(1, leg(0, 5000), leg(0, 5000), codec="g722", rate=16000))
    done = assemble(call, tmp_path, tmp_path, "call")
    assert (done.exact, done.files[0].coding, done.files[0].rate) == (True, Coding.PCM16, 16000)
    assert read(tmp_path / "call.wav").T.tolist() == random.tolist()


def test_silence_while_ringing_has_its_true_length_and_value(tmp_path: Path) -> None:
    ringing = np.zeros(40_000, dtype=np.int16)
    remote = np.concatenate((ringing, speech(8000, 1)))
    pair(tmp_path, 1, remote, speech(48_000, 2))
    call = recording(segment(1, leg(0, 48_000), leg(0, 48_000)))
    done = assemble(call, tmp_path, tmp_path, "call")
    assert codes(tmp_path / "call.wav")[0] == [0xD5] * 40_000 + g711(8000, 1).tolist()
    assert done.exact


def test_sound_that_the_pbx_made_is_told_with_its_times(tmp_path: Path) -> None:
    remote = speech(80_000, 1)
    remote[16_000:24_000] = tone(1, 8000)
    remote[28_000:32_000] = tone(0.5, 8000)
    pair(tmp_path, 1, remote, speech(80_000, 2))
    done = assemble(recording(segment(1, leg(0, 80_000), leg(0, 80_000))), tmp_path, tmp_path, "call")
    assert not done.exact
    (note,) = done.edits
    assert (note.what, note.until is not None) == ("off-grid", True)
    assert 1.99 < (note.at - done.begins_at).total_seconds() < 2.01
    assert note.until is not None
    assert 3.99 < (note.until - done.begins_at).total_seconds() < 4.01
    expected = law(Coding.ALAW).encode(remote).tolist()
    assert codes(tmp_path / "call.wav") == [expected, g711(80_000, 2).tolist()]


def test_many_off_grid_stretches_are_told_in_few_notes(tmp_path: Path) -> None:
    remote = speech(8000 * 200, 1)
    remote[:: 8000 * 2] = 1
    pair(tmp_path, 1, remote, speech(len(remote), 2))
    call = recording(segment(1, leg(0, len(remote)), leg(0, len(remote))))
    notes = assemble(call, tmp_path, tmp_path, "call").edits
    assert 1 <= len(notes) <= assembly.MOST_OFF_GRID_NOTES
    assert notes[0].at == call.decided_at


def test_segments_are_joined_and_the_gap_is_silence(tmp_path: Path) -> None:
    pair(tmp_path, 1, speech(8000, 1), speech(8000, 2))
    pair(tmp_path, 2, speech(4000, 3), speech(4000, 4))
    call = recording(segment(1, leg(0, 8000), leg(0, 8000)), segment(2, leg(1020, 4000), leg(1020, 4000)))
    done = assemble(call, tmp_path, tmp_path, "call")
    gap = [0xD5] * 160
    assert codes(tmp_path / "call.wav") == [
        g711(8000, 1).tolist() + gap + g711(4000, 3).tolist(),
        g711(8000, 2).tolist() + gap + g711(4000, 4).tolist(),
    ]
    assert [note.what for note in done.edits] == ["gap", "gap"]
    assert done.exact


@pytest.mark.parametrize(("source", "target"), [(16000, 8000), (8000, 16000), (48000, 8000), (8000, 48000)])
def test_a_resampled_minority_keeps_its_length_place_and_sound(
    tmp_path: Path, source: int, target: int
) -> None:
    """A tone for 1.5 s at another rate: the same tone, in phase, stands in the file at that place."""
    codec = {8000: "alaw", 16000: "g722", 48000: "slin48"}
    short, long = tone(1.5, source), tone(4, target)
    pair(tmp_path, 1, short, short)
    pair(tmp_path, 2, long, long)
    call = recording(
        segment(1, leg(0, len(short)), leg(0, len(short)), codec=codec[source], rate=source),
        segment(2, leg(1500, len(long)), leg(1500, len(long)), codec=codec[target], rate=target),
    )
    # Both sides together would be 3 s of sound, and no minority any more.
    put(tmp_path, 1, LOCAL, np.zeros_like(short))
    done = assemble(call, tmp_path, tmp_path, "call")
    samples = read(tmp_path / "call.wav")
    assert done.files[0].rate == target
    assert len(samples) == round(1.5 * target) + len(long)
    assert "resampled" in [note.what for note in done.edits]
    assert not done.exact
    middle = slice(round(0.1 * target), round(1.4 * target))
    error = samples[middle, 0].astype(int) - tone(1.5, target)[middle]
    assert np.abs(error).max() < (300 if target == 8000 else 40)
    assert not np.any(read(tmp_path / "call.wav")[: round(1.5 * target), 1] // 16)


def test_a_changed_codec_throughout_becomes_pcm_at_the_highest_rate(tmp_path: Path) -> None:
    wide = tone(3, 16000)
    pair(tmp_path, 1, speech(24_000, 1), speech(24_000, 2))
    pair(tmp_path, 2, wide, wide)
    call = recording(
        segment(1, leg(0, 24_000), leg(0, 24_000)),
        segment(2, leg(3000, 48_000), leg(3000, 48_000), codec="g722", rate=16000),
    )
    done = assemble(call, tmp_path, tmp_path, "call")
    assert (done.files[0].coding, done.files[0].rate, done.seconds) == (Coding.PCM16, 16000, 6.0)
    assert read(tmp_path / "call.wav")[48_000:, 0].tolist() == wide.tolist()
    assert [note.what for note in done.edits] == ["resampled", "coding"]


def test_the_two_laws_in_one_call_become_pcm_without_losing_anything(tmp_path: Path) -> None:
    first, second = speech(24_000, 1), speech(24_000, 2, Coding.ULAW)
    pair(tmp_path, 1, first, first)
    pair(tmp_path, 2, second, second)
    call = recording(
        segment(1, leg(0, 24_000), leg(0, 24_000)),
        segment(2, leg(3000, 24_000), leg(3000, 24_000), codec="ulaw"),
    )
    done = assemble(call, tmp_path, tmp_path, "call")
    assert done.exact
    assert read(tmp_path / "call.wav")[:, 1].tolist() == [*first.tolist(), *second.tolist()]


def test_assembling_again_gives_the_same_bytes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """With resampling, which a dithering resampler would make different each time."""
    pair(tmp_path, 1, tone(0.5, 16000), tone(0.5, 16000, 300))
    pair(tmp_path, 2, speech(80_000, 1), speech(80_000, 2))
    call = recording(
        segment(1, leg(0, 8000), leg(2, 8000), codec="g722", rate=16000),
        segment(2, leg(500, 80_000), leg(503, 80_000)),
    )
    out = tmp_path / "out"
    out.mkdir()
    (out / ".call.wav.part").write_bytes(b"left by a crash" * 100_000)
    first = assemble(call, tmp_path, out, "call")
    content = (out / "call.wav").read_bytes()
    assert assemble(call, tmp_path, out, "call") == first
    assert (out / "call.wav").read_bytes() == content
    assert [path.name for path in out.iterdir()] == ["call.wav"]


def test_an_empty_recording_is_an_empty_file(tmp_path: Path) -> None:
    shares: list[float] = []
    done = assemble(one_segment(tmp_path, 0), tmp_path, tmp_path, "call", progress=shares.append)
    assert (done.seconds, read_header(tmp_path / "call.wav").frames, shares) == (0.0, 0, [1.0])
    assert soundfile.info(tmp_path / "call.wav").frames == 0


def test_a_long_recording_becomes_rf64(tmp_path: Path) -> None:
    done = assemble(one_segment(tmp_path, 1000), tmp_path, tmp_path, "call", limit=1500)
    assert read_header(tmp_path / "call.wav").rf64
    assert codes(tmp_path / "call.wav") == [g711(1000, 1).tolist(), g711(1000, 2).tolist()]
    assert done.files[0].sha256 == sha256((tmp_path / "call.wav").read_bytes()).hexdigest()


def test_progress_rises_to_one(tmp_path: Path) -> None:
    shares: list[float] = []
    assemble(one_segment(tmp_path, 3 * BLOCK), tmp_path, tmp_path, "call", progress=shares.append)
    assert shares == [pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.unlink(), "is not there; it held 2000 bytes"),
        (lambda path: os.truncate(path, 1000), "holds 1000 bytes; when it was fetched it held 2000"),
        (lambda path: os.truncate(path, 3000), "holds 3000 bytes"),
        (lambda path: (path.unlink(), path.mkdir()), "bytes|cannot be read"),
    ],
)
def test_a_leg_that_is_not_what_was_fetched_stops_assembly(tmp_path: Path, spoil: Any, says: str) -> None:
    call = one_segment(tmp_path, 1000)
    spoil(tmp_path / "1-local.sln")
    with pytest.raises(RecorderError, match=says) as caught:
        assemble(call, tmp_path, tmp_path, "call")
    assert caught.value.code == "audio.leg"
    assert "1-local.sln" in caught.value.sentence
    assert not list(tmp_path.glob("*.wav"))


def test_a_leg_that_shrinks_meanwhile_stops_assembly_and_leaves_no_file(tmp_path: Path) -> None:
    call = one_segment(tmp_path, 4 * BLOCK)

    def shrink(share: float) -> None:
        os.truncate(tmp_path / "1-remote.sln", 1000)

    with pytest.raises(RecorderError, match="ended while it was read"):
        assemble(call, tmp_path, tmp_path, "call", progress=shrink)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-local.sln", "1-remote.sln"]


def test_a_trailing_odd_byte_is_left_out(tmp_path: Path) -> None:
    one_segment(tmp_path, 1000)
    with (tmp_path / "1-remote.sln").open("ab") as file:
        file.write(b"\x07")
    call = recording(segment(1, leg(0, 1000, odd=1), leg(0, 1000)))
    done = assemble(call, tmp_path, tmp_path, "call")
    assert codes(tmp_path / "call.wav")[0] == g711(1000, 1).tolist()
    assert [note.what for note in done.edits] == ["odd-byte"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "spool.full"), (errno.EDQUOT, "spool.full"), (errno.EIO, "spool.unusable")],
)
def test_trouble_with_the_disk_is_tried_again_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    call = one_segment(tmp_path, 1000)
    monkeypatch.setattr("ari_recorder.audio.wav.WavWriter.write", fail)
    with pytest.raises(TransientError) as caught:
        assemble(call, tmp_path, tmp_path, "call")
    assert caught.value.code == code
    assert not [path.name for path in tmp_path.iterdir() if "wav" in path.name]


def test_a_disk_that_is_really_full_is_spool_full(tmp_path: Path) -> None:
    call = one_segment(tmp_path, 1000)
    (tmp_path / ".call.wav.part").symlink_to("/dev/full")
    with pytest.raises(TransientError) as caught:
        assemble(call, tmp_path, tmp_path, "call")
    assert caught.value.code == "spool.full"


def test_a_name_with_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="base name"):
        assemble(one_segment(tmp_path, 10), tmp_path, tmp_path, "../call")


def test_memory_does_not_grow_with_the_call(tmp_path: Path) -> None:
    """Three hours of sparse legs with an off-grid spot each minute."""

    def peak(samples: int) -> int:
        for side in Side:
            with (tmp_path / f"1-{side}.sln").open("wb") as file:
                for place in range(0, samples, 8000 * 60):
                    file.seek(2 * place)
                    file.write(b"\x01\x00" * 8)
                file.truncate(2 * samples)
        call = recording(segment(1, leg(0, samples), leg(0, samples)))
        tracemalloc.start()
        assemble(call, tmp_path, tmp_path, "call")
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    minute, hours = peak(60 * 8000), peak(3 * 3600 * 8000)
    assert hours < minute + 300_000
    assert hours < 4_000_000


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    counts=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), min_size=1, max_size=3),
    offsets=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=3, max_size=3),
    coding=st.sampled_from([Coding.ALAW, Coding.ULAW]),
    block=st.sampled_from([7, 64, 160, BLOCK]),
)
def test_the_file_equals_a_naive_model(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    counts: list[tuple[int, int]],
    offsets: list[tuple[int, int]],
    coding: Coding,
    block: int,
) -> None:
    """Segments 200 ms apart with random starts: a dictionary of place → code says what must stand there."""
    monkeypatch.setattr("ari_recorder.audio.legs.BLOCK", block)
    segments = []
    expected: list[dict[int, int]] = [{}, {}]
    for number, (count, offset) in enumerate(zip(counts, offsets, strict=False), 1):
        start = [200 * number + ms for ms in offset]
        segments.append(segment(number, leg(start[0], count[0]), leg(start[1], count[1]), codec=coding.value))
        for channel, side in enumerate((REMOTE, LOCAL)):
            put(tmp_path, number, side, speech(count[channel], 10 * number + channel, coding))
            values = g711(count[channel], 10 * number + channel, coding).tolist()
            expected[channel] |= {8 * start[channel] + i: code for i, code in enumerate(values)}
    done: Assembled = assemble(recording(*segments), tmp_path, tmp_path, "call")
    places = [place for channel in expected for place in channel]
    first, end = (min(places), max(places) + 1) if places else (0, 0)
    zero = 0xD5 if coding is Coding.ALAW else 0xFF
    model = [[channel.get(place, zero) for place in range(first, end)] for channel in expected]
    assert codes(tmp_path / "call.wav") == model
    assert done.exact
