"""Reads a WAV file strictly, without the product's code, so that its writer is not judged by itself."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

PCM, ALAW, ULAW = 1, 6, 7


class WaveError(ValueError):
    """The file is not a well-formed WAV; the message says where."""


@dataclass(frozen=True, slots=True)
class Wave:
    """`channels` hold each channel's sample bytes; `width` is bytes per sample."""

    tag: int
    rate: int
    width: int
    channels: tuple[bytes, ...]

    @property
    def samples(self) -> int:
        return len(self.channels[0]) // self.width

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


def read_wave(path: Path) -> Wave:
    """RIFF or RF64 with format tag 1, 6 or 7. Everything that the headers say twice must agree."""
    content = path.read_bytes()
    chunks = _chunks(content)
    for name in (b"fmt ", b"data"):
        if name not in chunks:
            raise WaveError(f"{path.name} has no {name.decode().strip()} chunk")
    tag, count, rate, byte_rate, block, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    width = bits // 8
    _agree(path.name, tag, bits, "bits per sample", {PCM: 16, ALAW: 8, ULAW: 8}.get(tag))
    _agree(path.name, tag, block, "block alignment", count * width)
    _agree(path.name, tag, byte_rate, "byte rate", rate * block)
    data = chunks[b"data"]
    if len(data) % block:
        raise WaveError(f"{path.name}: {len(data)} bytes of data are no whole number of {block} byte blocks")
    if tag != PCM:
        _agree(path.name, tag, len(chunks[b"fmt "]), "length of fmt", 18)
        (samples,) = struct.unpack_from("<I", chunks.get(b"fact", b"\xff\xff\xff\xff"))
        _agree(path.name, tag, samples, "samples in fact", len(data) // block)
    return Wave(tag, rate, width, tuple(_channel(data, count, width, n) for n in range(count)))


def _agree(name: str, tag: int, got: int, what: str, wanted: int | None) -> None:
    if got != wanted:
        raise WaveError(f"{name} (format tag {tag}): {what} is {got}, must be {wanted}")


def _channel(data: bytes, count: int, width: int, number: int) -> bytes:
    if width == 1:
        return data[number::count]
    channel = bytearray(len(data) // count)
    channel[0::2] = data[2 * number :: 2 * count]
    channel[1::2] = data[2 * number + 1 :: 2 * count]
    return bytes(channel)


def _chunks(content: bytes) -> dict[bytes, bytes]:
    form, size, kind = struct.unpack_from("<4sI4s", content)
    if form not in (b"RIFF", b"RF64") or kind != b"WAVE":
        raise WaveError(f"no WAV file: it begins with {content[:12]!r}")
    chunks: dict[bytes, bytes] = {}
    position, long_data = 12, None
    while position < len(content):
        if position + 8 > len(content):
            raise WaveError(f"{len(content) - position} stray bytes at the end")
        name, length = struct.unpack_from("<4sI", content, position)
        if name == b"data" and length == 0xFFFFFFFF and long_data is not None:
            length = long_data
        body = content[position + 8 : position + 8 + length]
        if len(body) < length:
            raise WaveError(f"chunk {name!r} says {length} bytes, {len(body)} are there")
        if name == b"ds64":
            size, long_data = struct.unpack_from("<QQ", body)
        chunks.setdefault(name, body)
        position += 8 + length + length % 2
    if size != len(content) - 8:
        raise WaveError(f"the header says {size + 8} bytes, the file has {len(content)}")
    return chunks
