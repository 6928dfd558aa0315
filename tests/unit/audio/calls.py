"""Recordings made up for the audio tests: segments with legs at given times, and their files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ari_recorder.audio.g711 import law
from ari_recorder.audio.legs import leg_file
from ari_recorder.model.call import Direction, Party, Side
from ari_recorder.model.recording import (
    Announcement,
    Call,
    Chosen,
    Coding,
    Leg,
    Recording,
    Segment,
    Sides,
    Start,
    State,
)

BEGIN = datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC)
Array = NDArray[np.int16]


def at(ms: float) -> datetime:
    return BEGIN + timedelta(milliseconds=ms)


def leg(ms: float | None = 0, samples: int | None = 0, *, error: str | None = None, odd: int = 0) -> Leg:
    """A leg that began `ms` after BEGIN and holds so many samples; None: never fetched."""
    return Leg(
        name="x",
        snoop="y",
        started_at=None if ms is None else at(ms),
        bytes=None if samples is None else 2 * samples + odd,
        error=error,
    )


def segment(number: int, remote: Leg, local: Leg, *, codec: str = "alaw", rate: int = 8000) -> Segment:
    return Segment(number, rate, codec, "start" if number == 1 else "codec", remote, local)


def recording(
    *segments: Segment,
    sides: Sides = Sides.STEREO,
    start: Start = Start.RING,
    answered: float | None = None,
    announced: tuple[float | None, ...] = (),
) -> Recording:
    """Times in milliseconds after BEGIN; `announced` holds the announcements' ends."""
    answered_at = None if answered is None else at(answered)
    call = Call("pbx", "chan-1", Direction.INBOUND, Party("1"), Party("2"), answered_at=answered_at)
    return Recording(
        id="rec-1",
        state=State.CAPTURED,
        decided_at=BEGIN,
        call=call,
        setting=Chosen("all", "1", start=start, sides=sides),
        segments=segments,
        announcements=tuple(
            Announcement("p", "0" * 64, BEGIN, finished_at=None if end is None else at(end))
            for end in announced
        ),
    )


def put(folder: Path, number: int, side: Side, samples: Array) -> Array:
    samples.astype("<i2").tofile(folder / leg_file(number, side))
    return samples


def g711(count: int, seed: int, coding: Coding = Coding.ALAW) -> NDArray[np.uint8]:
    """Random codes; for µ-law without 0x7F, which is 0xFF once it was slin."""
    codes = np.random.default_rng(seed).integers(0, 256, count).astype(np.uint8)
    if coding is Coding.ULAW:
        codes[codes == 0x7F] = 0xFF
    return codes


def speech(count: int, seed: int, coding: Coding = Coding.ALAW) -> Array:
    """What Asterisk writes as slin for `g711(count, seed, coding)`."""
    return law(coding).decode(g711(count, seed, coding))


def tone(seconds: float, rate: int, hertz: float = 440.0) -> Array:
    """A sine whose samples are never 0, so that it counts as sound throughout."""
    wave = 9000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    samples: Array = np.rint(wave).astype(np.int16)
    samples[samples == 0] = 1
    return samples
