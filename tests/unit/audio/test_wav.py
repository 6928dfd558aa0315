"""WAV files as other programs read them, beyond 4 GiB, and broken ones."""

from __future__ import annotations

import struct
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.audio.g711 import law
from ari_recorder.audio.wav import WavWriter, make_header, read_header
from ari_recorder.model.errors import RecorderError
from ari_recorder.model.recording import Coding

SUBTYPE = {Coding.ALAW: "ALAW", Coding.ULAW: "ULAW", Coding.PCM16: "PCM_16"}
WIDTH = {Coding.ALAW: 1, Coding.ULAW: 1, Coding.PCM16: 2}
GIB = 1 << 30


def write(
    path: Path, coding: Coding, channels: int, data: bytes, *, known: bool, limit: int = 0xFFFFFFFF
) -> str:
    frames = len(data) // (WIDTH[coding] * channels) if known else None
    with WavWriter(path, coding, 8000, channels, frames, limit=limit) as wav:
        half = len(data) // 4 * 2
        wav.write(data[:half])
        wav.write(memoryview(data)[half:])
    assert wav.bytes == path.stat().st_size
    return wav.sha256


def random(count: int) -> bytes:
    return np.random.default_rng(3).integers(0, 256, count).astype(np.uint8).tobytes()


@pytest.mark.parametrize("limit", [0xFFFFFFFF, 100])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("coding", list(Coding))
def test_another_program_reads_what_was_written(
    tmp_path: Path, coding: Coding, channels: int, known: bool, limit: int
) -> None:
    path, data = tmp_path / "x.wav", random(997 * channels * WIDTH[coding])
    digest = write(path, coding, channels, data, known=known, limit=limit)
    read, rate = soundfile.read(path, dtype="int16", always_2d=True)
    codes = np.frombuffer(data, dtype=np.uint8)
    samples = codes.view("<i2") if coding is Coding.PCM16 else law(coding).decode(codes)
    assert rate == 8000
    assert read.tolist() == samples.reshape(-1, channels).tolist()
    assert soundfile.info(path).subtype == SUBTYPE[coding]
    assert digest == sha256(path.read_bytes()).hexdigest()
    header = read_header(path)
    assert (header.coding, header.rate, header.channels) == (coding, 8000, channels)
    assert (header.frames, header.data_bytes, header.rf64) == (997, len(data), limit == 100)
    assert path.read_bytes()[header.data_at :][: len(data)] == data


def test_the_bytes_do_not_depend_on_knowing_the_length(tmp_path: Path) -> None:
    digests = {write(tmp_path / "x.wav", Coding.ALAW, 2, random(640), known=known) for known in (True, False)}
    assert len(digests) == 1


def test_alaw_header_byte_by_byte() -> None:
    assert make_header(Coding.ALAW, 8000, 2, 5) == (
        b"RIFF" + struct.pack("<I", 86 + 10) + b"WAVE"
        b"JUNK" + struct.pack("<I", 28) + bytes(28) +
        b"fmt " + struct.pack("<IHHIIHHH", 18, 6, 2, 8000, 16000, 2, 8, 0) +
        b"fact" + struct.pack("<II", 4, 5) +
        b"data" + struct.pack("<I", 10)
    )  # fmt: skip


def test_an_odd_length_is_padded_and_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    write(path, Coding.ULAW, 1, b"\x01\x02\x03", known=True)
    assert path.stat().st_size % 2 == 0
    assert path.read_bytes().endswith(b"\x01\x02\x03\x00")
    assert read_header(path).data_bytes == 3


@pytest.mark.parametrize("coding", list(Coding))
@pytest.mark.parametrize("frames", [2 * GIB, 5 * GIB])
def test_beyond_4_gib_it_becomes_rf64(tmp_path: Path, coding: Coding, frames: int) -> None:
    path, head = tmp_path / "x.wav", make_header(coding, 8000, 2, frames)
    data_bytes = frames * 2 * WIDTH[coding]
    assert len(head) == len(make_header(coding, 8000, 2, 0))
    assert head[:4] == b"RF64"
    assert head[12:16] == b"ds64"
    assert struct.unpack_from("<QQQ", head, 20) == (len(head) + data_bytes - 8, data_bytes, frames)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + data_bytes)
    header = read_header(path)
    assert (header.frames, header.data_bytes, header.rf64) == (frames, data_bytes, True)
    info = soundfile.info(path)
    assert (info.frames, info.channels, info.subtype) == (frames, 2, SUBTYPE[coding])


def test_real_samples_beyond_4_gib_are_found(tmp_path: Path) -> None:
    path, frames = tmp_path / "x.wav", 4 * GIB + 3
    head = make_header(Coding.ALAW, 8000, 1, frames)
    with path.open("wb") as file:
        file.write(head)
        file.seek(len(head) + frames - 3)
        file.write(b"\xd5\x55\xaa\x00")
    with soundfile.SoundFile(path) as sound:
        sound.seek(frames - 3)
        assert sound.read(dtype="int16").tolist() == [8, -8, 32256]


def test_just_below_the_limit_it_stays_riff() -> None:
    room = 0xFFFFFFFF - (len(make_header(Coding.ALAW, 8000, 1, 0)) - 8)
    assert make_header(Coding.ALAW, 8000, 1, room - 1)[:4] == b"RIFF"
    assert make_header(Coding.ALAW, 8000, 1, room + 1)[:4] == b"RF64"


@pytest.mark.parametrize(("data", "frames"), [(b"123", None), (b"1234", 3)])
def test_broken_promises_are_refused(tmp_path: Path, data: bytes, frames: int | None) -> None:
    wav = WavWriter(tmp_path / "x.wav", Coding.ALAW, 8000, 2, frames)
    wav.write(data)
    with pytest.raises(ValueError, match=r"x\.wav"):
        wav.close()
    wav.close()


def patched(at: int, new: bytes) -> bytes:
    whole = make_header(Coding.ALAW, 8000, 2, 4) + bytes(8)
    return whole[:at] + new + whole[at + len(new) :]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cut off"),
        (b"RIFF", "cut off"),
        (b"hello, this is a text and no sound at all", "not a WAV"),
        (patched(0, b"RIFX"), "not a WAV"),
        (patched(8, b"AVI "), "not a WAV"),
        (patched(56, struct.pack("<H", 2)), "format tag 2"),
        (patched(58, struct.pack("<H", 0)), "contradicts"),
        (patched(60, struct.pack("<I", 0)), "contradicts"),
        (patched(68, struct.pack("<H", 7)), "contradicts"),
        (patched(48, b"nope"), "no format"),
        (patched(90, struct.pack("<I", 10)), "cut off"),
        (patched(90, struct.pack("<I", 7)), "cut off"),
        (patched(0, b"RF64")[:90] + b"\xff" * 4 + bytes(8), "without its ds64"),
        (b"RIFF\0\0\0\0WAVE" + b"LIST\0\0\0\0" * 100_000, "no data chunk"),
    ],
)
def test_a_broken_file_is_named_and_described(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "sealed.wav"
    path.write_bytes(content)
    with pytest.raises(RecorderError, match=says) as caught:
        read_header(path)
    assert caught.value.code == "audio.wav"
    assert "sealed.wav" in caught.value.sentence


def test_a_missing_file_is_an_error_for_people(tmp_path: Path) -> None:
    with pytest.raises(RecorderError, match=r"x\.wav cannot be read"):
        read_header(tmp_path / "x.wav")


@given(st.binary(max_size=200), st.integers(0, 100))
def test_no_content_makes_the_reader_fall_over(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int
) -> None:
    path = tmp_path_factory.mktemp("junk") / "x.wav"
    path.write_bytes(patched(at, junk))
    try:
        header = read_header(path)
    except RecorderError:
        return
    assert header.data_at + header.data_bytes <= path.stat().st_size
