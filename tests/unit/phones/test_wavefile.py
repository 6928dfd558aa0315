from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.phones.wavefile import WaveError, read_wave


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def wave(*chunks: bytes, form: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return form + struct.pack("<I", len(body)) + body


def fmt(tag: int, channels: int, rate: int, bits: int) -> bytes:
    block = channels * bits // 8
    plain = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    return chunk(b"fmt ", plain if tag == 1 else plain + b"\0\0")


def fact(samples: int) -> bytes:
    return chunk(b"fact", struct.pack("<I", samples))


def test_stereo_a_law_is_taken_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wave(chunk(b"JUNK", bytes(28)), fmt(6, 2, 8000, 8), fact(3), chunk(b"data", b"aAbBcC")))
    read = read_wave(path)
    assert (read.tag, read.rate, read.width, read.samples) == (6, 8000, 1, 3)
    assert read.channels == (b"abc", b"ABC")


def test_stereo_pcm_is_taken_apart_by_samples(tmp_path: Path) -> None:
    path = tmp_path / "p.wav"
    path.write_bytes(wave(fmt(1, 2, 16000, 16), chunk(b"data", b"aaAAbbBB")))
    assert read_wave(path).channels == (b"aabb", b"AABB")


def test_rf64_takes_its_sizes_from_ds64(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    body = fmt(7, 1, 8000, 8) + fact(4) + b"data\xff\xff\xff\xff" + b"abcd"
    total = 4 + 8 + 28 + len(body)
    ds64 = chunk(b"ds64", struct.pack("<QQQI", total, 4, 4, 0))
    path.write_bytes(b"RF64\xff\xff\xff\xffWAVE" + ds64 + body)
    assert read_wave(path).channels == (b"abcd",)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (wave(fmt(6, 2, 8000, 8), fact(9), chunk(b"data", b"aAbB")), "samples in fact is 9, must be 2"),
        (wave(fmt(6, 2, 8000, 8), chunk(b"data", b"aAbB")), "samples in fact"),
        (wave(fmt(6, 2, 8000, 8), fact(1), chunk(b"data", b"aAb")), "no whole number"),
        (wave(fmt(6, 2, 8000, 8), fact(2)), "no data chunk"),
        (wave(fmt(3, 1, 8000, 32), chunk(b"data", bytes(8))), "bits per sample is 32"),
        (wave(fmt(1, 1, 8000, 16), chunk(b"data", bytes(8)))[:-2], "says 8 bytes, 6 are there"),
        (wave(fmt(1, 1, 8000, 16), chunk(b"data", bytes(8))) + b"rest", "stray bytes"),
        (b"ID3" + bytes(60), "no WAV file"),
    ],
)
def test_what_does_not_agree_with_itself_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(WaveError, match=complaint):
        read_wave(path)
