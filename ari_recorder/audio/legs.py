"""The leg files of one recording, read in blocks: headerless signed 16-bit little-endian samples."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import soxr

from ..model.call import Side
from ..model.errors import RecorderError
from ..model.recording import Recording
from .align import SIDES, LegKey
from .g711 import Samples
from .plan import Part, Piece, Silence, Track

BLOCK = 65536
"""Samples a block; the whole memory assembly needs is a few of these."""


def leg_file(number: int, side: Side) -> str:
    """The name of a segment's leg inside the folder of legs."""
    return f"{number}-{side}.sln"


class Legs:
    """The legs of `recording` in `folder`. Every trouble with them is RecorderError `audio.leg`."""

    def __init__(self, recording: Recording, folder: Path) -> None:
        self.folder = folder
        self.sizes: dict[LegKey, int] = {}
        for segment in recording.segments:
            for side in SIDES[recording.setting.sides]:
                size = self._size(segment.number, side, segment.leg(side).bytes)
                if size is not None:
                    self.sizes[segment.number, side] = size
        self.sounding = cache(self._sounding)

    def blocks(self, track: Track, rate: int) -> Iterator[Samples]:
        """The track's samples at `rate` in blocks of BLOCK samples, the last one shorter.

        A block is valid until the next one is asked for.
        """
        block: Samples = np.empty(BLOCK, dtype="<i2")
        filled = 0
        for part in track.parts:
            for samples in self._part(part, rate):
                while len(samples):
                    taken = min(BLOCK - filled, len(samples))
                    block[filled : filled + taken] = samples[:taken]
                    samples, filled = samples[taken:], filled + taken
                    if filled == BLOCK:
                        yield block
                        filled = 0
        if filled:
            yield block[:filled]

    def _part(self, part: Part, rate: int) -> Iterator[Samples]:
        if isinstance(part, Silence):
            return _silence(part.length)
        samples = self._read(part.segment, part.side, part.first, part.count)
        return samples if part.rate == rate else _resampled(samples, part, rate)

    def _read(self, number: int, side: Side, first: int, count: int) -> Iterator[Samples]:
        name = leg_file(number, side)
        block: Samples = np.empty(min(BLOCK, count), dtype="<i2")
        try:
            with (self.folder / name).open("rb", buffering=0) as file:
                file.seek(2 * first)
                while count:
                    wanted = block[: min(BLOCK, count)]
                    got = file.readinto(wanted.view(np.uint8).data) or 0
                    if got % 2:
                        got -= 1
                        file.seek(-1, 1)
                    if not got:
                        raise _unreadable(name, "ended while it was read")
                    yield wanted[: got // 2]
                    count -= got // 2
        except OSError as error:
            raise _unreadable(name, f"cannot be read ({error.strerror})") from error

    def _size(self, number: int, side: Side, journalled: int | None) -> int | None:
        name = leg_file(number, side)
        try:
            size = (self.folder / name).stat().st_size
        except FileNotFoundError:
            if not journalled:
                return None
            raise _unreadable(name, f"is not there; it held {journalled} bytes") from None
        except OSError as error:
            raise _unreadable(name, f"cannot be read ({error.strerror})") from error
        if journalled is not None and size != journalled:
            raise _unreadable(name, f"holds {size} bytes; when it was fetched it held {journalled}")
        return size

    def _sounding(self, number: int, side: Side, first: int) -> int:
        count = self.sizes[number, side] // 2 - first
        return sum(int(np.count_nonzero(block)) for block in self._read(number, side, first, count))


def _unreadable(name: str, what: str) -> RecorderError:
    return RecorderError(
        "audio.leg",
        f"The recorded leg {name} {what}.",
        remedy="Compare it with the file in Asterisk's recording folder, then retry the recording.",
    )


def _silence(length: int) -> Iterator[Samples]:
    zeros: Samples = np.zeros(min(BLOCK, length), dtype="<i2")
    while length:
        yield zeros[:length]
        length -= min(BLOCK, length)


def _resampled(samples: Iterator[Samples], piece: Piece, rate: int) -> Iterator[Samples]:
    """The piece at `rate`, exactly `piece.length` samples long.

    In floating point: soxr dithers integers with a new seed each time, and the same legs must always give
    the same bytes; silence also stays exact zero this way.
    """
    stream = soxr.ResampleStream(piece.rate, rate, 1, dtype="float32", quality="HQ")
    missing, left = piece.length, piece.count
    for block in samples:
        left -= len(block)
        made = stream.resample_chunk(block.astype(np.float32), last=left == 0)
        whole: Samples = np.clip(np.rint(made), -32768, 32767).astype("<i2")[:missing]
        missing -= len(whole)
        yield whole
    yield from _silence(missing)
