"""A PBX, its phones, a recorder and its archive: what every recording is judged in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.recorder import Recorder
from tests.phones import PCMA, Call, Codec, Exchange, Identity, Phone
from tests.phones.wavefile import Wave, read_wave

TRUNKS = """
country = "DE"

[[trunk]]
name = "berlin"
endpoints = ["PJSIP/trunk-*"]
"""

ARCHIVE = """
[[target]]
kind = "local"
name = "archive"
folder = "archive"
"""

PROMPT = """
[[prompt]]
name = "consent"
file = "shipped:en/recorded"
"""


def policy(*, start: str = "ring", extra: str = "", more: str = "", targets: str = '["archive"]') -> str:
    """A policy that records every call; `extra` goes into the setting, `more` before it."""
    return f"""{TRUNKS}{ARCHIVE}{PROMPT}{more}
[[setting]]
name = "everything"
directions = ["inbound", "outbound", "internal"]
start = "{start}"
targets = {targets}
{extra}
"""


@dataclass(frozen=True)
class Result:
    """A sealed recording in the archive."""

    metadata: dict[str, Any]
    audio: Path
    info: str

    @property
    def wave(self) -> Wave:
        return read_wave(self.audio)

    @property
    def left(self) -> bytes:
        return self.wave.channels[0]

    @property
    def right(self) -> bytes:
        return self.wave.channels[1]


@dataclass
class Scene:
    pbx: Pbx
    recorder: Recorder
    exchange: Exchange
    phones: dict[str, Phone] = field(default_factory=dict)

    @property
    def archive(self) -> Path:
        return self.recorder.folder / "archive"

    async def phone(self, name: str) -> Phone:
        if name not in self.phones:
            self.phones[name] = await self.exchange.phone(name, register=True)
        return self.phones[name]

    async def connect(
        self,
        number: str = "+49301001001",
        *,
        trunk: str = "trunk-berlin",
        user: str = "1001",
        codecs: tuple[Codec, ...] = (PCMA,),
        answer: tuple[Codec, ...] | None = None,
        caller: Identity | None = None,
        ring_seconds: float = 0.0,
        **how: Any,
    ) -> tuple[Call, Call]:
        """A call from outside to a user, up and talking; the two parties' ends of it."""
        outside, inside = await self.phone(trunk), await self.phone(user)
        call = await outside.call(number, codecs=codecs, caller=caller, **how)
        incoming = await inside.ring(timeout=20)
        await incoming.ringing()
        if ring_seconds:
            await asyncio.sleep(ring_seconds)  # how long it rings is what is tested
        await incoming.answer(codecs=answer)
        await call.answered()
        return call, incoming

    async def finish(self, call: Call, *others: Call) -> None:
        """All fall silent, what was said is through, the first hangs up."""
        await asyncio.gather(*(c.hush() for c in (call, *others)))
        await call.hang_up()
        for other in others:
            await other.hung_up()

    async def delivered(self, count: int = 1, *, limit: float = 40) -> list[Result]:
        """The recordings in the archive once `count` are there and nothing waits."""
        await asyncio.to_thread(self.recorder.wait_delivered, count, limit=limit)
        return self.results()

    async def result(self) -> Result:
        (only,) = await self.delivered(1)
        return only

    def results(self) -> list[Result]:
        found = []
        for path in sorted(self.archive.rglob("*.json")):
            metadata = json.loads(path.read_text(encoding="utf-8"))
            info = path.with_name(path.stem + "_info.txt").read_text(encoding="utf-8")
            found.append(Result(metadata, path.with_suffix(".wav"), info))
        return found


@asynccontextmanager
async def scene(pbx: Pbx, folder: Path, rules: str, **recorder: Any) -> AsyncIterator[Scene]:
    """The recorder runs when the block begins; phones and recorder are gone when it ends."""
    (folder / "archive").mkdir(parents=True, exist_ok=True)
    with Recorder(folder, pbx, rules, **recorder) as running:
        async with Exchange(pbx.host, pbx.sip_port) as exchange:
            set_up = Scene(pbx, running, exchange)
            yield set_up
            for phone in exchange.phones:
                await phone.hang_up_all()
                await phone.register(expires=0)


def seconds_between(one: str, other: str) -> float:
    return (datetime.fromisoformat(other) - datetime.fromisoformat(one)).total_seconds()


def channel_of(waves: Mapping[str, Wave], name: str) -> bytes:
    return waves[name].channels[0]
