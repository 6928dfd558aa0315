"""Two Asterisks, 22 and 16, and one recorder: the calls of one are no business of the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ari_recorder.evidence.verify import verify
from ari_recorder.lab.engine import Engine
from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.progress import spoken
from ari_recorder.lab.recorder import Recorder
from tests.crash.calls import Spoken, Traffic, until
from tests.phones import Exchange

from .scene import Result, Scene, assert_clean, moment, policy, prepared

RULES = policy(extra='pbx = ["lab", "second"]', more="""
[[setting]]
name = "only on the second"
pbx = ["second"]
users = ["1001"]
targets = ["archive"]
""")  # fmt: skip


@pytest.fixture(scope="module")
def second(engine: Engine, run_folder: Path) -> Iterator[Pbx]:
    """An Asterisk 16 of our own, to be killed."""
    with Pbx(engine, run_folder / "pbx16-second", "asterisk16", progress=spoken) as pbx:
        yield pbx


def section(pbx: Pbx) -> str:
    """The configuration of a further PBX."""
    return f"""
[pbx.second]
url = "{pbx.ari_url}"
user = "{pbx.ari_user}"
password = "{pbx.ari_password}"
recordings = "{pbx.recording_folder.resolve()}"
sounds = "{pbx.sounds_folder.resolve()}"
salvage_after = 5
"""


@asynccontextmanager
async def both(first: Pbx, second: Pbx, folder: Path) -> AsyncIterator[tuple[Traffic, Traffic, Recorder]]:
    """Phones on each PBX, and one recorder."""
    with prepared(first, folder, RULES, more=section(second)) as recorder:
        async with (
            Exchange(first.host, first.sip_port) as here,
            Exchange(second.host, second.sip_port) as there,
        ):
            traffics = [
                await Traffic(Scene(pbx, recorder, exchange)).open()
                for pbx, exchange in ((first, here), (second, there))
            ]
            yield traffics[0], traffics[1], recorder
            for phone in (*here.phones, *there.phones):
                await phone.hang_up_all()
    assert_clean(recorder)


async def up(traffic: Traffic) -> Spoken:
    call = await traffic.place()
    await traffic.ring(call)
    await traffic.rolling(call)
    await traffic.pick_up(call)
    return call


def of(results: list[Result], pbx: str) -> list[Result]:
    return [result for result in results if result.call["pbx"] == pbx]


def connections(recorder: Recorder) -> dict[str, bool]:
    told: dict[str, Any] = json.loads((recorder.folder / "state/presence.json").read_text(encoding="utf-8"))
    return {pbx["name"]: pbx["connected"] for pbx in told["pbxs"]}


async def test_one_dies_and_the_other_records_on(pbx22: Pbx, second: Pbx, tmp_path: Path) -> None:
    async with both(pbx22, second, tmp_path) as (here, there, recorder):
        lives, dies = await up(here), await up(there)
        await asyncio.gather(here.talk(lives, 4.5), there.talk(dies, 4.5))
        await asyncio.to_thread(second.kill)
        await until("the loss", lambda: not connections(recorder)["second"])
        assert connections(recorder)["lab"]
        told = recorder.status()
        assert [one["key"] for one in told["conditions"] if one["key"].startswith("pbx:")] == ["pbx:second"]
        await here.talk(lives, 1)
        more = await here.whole(0.5)
        await here.finish(lives)
        results = await here.stage.delivered(3)
        for call in (lives, more):
            here.judge(call, results)
            assert not here.result(call, results).notes("away")
            assert here.result(call, results).metadata["setting"]["name"] == "everything"
        (cut,) = of(results, "second")
        assert cut.metadata["setting"]["name"] == "only on the second"
        assert cut.notes("cut-off")
        assert len(cut.left) >= 2 * 16384
        await asyncio.to_thread(second.start)
        await until("the connection", lambda: connections(recorder)["second"])
        await until("the statement", here.stage.stated)
        assert {entry["pbx"] for entry in here.stage.stated()} == {"second"}
        assert not any(one["key"] == "pbx:second" for one in recorder.status()["conditions"])
        report = verify([here.stage.archive], certificate=recorder.certificate, chain_log=recorder.chain)
        assert report.ok, report.findings


async def test_many_calls_at_once_on_both(pbx22: Pbx, second: Pbx, tmp_path: Path) -> None:
    """The same callers, the same numbers, the same moments."""
    async with both(pbx22, second, tmp_path) as (here, there, _):
        spoken_here = [await up(here) for _ in range(3)]
        spoken_there = [await up(there) for _ in range(3)]
        pairs = [(here, call) for call in spoken_here] + [(there, call) for call in spoken_there]
        await asyncio.gather(*(traffic.talk(call, 1) for traffic, call in pairs))
        for traffic, call in pairs:
            await traffic.finish(call)
        results = await here.stage.delivered(6)
        assert (len(of(results, "lab")), len(of(results, "second"))) == (3, 3)
        for call in spoken_here:
            here.judge(call, results)
        for call in spoken_there:
            # 16.28 empties snoop queues (ASTERISK-30252): what was late there is missing.
            there.judge(call, of(results, "second"), missing=3)
        assert moment(results[0].call["created_at"]) > 0
