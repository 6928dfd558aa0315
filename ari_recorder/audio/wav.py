"""WAV as we write it: a header that is right from the first byte on, with room for more than 4 GiB.

Layout (all little-endian): `RIFF`, a `JUNK` chunk as large as `ds64`, `fmt `, `fact` (G.711 only), `data`.
When RIFF's 32-bit sizes do not suffice, `RIFF` becomes `RF64` and `JUNK` becomes `ds64`
(EBU Tech 3306); nothing moves. docs/reference/audio.md describes every byte.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

from ..disk.digest import digest_of
from ..model.errors import RecorderError
from ..model.recording import Coding

FORMAT_TAG: Final = {Coding.PCM16: 1, Coding.ALAW: 6, Coding.ULAW: 7}
SAMPLE_BYTES: Final = {Coding.PCM16: 2, Coding.ALAW: 1, Coding.ULAW: 1}
LIMIT: Final = 0xFFFFFFFF
"""Largest number in a 32-bit size field, and the sign for `look into ds64`."""
_DS64_BYTES: Final = 28
_MOST_CHUNKS: Final = 64


@dataclass(frozen=True, slots=True)
class Header:
    """What a WAV header says. Sizes in bytes; `frames` counts samples per channel."""

    coding: Coding
    rate: int
    channels: int
    frames: int
    data_at: int
    """Offset of the first sample."""
    data_bytes: int
    rf64: bool


def make_header(coding: Coding, rate: int, channels: int, frames: int, *, limit: int = LIMIT) -> bytes:
    """The whole header, `data` chunk's head included. The same length whatever `frames` is."""
    width = SAMPLE_BYTES[coding] * channels
    data_bytes = frames * width
    form = struct.pack(
        "<HHIIHH", FORMAT_TAG[coding], channels, rate, rate * width, width, 8 * SAMPLE_BYTES[coding]
    )
    chunks = b""
    if coding is Coding.PCM16:
        chunks += _chunk(b"fmt ", form)
    else:
        chunks += _chunk(b"fmt ", form + struct.pack("<H", 0))
        chunks += _chunk(b"fact", struct.pack("<I", min(frames, LIMIT)))
    riff_bytes = 4 + 8 + _DS64_BYTES + len(chunks) + 8 + data_bytes + data_bytes % 2
    if riff_bytes > limit:
        sizes = struct.pack("<QQQI", riff_bytes, data_bytes, frames, 0)
        head = b"RF64" + struct.pack("<I", LIMIT) + b"WAVE" + _chunk(b"ds64", sizes)
        return head + chunks + b"data" + struct.pack("<I", LIMIT)
    head = b"RIFF" + struct.pack("<I", riff_bytes) + b"WAVE" + _chunk(b"JUNK", bytes(_DS64_BYTES))
    return head + chunks + b"data" + struct.pack("<I", data_bytes)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content


class WavWriter:
    """Writes one WAV file front to back and leaves it durable; use it as a context manager.

    `frames`, when known beforehand, makes the header final at once, so that the hash is taken while
    writing; else the header is patched at close and the file read once more for the hash. An existing
    file is replaced. OSError passes through to the caller, who knows what the file is for.
    """

    def __init__(
        self,
        path: Path,
        coding: Coding,
        rate: int,
        channels: int,
        frames: int | None = None,
        *,
        limit: int = LIMIT,
    ) -> None:
        self.path, self.coding, self.rate, self.channels = path, coding, rate, channels
        self.bytes = 0
        self.sha256 = ""
        self._promised, self._limit = frames, limit
        self._data_bytes = 0
        self._hash = sha256()
        self._file: BinaryIO = path.open("wb", buffering=0)
        self._put(make_header(coding, rate, channels, frames or 0, limit=limit))

    @property
    def frames(self) -> int:
        """Samples per channel written so far."""
        return self._data_bytes // (SAMPLE_BYTES[self.coding] * self.channels)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append interleaved samples; PCM little-endian."""
        self._data_bytes += self._put(data)

    def close(self) -> None:
        """Pad, finish the header, fsync, close; afterwards `bytes` and `sha256` describe the file.

        ValueError when fewer or more frames were written than promised, or half a frame.
        """
        if self._file.closed:
            return
        try:
            self._finish()
        finally:
            self._file.close()

    def _finish(self) -> None:
        frames = self.frames
        if self._data_bytes != frames * SAMPLE_BYTES[self.coding] * self.channels:
            raise ValueError(f"{self.path.name} ends in half a frame")
        if self._promised not in (None, frames):
            raise ValueError(f"{self.path.name} holds {frames} frames, not {self._promised}")
        if self._data_bytes % 2:
            self._put(b"\0")
        if self._promised is None:
            self._file.seek(0)
            _write_all(
                self._file, make_header(self.coding, self.rate, self.channels, frames, limit=self._limit)
            )
        os.fsync(self._file.fileno())
        self.sha256 = self._hash.hexdigest() if self._promised is not None else digest_of(self.path)[0]

    def _put(self, data: bytes | bytearray | memoryview) -> int:
        view = memoryview(data).cast("B")
        _write_all(self._file, view)
        self._hash.update(view)
        self.bytes += len(view)
        return len(view)

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()


def _write_all(file: BinaryIO, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def read_header(path: Path) -> Header:
    """The header of a WAV or RF64 file that holds A-law, µ-law or 16-bit PCM.

    RecorderError `audio.wav` when it is none, is cut off, or contradicts itself.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _HeaderReader(file, size, path.name).read()
    except OSError as error:
        raise _broken(path.name, f"cannot be read: {error.strerror}") from error


def _broken(name: str, what: str) -> RecorderError:
    return RecorderError("audio.wav", f"{name} {what}.", remedy="Take the file from another target.")


class _HeaderReader:
    """Walks the chunks up to `data`; sizes come from the file and are believed only if they fit."""

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self.file, self.size, self.name = file, size, name
        self.form: tuple[Coding, int, int] | None = None
        self.long_data: int | None = None
        self.rf64 = False

    def read(self) -> Header:
        magic, _, wave = struct.unpack("<4sI4s", self._take(12))
        if magic not in (b"RIFF", b"RF64") or wave != b"WAVE":
            raise _broken(self.name, "is not a WAV file")
        self.rf64 = magic == b"RF64"
        for _ in range(_MOST_CHUNKS):
            name, length = struct.unpack("<4sI", self._take(8))
            if name == b"data":
                return self._data(length)
            self._other(name, length)
        raise _broken(self.name, "has no data chunk near its start")

    def _other(self, name: bytes, length: int) -> None:
        if name == b"fmt " and length >= 16:
            self.form = self._form(self._take(16))
            length -= 16
        elif name == b"ds64" and length >= _DS64_BYTES and self.rf64:
            self.long_data = struct.unpack("<QQQI", self._take(_DS64_BYTES))[1]
            length -= _DS64_BYTES
        self.file.seek(length + length % 2, os.SEEK_CUR)

    def _form(self, raw: bytes) -> tuple[Coding, int, int]:
        tag, channels, rate, _, width, bits = struct.unpack("<HHIIHH", raw)
        coding = next((coding for coding, known in FORMAT_TAG.items() if known == tag), None)
        if coding is None:
            raise _broken(self.name, f"has the format tag {tag}, which this program does not write")
        if not channels or not rate or bits != 8 * SAMPLE_BYTES[coding] or width != channels * bits // 8:
            raise _broken(self.name, "has a header that contradicts itself")
        return coding, rate, channels

    def _data(self, length: int) -> Header:
        if self.form is None:
            raise _broken(self.name, "has no format before its data")
        if self.rf64 and length == LIMIT:
            if self.long_data is None:
                raise _broken(self.name, "is RF64 without its ds64 chunk")
            length = self.long_data
        at = self.file.tell()
        coding, rate, channels = self.form
        frames, rest = divmod(length, SAMPLE_BYTES[coding] * channels)
        if rest or at + length > self.size:
            raise _broken(self.name, "is cut off")
        return Header(coding, rate, channels, frames, at, length, self.rf64)

    def _take(self, count: int) -> bytes:
        raw = self.file.read(count)
        if len(raw) != count:
            raise _broken(self.name, "is cut off")
        return raw
