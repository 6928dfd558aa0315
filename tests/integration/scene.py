"""A PBX, its phones, a recorder and its archive: what every recording is judged in."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ari_recorder.cli.verify import CHECK_SCRIPT
from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.programs import wait_until
from ari_recorder.lab.recorder import Recorder
from tests.integration.cable import Cable
from tests.phones import PCMA, Call, Codec, Exchange, Identity, Phone
from tests.phones.wavefile import Wave, read_wave

LIMIT = 40.0
"""Seconds that anything may take on a machine that others keep busy."""

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
    file: Path
    """Its metadata; the other sealed files lie beside it."""
    audio_name: str | None = None
    """The file to listen to, where the sides were kept apart."""

    @property
    def call(self) -> dict[str, Any]:
        found: dict[str, Any] = self.metadata["call"]
        return found

    @property
    def audio(self) -> Path:
        return self.file.with_name(self.audio_name or f"{self.file.stem}.wav")

    @property
    def info(self) -> str:
        return self.file.with_name(self.file.stem + "_info.txt").read_text(encoding="utf-8")

    @property
    def wave(self) -> Wave:
        return read_wave(self.audio)

    @property
    def left(self) -> bytes:
        return self.wave.channels[0]

    @property
    def right(self) -> bytes:
        return self.wave.channels[1]

    @property
    def begins_at(self) -> float:
        """Unix seconds of the first sample."""
        return moment(self.metadata["assembly"]["begins_at"])

    @property
    def segments(self) -> list[str]:
        """Why each segment began."""
        return [segment["why"] for segment in self.metadata["segments"]]

    def notes(self, what: str) -> list[dict[str, Any]]:
        return [note for note in self.metadata["notes"] if note["what"] == what]

    def edits(self, what: str) -> list[dict[str, Any]]:
        return [edit for edit in self.metadata["assembly"]["edits"] if edit["what"] == what]

    def position(self, at: str) -> int:
        """The sample at which a moment of the metadata stands."""
        rate: int = self.metadata["audio"][0]["rate"]
        return round((moment(at) - self.begins_at) * rate)


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
        """The registered phone of that name; a trunk names itself by a header, so that From is free."""
        if name not in self.phones:
            trunk = [("X-Trunk", name.removeprefix("trunk-"))] if name.startswith("trunk-") else None
            self.phones[name] = await self.exchange.phone(name, register=True, headers=trunk)
        return self.phones[name]

    # -- calls --------------------------------------------------------------------------------------

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
        """A call up and talking: the ends of `trunk`, who calls `number`, and of `user`, who is rung.

        It rings for `ring_seconds`, and where it rings at all until the recorder's microphones run.
        """
        calling = await self.phone(trunk)
        await self.phone(user)
        call = await calling.call(number, codecs=codecs, caller=caller, **how)
        incoming = await self.ring(user)
        if ring_seconds:
            await asyncio.sleep(ring_seconds)  # how long it rings is what is tested
            await self.rolling(incoming if user.startswith("trunk-") else call)
        await incoming.answer(codecs=answer, timeout=LIMIT)
        await call.answered(timeout=LIMIT)
        return call, incoming

    async def ring(self, user: str, **how: Any) -> Call:
        """The next call that rings at `user`."""
        incoming = await (await self.phone(user)).ring(timeout=LIMIT, **how)
        await incoming.ringing()
        return incoming

    async def answer(self, user: str, *, answer: tuple[Codec, ...] | None = None, **how: Any) -> Call:
        """The next call that rings at `user`, answered at once."""
        incoming = await self.ring(user, **how)
        await incoming.answer(codecs=answer, timeout=LIMIT)
        return incoming

    async def rolling(self, remote: Call) -> None:
        """Wait until the call whose outside end this is is being recorded."""

        def started() -> bool:
            found = [j for j in self.recorder.journals() if j["call"]["sip_call_id"] == remote.call_id]
            last = [segment for journal in found for segment in journal["segments"][-1:]]
            return any(segment["local"]["started_at"] for segment in last)

        await self.until("a running recording", started)

    async def outbound(
        self, number: str = "0307654321", *, user: str = "1001", trunk: str = "trunk-berlin", **how: Any
    ) -> tuple[Call, Call]:
        """A call from a user to the outside world, up: the ends of the user and of the trunk."""
        return await self.connect(number, trunk=user, user=trunk, **how)

    async def finish(self, call: Call, *others: Call) -> None:
        """All fall silent, what was said is through, the first hangs up."""
        await asyncio.gather(*(c.hush() for c in (call, *others)))
        await call.hang_up(timeout=LIMIT)
        for other in others:
            await other.hung_up(timeout=LIMIT)

    # -- recordings ---------------------------------------------------------------------------------

    async def delivered(self, count: int = 1, *, limit: float = LIMIT) -> list[Result]:
        """The recordings in the archive once `count` are there and nothing waits."""
        await asyncio.to_thread(self.recorder.wait_delivered, count, limit=limit)
        return self.results()

    async def result(self) -> Result:
        (only,) = await self.delivered(1)
        return only

    async def recording(self, call: Call) -> Result:
        """The delivered recording whose followed channel is this call's (by SIP Call-ID)."""

        def there() -> Result | None:
            return next((r for r in self.results() if r.call["sip_call_id"] == call.call_id), None)

        found: Result = await self.until(f"the recording of {call!r}", there)
        return found

    def results(self, archive: Path | None = None) -> list[Result]:
        """Every recording whose last file, the signature, has arrived; statements are not among them."""
        return [each for each in self._sealed(archive) if "statement" not in each.metadata]

    def stated(self) -> list[dict[str, Any]]:
        """The entries of all statements in the archive, in the order of their begin."""
        entries = [e for each in self._sealed() for e in each.metadata.get("statement", ())]
        return sorted(entries, key=lambda entry: str(entry["at"]))

    def _sealed(self, archive: Path | None = None) -> list[Result]:
        files = (path.with_suffix(".json") for path in sorted((archive or self.archive).rglob("*.sig")))
        return [Result(json.loads(file.read_text(encoding="utf-8")), file) for file in files]

    def refusals(self) -> list[dict[str, Any]]:
        """The log of calls that were not recorded."""
        files = sorted((self.recorder.folder / "state" / "refusals").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text("ascii").splitlines()]

    async def until(self, what: str, ask: Callable[[], Any], *, limit: float = LIMIT) -> Any:
        """The first truthy answer; fails with the end of the recorder's log when none comes."""
        return await asyncio.to_thread(self.recorder.wait_for, what, ask, limit=limit)

    async def logged(self, action: str, **fields: Any) -> dict[str, Any]:
        """Wait until the recorder has logged this action with these fields; the line."""

        def said() -> dict[str, Any] | None:
            lines = (line for line in self.recorder.lines() if line.get("action") == action)
            return next((line for line in lines if fields.items() <= line.items()), None)

        found: dict[str, Any] = await self.until(f"{action} {fields} in the log", said)
        return found

    async def translator(self) -> str:
        """What the recorder's probe found out about this Asterisk; waits for it."""

        def probed() -> str | None:
            path = self.recorder.folder / "state" / "presence.json"
            (pbx,) = json.loads(path.read_text(encoding="utf-8"))["pbxs"]
            word: str | None = pbx["translator"]
            return word

        found: str = await self.until("the probe of the translator", probed)
        return found

    async def verify(self) -> None:
        """Both verifiers find the whole archive intact: the product's and the one that needs no product."""
        await asyncio.to_thread(verify_archive, self.recorder)


def verify_archive(recorder: Recorder) -> None:
    archive, certificate = str(recorder.folder / "archive"), str(recorder.certificate)
    owners = ("--certificate", certificate, "--chain", str(recorder.chain))
    said = recorder.command("verify", *owners, "--target", "archive", "--json", archive)
    assert said.returncode == 0, f"{said.stdout}\n{said.stderr}"
    report = json.loads(said.stdout)
    sealed = len(list((recorder.folder / "archive").rglob("*.sig")))
    assert report["ok"]
    assert report["intact"] + report["statements"] == sealed
    script = ["sh", str(CHECK_SCRIPT), "-c", certificate, "-t", "archive", archive]
    checked = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, f"{checked.stdout}\n{checked.stderr}"


def assert_clean(recorder: Recorder, since: int = 0) -> None:
    """Nothing went wrong in the recorder that it does not know of; `since` is an offset in its log."""
    text = recorder.log.read_bytes()[since:].decode("utf-8", "replace")
    bad = [line for line in text.splitlines() if "Traceback" in line or '.defect"' in line]
    assert not bad, "the recorder's log holds a defect:\n" + "\n".join(bad)


@asynccontextmanager
async def phones_of(pbx: Pbx, recorder: Recorder) -> AsyncIterator[Scene]:
    """Phones around a recorder that runs already; gone when the block ends, and then its log is clean."""
    since = recorder.log.stat().st_size
    async with Exchange(pbx.host, pbx.sip_port) as exchange:
        yield Scene(pbx, recorder, exchange)
        for phone in exchange.phones:
            await phone.hang_up_all()
            await phone.register(expires=0)
    assert_clean(recorder, since)


@asynccontextmanager
async def scene(pbx: Pbx, folder: Path, rules: str, **recorder: Any) -> AsyncIterator[Scene]:
    """The recorder runs when the block begins; phones and recorder are gone when it ends."""
    with prepared(pbx, folder, rules, **recorder) as running:
        async with phones_of(pbx, running) as stage:
            yield stage
    assert_clean(running)


@contextmanager
def serving(pbx: Pbx, folder: Path, rules: str) -> Iterator[Recorder]:
    """One recorder for many tests, each with phones of its own; at the end its whole archive is verified."""
    with prepared(pbx, folder, rules) as running:
        yield running
        verify_archive(running)
    assert_clean(running)


def prepared(pbx: Pbx, folder: Path, rules: str, **recorder: Any) -> Recorder:
    """A recorder whose archive is there; to be started."""
    (folder / "archive").mkdir(parents=True, exist_ok=True)
    for left in (pbx.recording_folder / "ari-recorder").glob("*"):
        shutil.rmtree(left, ignore_errors=True)  # what another scene left: a recorder that knows it not warns
    return Recorder(folder, pbx, rules, **recorder)


def through(cable: Cable, pbx: Pbx, folder: Path, rules: str, **recorder: Any) -> None:
    """A configuration whose Asterisk is at the end of the cable."""
    made = prepared(pbx, folder, rules, **recorder)
    made.configure()
    text = made.config.read_text(encoding="utf-8").replace(pbx.ari_url, cable.url)
    made.config.write_text(text, encoding="utf-8")


def moment(text: str) -> float:
    """A time of the metadata as Unix seconds."""
    return datetime.fromisoformat(text).timestamp()


def seconds_between(one: str, other: str) -> float:
    return moment(other) - moment(one)


def no_channels(pbx: Pbx) -> None:
    """Wait until the PBX has no channel left, snoops included."""
    wait_until("a PBX without channels", lambda: "0 active channels" in pbx.cli("core show channels count"),
               limit=LIMIT)  # fmt: skip
