"""Recordings to seal and archives to tamper with."""

from __future__ import annotations

import hashlib
import shutil
import struct
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ari_recorder.evidence.chain import Chain
from ari_recorder.evidence.keys import Keys
from ari_recorder.evidence.seal import seal
from ari_recorder.model.call import Direction, Party, Side
from ari_recorder.model.evidence import Sealed
from ari_recorder.model.recording import (
    Announcement,
    Assembled,
    AudioFile,
    Call,
    Chosen,
    Coding,
    Leg,
    Note,
    Recording,
    Segment,
    Sides,
    State,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def wave(payload: bytes, channels: int = 2, rate: int = 8000) -> bytes:
    """An A-law WAV as the recorder writes it: 18 bytes of fmt, a fact chunk, a JUNK chunk."""
    fmt = struct.pack("<HHIIHHH", 6, channels, rate, rate * channels, channels, 8, 0)
    fact = struct.pack("<I", len(payload) // channels)
    body = b"WAVE"
    for name, data in ((b"JUNK", bytes(28)), (b"fmt ", fmt), (b"fact", fact), (b"data", payload)):
        body += struct.pack("<4sI", name, len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def assembled(folder: Path, name: str, number: int, sides: Sides = Sides.STEREO) -> Assembled:
    """Audio files in `folder`, different for each number."""
    separate = sides is Sides.SEPARATE
    channels = [(Side.REMOTE,), (Side.LOCAL,)] if separate else [(Side.REMOTE, Side.LOCAL)]
    files = []
    for which in channels:
        payload = hashlib.sha512(f"{number} {which}".encode()).digest() * 25
        data = wave(payload, len(which))
        file = f"{name}_{which[0].value}.wav" if separate else f"{name}.wav"
        (folder / file).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        samples = len(payload) // len(which)
        files.append(AudioFile(file, which, Coding.ALAW, 8000, samples, len(data), digest))
    return Assembled(tuple(files), NOON, 0.1, exact=True)


def recording(
    number: int,
    audio: Assembled,
    *,
    caller: Party | None = None,
    targets: tuple[str, ...] = ("archive",),
    detail: str = "music",
) -> Recording:
    """An assembled recording with something in every field."""
    begin = NOON + timedelta(minutes=number)
    call = Call(
        pbx="pbx",
        channel=f"170000.{number}",
        direction=Direction.INBOUND,
        caller=caller or Party("+4930123456", "Änne Müller"),
        callee=Party("100", "Front desk"),
        linkedid=f"170000.{number}",
        channel_name="PJSIP/trunk-00000001",
        trunk="trunk",
        created_at=begin,
        answered_at=begin + timedelta(seconds=3),
        ended_at=begin + timedelta(seconds=63),
        codec="alaw",
        encrypted=None,
        pbx_version="22.5.0",
        sip_call_id="abc@10.0.0.1",
    )
    leg = Leg("a", "snoop", started_at=begin, finished_at=begin + timedelta(seconds=63), bytes=1600)
    return Recording(
        id=f"id-{number:05d}",
        state=State.ASSEMBLED,
        decided_at=begin,
        call=call,
        setting=Chosen("all", "r1", targets=targets),
        segments=(Segment(1, 8000, "alaw", "start", leg, replace(leg, error="cut: off")),),
        notes=(Note(begin, "hold", detail, begin + timedelta(seconds=2)), Note(begin, "answered")),
        announcements=(Announcement("consent", "ab" * 32, begin, begin, heard=True),),
        assembled=audio,
    )


def base_name(number: int) -> str:
    """With a space: the check script has to cope."""
    return f"2026-03-01 12.{number:02d}.00_+4930{number:04d}"


def seal_one(
    number: int,
    folder: Path,
    keys: Keys,
    chain: Chain,
    *,
    targets: tuple[str, ...] = ("archive",),
    sides: Sides = Sides.STEREO,
) -> Sealed:
    audio = assembled(folder, base_name(number), number, sides)
    made = recording(number, audio, targets=targets)
    return seal(made, folder, base_name(number), keys, chain, now=NOON + timedelta(hours=1, minutes=number))


@dataclass(frozen=True)
class Archive:
    """An archive of recordings 1…`count`, in folders by parity, with certificate; and the chain's log."""

    root: Path
    log: Path
    keys: Keys
    sealed: tuple[Sealed, ...]

    def folder(self, number: int) -> Path:
        return self.root / ("odd" if number % 2 else "even")

    def file(self, number: int, suffix: str) -> Path:
        return self.folder(number) / (base_name(number) + suffix)

    def files(self, number: int) -> list[Path]:
        return [self.folder(number) / file.name for file in self.sealed[number - 1].files]

    @property
    def certificate(self) -> Path:
        return self.root / self.keys.certificate_name

    def copy(self, to: Path) -> Archive:
        shutil.copytree(self.root, to / "archive")
        shutil.copy(self.log, to / "chain.log")
        return replace(self, root=to / "archive", log=to / "chain.log")


def build(place: Path, keys: Keys, count: int = 6) -> Archive:
    """Recording 3 has separate files."""
    root = place / "archive"
    sealed = []
    with Chain(place / "chain.log") as chain:
        for number in range(1, count + 1):
            folder = root / ("odd" if number % 2 else "even")
            folder.mkdir(parents=True, exist_ok=True)
            sides = Sides.SEPARATE if number == 3 else Sides.STEREO
            sealed.append(seal_one(number, folder, keys, chain, sides=sides))
    (root / keys.certificate_name).write_bytes(keys.certificate_pem)
    return Archive(root, place / "chain.log", keys, tuple(sealed))
