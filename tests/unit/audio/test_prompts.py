"""Prompts from good and from hostile files."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ari_recorder.audio.g711 import law
from ari_recorder.audio.prompts import Prompt, convert
from ari_recorder.disk.digest import digest_of
from ari_recorder.model.errors import ConfigError
from ari_recorder.model.recording import Coding

from .calls import tone


def encoded(seconds: float = 1.0, rate: int = 44_100, kind: str = "WAV", channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    sound = np.repeat(tone(seconds, rate)[:, np.newaxis], channels, axis=1)
    soundfile.write(buffer, sound, rate, format=kind)
    return buffer.getvalue()


def wav(
    *,
    rate: int = 8000,
    channels: int = 1,
    said: int | None = None,
    data: bytes = b"\1\0" * 100,
    bits: int = 16,
) -> bytes:
    """A WAV whose header may lie: `said` is the size it gives for its data."""
    width = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", 3 if bits == 32 else 1, channels, rate, rate * width & 0xFFFFFFFF, width, bits
    )
    head = b"WAVEfmt " + struct.pack("<I", 16) + form
    head += b"data" + struct.pack("<I", len(data) if said is None else said)
    return b"RIFF" + struct.pack("<I", len(head) + len(data)) + head + data


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def source(folder: Path, content: bytes, name: str = "welcome.wav") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def samples(path: Path) -> list[int]:
    values: list[int] = np.fromfile(path, dtype="<i2").tolist()
    return values


@pytest.mark.parametrize("kind", ["WAV", "MP3", "FLAC", "OGG"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2), (48_000, 1)])
def test_any_rate_and_channels_become_what_asterisk_plays(
    tmp_path: Path, kind: str, rate: int, channels: int
) -> None:
    prompt = convert(source(tmp_path, encoded(1.0, rate, kind, channels)), tmp_path, "hello")
    assert prompt.files == ("hello.sln", "hello.alaw", "hello.ulaw", "hello.sln16")
    assert prompt.seconds == pytest.approx(1.0, abs=0.05)
    assert prompt.sha256 == digest_of(tmp_path / "welcome.wav")[0]
    for name, to in (("hello.sln", 8000), ("hello.sln16", 16_000)):
        made = np.array(samples(tmp_path / name))
        assert len(made) == pytest.approx(to, rel=0.05)
        loudness = np.sqrt(np.mean(made.astype(float) ** 2))
        # The MP3 encoder itself takes up to a quarter away from a bare tone in joint stereo.
        assert loudness == pytest.approx(9000 / np.sqrt(2), rel=0.3 if kind == "MP3" else 0.02)
        spectrum = np.abs(np.fft.rfft(made, n=to))
        assert int(spectrum.argmax()) in range(438, 443)


def test_sound_that_fits_is_taken_sample_for_sample(tmp_path: Path) -> None:
    convert(source(tmp_path, encoded(0.5, 8000)), tmp_path, "hello", rates=(8000,))
    assert samples(tmp_path / "hello.sln") == tone(0.5, 8000).tolist()


@pytest.mark.parametrize("length", [1, 159, 160, 161, 7999])
def test_every_file_is_whole_frames_of_20_ms(tmp_path: Path, length: int) -> None:
    prompt = convert(source(tmp_path, wav(data=b"\1\0" * length)), tmp_path, "hello")
    sizes = {name: (tmp_path / name).stat().st_size for name in prompt.files}
    frames = -(-length // 160)
    assert sizes == {
        "hello.sln": 320 * frames,
        "hello.alaw": 160 * frames,
        "hello.ulaw": 160 * frames,
        "hello.sln16": 640 * frames,
    }


def test_the_g711_files_are_the_sln_file_encoded(tmp_path: Path) -> None:
    convert(source(tmp_path, encoded()), tmp_path, "hello")
    linear = np.fromfile(tmp_path / "hello.sln", dtype="<i2")
    for coding in (Coding.ALAW, Coding.ULAW):
        assert (tmp_path / f"hello.{coding}").read_bytes() == law(coding).encode(linear).tobytes()


def test_stereo_is_averaged_and_loud_sound_does_not_wrap(tmp_path: Path) -> None:
    square = np.where(np.arange(8000) % 40 < 20, 1.0, -1.0)
    loud = io.BytesIO()
    soundfile.write(loud, np.stack((3 * square, square), axis=1), 8000, format="WAV", subtype="FLOAT")
    convert(source(tmp_path, loud.getvalue()), tmp_path, "loud", rates=(8000,))
    assert samples(tmp_path / "loud.sln") == [int(32767 * value) for value in square]


def test_the_same_content_is_converted_once(tmp_path: Path) -> None:
    path = source(tmp_path, encoded())
    first = convert(path, tmp_path, "hello")
    stamp = (tmp_path / "hello.sln").stat().st_mtime_ns
    assert convert(path, tmp_path, "hello") == first
    assert (tmp_path / "hello.sln").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "hello.sln").write_bytes(b""),
        lambda folder: (folder / "hello.alaw").unlink(),
        lambda folder: (folder / "hello.json").write_bytes(b"\xff{"),
        lambda folder: (folder / "hello.json").write_text("{}"),
    ],
)
def test_what_was_damaged_is_converted_again(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = source(tmp_path, encoded())
    first = convert(path, tmp_path, "hello")
    good = {name: (tmp_path / name).read_bytes() for name in first.files}
    change(tmp_path)
    assert convert(path, tmp_path, "hello") == first
    assert {name: (tmp_path / name).read_bytes() for name in first.files} == good


def test_other_content_or_rates_are_converted_anew(tmp_path: Path) -> None:
    path = source(tmp_path, encoded(1.0))
    first = convert(path, tmp_path, "hello")
    source(tmp_path, encoded(2.0))
    second = convert(path, tmp_path, "hello")
    assert (first.seconds, second.seconds) == (1.0, 2.0)
    assert convert(path, tmp_path, "hello", rates=(48_000,)) == Prompt(
        "hello", ("hello.sln48",), 2.0, second.sha256
    )


HOSTILE = {
    "empty": (b"", "is empty"),
    "text": (b"This call may be recorded.\n" * 1000, "not sound"),
    "zeros": (bytes(100_000), "not sound"),
    "ID3 and junk": (b"ID3\x03\0\0\0\0\0\x0a" + b"x" * 5000, "not sound"),
    "header only": (encoded()[:44], "silence|not sound"),
    "half a header": (encoded()[:30], "not sound|silence"),
    "silence": (wav(data=bytes(16_000)), "nothing but silence"),
    "no samples": (wav(data=b""), "nothing but silence"),
    "eleven minutes": (wav(data=b"\1\0" * 8000 * 60 * 11), "11 minutes long"),
    "rate 0": (wav(rate=0), "not sound"),
    "rate 1": (wav(rate=1), "1 samples a second"),
    "rate of 2 GHz": (wav(rate=0x7FFFFFFF), "2147483647 samples"),
    "no channel": (wav(channels=0), "not sound"),
    "a thousand channels": (wav(channels=1000, data=b"\1\0" * 1000), "1000 channels"),
    "not a number": (wav(bits=32, data=struct.pack("<3f", float("nan"), 0.5, 1.0)), "no sound"),
    "infinite": (wav(bits=32, data=struct.pack("<3f", float("inf"), 0.5, 1.0)), "no sound"),
    "half an MP3": (half(encoded(4.0, 44_100, "MP3")), "cut off"),
}


@pytest.mark.parametrize("name", ["prompt.wav", "prompt.mp3"])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_gets_a_clear_sentence_and_leaves_nothing(
    tmp_path: Path, case: str, name: str
) -> None:
    content, says = HOSTILE[case]
    path, out = source(tmp_path, content, name), tmp_path / "out"
    out.mkdir()
    with pytest.raises(ConfigError, match=says) as caught:
        convert(path, out, "hello")
    assert caught.value.code == "audio.prompt"
    assert name in caught.value.sentence
    assert caught.value.remedy
    assert not list(out.iterdir())


def test_a_header_that_promises_4_gib_is_believed_only_as_far_as_the_data(tmp_path: Path) -> None:
    """Players take such files as they are, so do we; what counts is that nothing is allocated for it."""
    path = source(tmp_path, wav(said=0xFFFFFFF0, data=b"\1\0" * 4000))
    assert convert(path, tmp_path, "hello").seconds == 0.5


def test_a_three_hour_file_is_refused_by_its_header(tmp_path: Path) -> None:
    path, size = tmp_path / "long.wav", 3 * 3600 * 8000 * 2
    with path.open("wb") as file:
        file.write(wav(said=size, data=b""))
        file.truncate(44 + size)
    with pytest.raises(ConfigError, match="180 minutes long"):
        convert(path, tmp_path, "hello")


def test_a_file_of_gigabytes_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.wav"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConfigError, match="larger than 256 MiB"):
        convert(path, tmp_path, "hello")


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    for name, says in (
        ("pipe.wav", "not a file"),
        ("folder.wav", "irectory|not a file"),
        ("gone.wav", "No such"),
    ):
        with pytest.raises(ConfigError, match=says):
            convert(tmp_path / name, tmp_path, "hello")
    with pytest.raises(ConfigError, match="cannot be read"):
        convert(Path("nul\0.wav"), tmp_path, "hello")


@pytest.mark.parametrize("name", ["", "../hello", "a/b", "hello.wav", "-x", "x" * 65, "naïve", "a\n"])
def test_a_name_that_asterisk_or_the_disk_would_not_take_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a file name"):
        convert(source(tmp_path, encoded()), tmp_path, name)
