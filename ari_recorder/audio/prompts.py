"""Prompts: from what an admin has (WAV, MP3, …) to headerless files that Asterisk plays as they are.

Of `name.sln`, `name.alaw`, `name.ulaw`, `name.sln16` Asterisk takes the one nearest to the call's codec, so
nothing is transcoded in the call, and an announcement on a G.711 call stays bit-exact in the recording.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from ..disk import durable
from ..disk.digest import digest, digest_of
from ..model.document import DocumentError, dump, load
from ..model.errors import ConfigError
from ..model.recording import Coding
from .g711 import law

MOST_SECONDS = 600
MOST_BYTES = 256 << 20
MOST_CHANNELS = 8
RATES = (4000, 384_000)
FORMATS = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "FLAC", "OGG", "MP3", "MPEG"})
CUT_OFF_SECONDS = 0.25
"""A file that holds so much less than it says is not whole."""

Mono = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A converted prompt. `files` lie in the folder given to `convert`; play it as `name`, without ending."""

    name: str
    files: tuple[str, ...]
    seconds: float
    sha256: str
    """Of the source file: what the admin supplied."""


@dataclass(frozen=True, slots=True)
class _Made:
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class _Receipt:
    """The small JSON beside the converted files; a change of the conversion gets a new `version`."""

    version: int
    source_sha256: str
    rates: tuple[int, ...]
    seconds: float
    files: tuple[_Made, ...]


VERSION = 2

READABLE = 0o644
"""Mode of a prompt's files: Asterisk's user has to read them."""

FRAMES_A_SECOND = 50
"""Asterisk plays 20 ms at a time."""


def convert(source: Path, out_folder: Path, name: str, rates: tuple[int, ...] = (8000, 16000)) -> Prompt:
    """Convert `source` into `out_folder` as `name.*` for each rate; done once for the same content.

    Mono is made by averaging; the level is kept unless it would clip. Blocking: some 20 ms for a second of
    sound at most. ConfigError `audio.prompt` when `source` is no usable sound; OSError when `out_folder`
    cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        raise _unusable(f"The prompt's name {name!r} cannot be a file name", "Use letters, digits, - and _.")
    try:
        with _opened(source) as file:
            sha256 = digest(file)[0]
            done = _converted_before(out_folder, name, sha256, rates)
            if done is not None:
                return done
            file.seek(0)
            sound = _read(file, source.name, rates)
    except (OSError, ValueError) as error:
        what = f"The prompt {source.name!r} cannot be read ({error})"
        raise _unusable(what, "Check the path and that the recorder may read it.") from error
    return _make(sound, out_folder, name, sha256)


def _opened(source: Path) -> BinaryIO:
    # Non-blocking, so that a named pipe cannot hold us up before it is recognised.
    file = os.fdopen(os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    size = os.fstat(file.fileno()).st_size
    problem = None
    if not source.is_file():
        problem = "is not a file"
    elif not size:
        problem = "is empty"
    elif size > MOST_BYTES:
        problem = f"is larger than {MOST_BYTES >> 20} MiB"
    if problem is not None:
        file.close()
        raise _unusable(f"The prompt {source.name} {problem}")
    return file


@dataclass(frozen=True, slots=True)
class _Sound:
    """A prompt's sound as one channel, full scale ±1, at each wanted rate."""

    seconds: float
    at: dict[int, Mono]


def _read(file: BinaryIO, name: str, rates: tuple[int, ...]) -> _Sound:
    """The file resampled while it is read; refuses what its header or content makes unusable."""
    try:
        # By descriptor: for a Python file it would make callbacks in memory that is writable and executable,
        # which the service's sandbox forbids.
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        with soundfile.SoundFile(file.fileno(), closefd=False) as source:
            _check_header(source, name)
            streams = {to: soxr.ResampleStream(source.samplerate, to, 1, dtype="float32") for to in rates}
            made: dict[int, list[Mono]] = {to: [] for to in rates}
            frames, loud = 0, False
            for mono in _mono_blocks(source, name):
                frames, loud = frames + len(mono), loud or bool(mono.any())
                for to, stream in streams.items():
                    made[to].append(stream.resample_chunk(mono))
            rate, claimed = source.samplerate, source.frames
    except (soundfile.SoundFileError, TypeError, ValueError, OverflowError) as error:
        raise _unusable(f"The prompt {name} is not sound that can be read") from error
    if claimed - frames > CUT_OFF_SECONDS * rate:
        raise _unusable(f"The prompt {name} is cut off: it says it is longer than it is")
    if not loud:
        raise _unusable(f"The prompt {name} holds nothing but silence")
    rest = np.zeros(0, dtype=np.float32)
    whole = {to: [*made[to], stream.resample_chunk(rest, last=True)] for to, stream in streams.items()}
    return _Sound(frames / rate, {to: np.concatenate(blocks) for to, blocks in whole.items()})


def _mono_blocks(source: soundfile.SoundFile, name: str) -> Iterator[Mono]:
    # Not SoundFile.blocks(): where the file ends early it would give stale samples for the missing ones.
    left = source.frames
    while left > 0 and len(block := source.read(min(left, 1 << 16), dtype="float32", always_2d=True)):
        mono: Mono = block.mean(axis=1, dtype=np.float32)
        if not np.isfinite(mono).all():
            raise _unusable(f"The prompt {name} holds values that are no sound")
        yield mono
        left -= len(mono)


def _check_header(sound: soundfile.SoundFile, name: str) -> None:
    if sound.format not in FORMATS:
        raise _unusable(f"The prompt {name} is a {sound.format} file")
    if not RATES[0] <= sound.samplerate <= RATES[1]:
        raise _unusable(f"The prompt {name} says it has {sound.samplerate} samples a second")
    if sound.channels > MOST_CHANNELS:
        raise _unusable(f"The prompt {name} has {sound.channels} channels")
    if sound.frames > MOST_SECONDS * sound.samplerate:
        minutes = sound.frames // (60 * sound.samplerate)
        raise _unusable(
            f"The prompt {name} is {minutes} minutes long",
            f"Shorten it: a prompt may last {MOST_SECONDS // 60} minutes.",
        )


def _make(sound: _Sound, folder: Path, name: str, source_sha256: str) -> Prompt:
    contents = {
        f"{name}.{ending}": content
        for rate, mono in sound.at.items()
        for ending, content in _files(mono, rate).items()
    }
    for file, content in contents.items():
        durable.write_atomically(folder / file, content, mode=READABLE)
    made = tuple(_Made(file, sha256(content).hexdigest()) for file, content in contents.items())
    receipt = _Receipt(VERSION, source_sha256, tuple(sound.at), round(sound.seconds, 3), made)
    durable.write_atomically(folder / f"{name}.json", dump(receipt).encode(), mode=READABLE)
    return _prompt(name, receipt)


def _files(mono: Mono, rate: int) -> dict[str, bytes]:
    """File endings in Asterisk's words, and their content, for one rate."""
    samples = _whole_frames(_pcm(mono), rate)
    if rate != 8000:
        return {f"sln{rate // 1000}": samples.tobytes()}
    files = {"sln": samples.tobytes()}
    for coding in (Coding.ALAW, Coding.ULAW):
        files[coding.value] = law(coding).encode(samples).tobytes()
    return files


def _pcm(sound: Mono) -> NDArray[np.int16]:
    """16 bit, at the same level, or as loud as fits where peaks (resampling makes some) would clip."""
    scaled = sound.astype(np.float64) * 32768
    peak = np.abs(scaled).max(initial=0)
    if peak > 32767:
        scaled *= 32767 / peak
    return np.rint(scaled).astype("<i2")


def _whole_frames(samples: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
    """Silence added up to a whole frame.

    A shorter last frame puts the frames of everything after it across those in which a snoop is recorded,
    and what was said last in the call, less than a frame, then stays in Asterisk's queue [measured].
    """
    size = rate // FRAMES_A_SECOND
    return np.pad(samples, (0, -len(samples) % size))


def _converted_before(folder: Path, name: str, source_sha256: str, rates: tuple[int, ...]) -> Prompt | None:
    """The prompt of an earlier run, if its files are still what that run wrote."""
    try:
        receipt = load(_Receipt, (folder / f"{name}.json").read_text())
        whole = all(digest_of(folder / made.name)[0] == made.sha256 for made in receipt.files)
    except (OSError, UnicodeDecodeError, DocumentError):
        return None
    same = (receipt.version, receipt.source_sha256, receipt.rates) == (VERSION, source_sha256, rates)
    return _prompt(name, receipt) if whole and same else None


def _prompt(name: str, receipt: _Receipt) -> Prompt:
    return Prompt(name, tuple(made.name for made in receipt.files), receipt.seconds, receipt.source_sha256)


def _unusable(what: str, remedy: str = "Supply a WAV or MP3 file with speech in it.") -> ConfigError:
    return ConfigError("audio.prompt", f"{what}.", remedy=remedy)
