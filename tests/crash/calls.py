"""Calls that go on whatever becomes of the recorder, and what must be true of them in the end."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ari_recorder.evidence.verify import verify
from ari_recorder.lab.pbx import Pbx
from ari_recorder.targets.base import is_part
from tests.integration.scene import Result, Scene
from tests.phones import Call, Identity
from tests.phones.judge import Verdict, assert_bit_exact
from tests.phones.judge import judge as judge_channel

PATIENCE = 60.0
"""Seconds that anything may take, a recorder that is killed again and again included."""

QUEUE = 0.6
"""Seconds. A busy machine stalls packets; a snoop never makes up for the delay, of up to 500 ms, and what it
has not read when the call ends Asterisk throws away, whoever records."""

ANNOUNCED = """
[[setting]]
name = "special"
users = ["9999"]
start = "ring"
targets = ["archive"]
announcement = { prompt = "consent" }
"""
"""Chosen by the dialplan behind +49301002031 only: nobody has that number."""


@dataclass
class Spoken:
    """One call: the outside party's end and, once it rang, the inside party's."""

    number: str
    caller: Call
    callee: Call | None = None
    dialled: str = ""
    moments: list[str] = field(default_factory=list)
    """What it went through, for messages."""

    @property
    def inside(self) -> Call:
        assert self.callee is not None, f"the call from {self.number} never rang"
        return self.callee


@dataclass
class Traffic:
    """Inbound calls on one scene, each from a number of its own, so that every end finds the other."""

    stage: Scene
    calls: list[Spoken] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def open(self) -> Traffic:
        """Register the phones, before calls ask for them at the same time."""
        await self.stage.phone("trunk-berlin")
        await self.stage.phone("1001")
        return self

    async def place(self, dialled: str = "+49301001001") -> Spoken:
        number = f"+4930555{next(self._numbers):04}"
        trunk = await self.stage.phone("trunk-berlin")
        spoken = Spoken(number, await trunk.call(dialled, caller=Identity(number)), dialled=dialled)
        self.calls.append(spoken)
        return spoken

    async def ring(self, spoken: Spoken) -> None:
        """The phone rings; it is not picked up yet."""
        phone = await self.stage.phone("1001")
        spoken.callee = await phone.ring(timeout=PATIENCE, caller=spoken.number)
        await spoken.callee.ringing()

    async def pick_up(self, spoken: Spoken) -> None:
        await spoken.inside.answer(timeout=PATIENCE)
        await spoken.caller.answered(timeout=PATIENCE)

    async def talk(self, spoken: Spoken, seconds: float) -> None:
        both = (spoken.caller, spoken.inside)
        await asyncio.gather(*(end.talk(seconds, timeout=PATIENCE) for end in both))

    async def finish(self, spoken: Spoken) -> None:
        """Silence, until the snoops have read what was said, then the end."""
        await asyncio.gather(spoken.caller.hush(), spoken.inside.hush())
        await asyncio.sleep(QUEUE)
        await self.stage.finish(spoken.caller, spoken.inside)

    async def whole(self, seconds: float, dialled: str = "+49301001001") -> Spoken:
        """A call from beginning to end; picked up as soon as it is recorded, and not before."""
        spoken = await self.place(dialled)
        await self.ring(spoken)
        await self.rolling(spoken)
        await self.pick_up(spoken)
        await self.talk(spoken, seconds)
        await self.finish(spoken)
        return spoken

    # -- what the recorder and Asterisk do about a call ---------------------------------------------

    def journal(self, spoken: Spoken) -> dict[str, Any] | None:
        """The journalled recording of the call."""
        wanted = spoken.caller.call_id
        found = (r for r in self.stage.recorder.journals() if r["call"]["sip_call_id"] == wanted)
        return next(found, None)

    def is_rolling(self, spoken: Spoken) -> bool:
        """Asterisk has opened the files of both sides."""
        recording = self.journal(spoken)
        if recording is None:
            return False
        folder = self.stage.pbx.recording_folder / "ari-recorder" / recording["id"]
        return len({path.name.partition(".")[0].partition("-")[2] for path in folder.glob("*.sln")}) == 2

    async def rolling(self, spoken: Spoken) -> None:
        await until(f"the recording of {spoken.number}", lambda: self.is_rolling(spoken))

    # -- in the end -----------------------------------------------------------------------------------

    async def settled(self, count: int | None = None) -> list[Result]:
        """Every recording is in the archive, once, sealed in one chain, and nothing is left anywhere else."""
        wanted = len(self.calls) if count is None else count
        results = await self.stage.delivered(wanted, limit=PATIENCE)
        assert len(results) == wanted, [r.call["caller"]["number"] for r in results]
        recorder = self.stage.recorder
        while True:
            known = recorder.chain_links()
            await until("an empty spool", lambda: not spool_of(recorder.spool))
            try:
                assert_archive(self.stage, wanted)
            except AssertionError:
                if known == recorder.chain_links() and not spool_of(recorder.spool):
                    raise
                continue  # a statement of a gap came in between
            return results

    def judge(self, spoken: Spoken, results: Sequence[Result], missing: int = 0) -> tuple[Verdict, Verdict]:
        """Both sides of the call are bit-exact in its one recording."""
        result = self.result(spoken, results)
        what = f"{spoken.number} {result.file.stem} {spoken.moments}"
        assert result.wave.tag == 6, what
        left = assert_bit_exact(
            result.left, spoken.caller.sent, what=f"left of {what}", missing_frames_allowed=missing
        )
        unheard = self._unheard(spoken)
        right = assert_bit_exact(
            result.right,
            spoken.inside.sent,
            what=f"right of {what}",
            missing_frames_allowed=max(missing, len(unheard)),
        )
        assert missing or set(right.missing) <= unheard, f"{what}: {right.missing} were heard"
        return left, right

    @staticmethod
    def _unheard(spoken: Spoken) -> set[int]:
        """What Asterisk let nobody hear of a party that put the other one on hold, and took it back."""
        if "hold" not in spoken.moments:
            return set()
        return set(judge_channel(spoken.caller.received, spoken.inside.sent).missing)

    @staticmethod
    def result(spoken: Spoken, results: Sequence[Result]) -> Result:
        mine = [r for r in results if r.call["sip_call_id"] == spoken.caller.call_id]
        assert len(mine) == 1, f"{len(mine)} recordings of the call from {spoken.number} {spoken.moments}"
        return mine[0]


async def until(what: str, ask: Callable[[], Any], *, limit: float = PATIENCE) -> Any:
    """The first truthy answer. On the event loop, for the phones need no thread that is busy waiting."""
    deadline = asyncio.get_running_loop().time() + limit
    while not (answer := ask()):
        assert asyncio.get_running_loop().time() < deadline, f"{what} did not come within {limit:g} s"
        await asyncio.sleep(0.02)
    return answer


async def all_of(work: Sequence[Awaitable[Any]]) -> None:
    await asyncio.gather(*work)


def assert_archive(stage: Scene, count: int) -> None:
    """One unbroken chain of `count` links; five files for each in the archive and not one more."""
    recorder = stage.recorder
    every = recorder.chain_links()
    report = verify([stage.archive], certificate=recorder.certificate, chain_log=recorder.chain)
    assert report.ok or not every, report.findings
    assert (report.recordings, report.intact) == (count, count)
    links, stated = recorder.links(), recorder.statements()
    assert [link["number"] for link in every] == list(range(1, count + len(stated) + 1))
    assert report.statements == len(stated)
    assert len({link["recording"] for link in links}) == count
    files = [path for path in stage.archive.rglob("*") if path.is_file()]
    assert not [path for path in files if is_part(path.name)], "torn files were left in the archive"
    expected = 5 * count + 4 * len(stated) + (1 if every else 0)
    assert len(files) == expected, [path.name for path in files]
    assert spool_of(recorder.spool) == []
    left = [link["recording"] for link in links if (_legs(stage) / link["recording"]).exists()]
    assert not left, f"legs were left in Asterisk's folder: {left}"


def _legs(stage: Scene) -> Path:
    return stage.pbx.recording_folder / "ari-recorder"


def spool_of(spool: Path) -> list[str]:
    """Everything in the spool but its own furniture, hidden things included."""
    own = {"lock", ".place", ".reserve"}
    return sorted(path.name for path in spool.iterdir() if path.name not in own)


def channels_of(pbx: Pbx) -> list[str]:
    """The ids of all channels there are."""
    lines = pbx.cli("core show channels concise").splitlines()
    return [line.rpartition("!")[2] for line in lines if "!" in line]


def refusal_lines(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "state" / "refusals").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("ascii").splitlines()]
