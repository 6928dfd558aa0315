"""A recorder on another host than its Asterisk: legs come through ARI and lie there no longer than needed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from ari_recorder.lab.pbx import Pbx
from tests.crash.calls import Traffic, until

from .cable import Cable
from .scene import policy, prepared, scene, through

RULES = policy()


@pytest.fixture(params=["pbx22", "pbx16"])
def pbx(request: pytest.FixtureRequest) -> Pbx:
    """Both ends of the supported range."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Pbx)
    return found


def legs_on(pbx: Pbx) -> list[str]:
    """Every leg in Asterisk's folder; what probes leave for a moment aside."""
    found = (pbx.recording_folder / "ari-recorder").glob("*/*-*.sln*")
    return sorted(str(path.relative_to(pbx.recording_folder)) for path in found)


async def test_legs_come_through_ari_bit_by_bit(pbx: Pbx, tmp_path: Path) -> None:
    before = legs_on(pbx)
    async with scene(pbx, tmp_path, RULES, shared=False) as stage:
        traffic = await Traffic(stage).open()
        calls = await asyncio.gather(traffic.whole(1.5), traffic.whole(1.0))
        results = await stage.delivered(2)
        for call in calls:
            # 16.28 empties snoop queues (ASTERISK-30252): what was late is missing, whoever fetches it.
            traffic.judge(call, results, missing=2 if pbx.image == "asterisk16" else 0)
        for result in results:
            (clock,) = result.notes("clock")
            assert "Asterisk's clock" in clock["detail"]
        await stage.verify()
        await until("a PBX without legs", lambda: legs_on(pbx) == before)
        assert not list((stage.recorder.folder / "state").glob("*.new"))


async def test_a_fetch_that_is_torn_in_the_middle_begins_anew(pbx22: Pbx, tmp_path: Path) -> None:
    with Cable(pbx22.host, pbx22.http_port) as cable:
        through(cable, pbx22, tmp_path, RULES, shared=False)
        async with scene(pbx22, tmp_path, RULES, shared=False) as stage:
            traffic = await Traffic(stage).open()
            call = await traffic.place()
            await traffic.ring(call)
            await traffic.rolling(call)
            await traffic.pick_up(call)
            await traffic.talk(call, 3)
            cable.tear_after = 30_000
            await traffic.finish(call)
            results = await stage.delivered(1)
            assert cable.torn > 30_000, "nothing was torn"
            waits = await stage.logged("completion.waits")
            assert waits["code"] == "ari.unreachable"
            traffic.judge(call, results)
            assert traffic.result(call, results).metadata["assembly"]["exact"]


async def test_killed_between_two_legs_it_fetches_only_the_other(pbx22: Pbx, tmp_path: Path) -> None:
    before = legs_on(pbx22)
    async with scene(
        pbx22, tmp_path, RULES, shared=False, environment={"ARI_RECORDER_FAULT": "legs.copy:2"}
    ) as stage:
        traffic = await Traffic(stage).open()
        call = await traffic.whole(1.0)
        await until("the kill", lambda: not stage.recorder.running)
        (legs,) = stage.recorder.spool.glob("*/legs")
        assert [path.name for path in legs.iterdir()] == ["1-remote.sln"]
        written = (legs / "1-remote.sln").stat().st_mtime_ns
        stage.recorder.environment = {}
        await asyncio.to_thread(stage.recorder.start)
        await until(
            "the other leg, or the seal",
            lambda: not legs.exists() or (legs / "1-local.sln").exists(),
        )
        if (legs / "1-remote.sln").exists():
            assert (legs / "1-remote.sln").stat().st_mtime_ns == written
        results = await stage.delivered(1)
        traffic.judge(call, results)
        await until("a PBX without legs", lambda: legs_on(pbx22) == before)


async def test_what_asterisk_could_not_delete_is_deleted_when_it_is_back(pbx22: Pbx, tmp_path: Path) -> None:
    before = legs_on(pbx22)
    with Cable(pbx22.host, pbx22.http_port) as cable:
        through(cable, pbx22, tmp_path, RULES, shared=False)
        async with scene(
            pbx22, tmp_path, RULES, shared=False, environment={"ARI_RECORDER_FAULT": "seal.done"}
        ) as stage:
            traffic = await Traffic(stage).open()
            call = await traffic.whole(0.5)
            await until("the kill", lambda: not stage.recorder.running)
            assert len(legs_on(pbx22)) == len(before) + 2
            cable.cut()
            stage.recorder.environment = {}
            await asyncio.to_thread(stage.recorder.start, connected=False)
            traffic.judge(call, await stage.delivered(1))
            assert len(legs_on(pbx22)) == len(before) + 2
            kept = json.loads((tmp_path / "state" / "leftovers.json").read_text(encoding="utf-8"))
            assert len(kept["lab"]) == 2
            cable.mend()
            await until("a PBX without legs", lambda: legs_on(pbx22) == before)


def test_check_says_that_nothing_is_shared_and_how_prompts_get_there(pbx22: Pbx, tmp_path: Path) -> None:
    rules = policy(extra='announcement = { prompt = "consent" }').replace('"consent"', '"far away"')
    recorder = prepared(pbx22, tmp_path, rules, shared=False)
    recorder.configure()
    said = recorder.command("check", "--json")
    found = {f["code"]: f for f in json.loads(said.stdout)["sections"]["PBX lab"]}
    assert "through ARI" in found["pbx.folder"]["title"] or "over ARI" in found["pbx.folder"]["title"]
    assert found["pbx.disk"]["level"] == "warn"
    prompts = found["pbx.prompts"]
    assert prompts["level"] == "fail"
    source = tmp_path / "state" / "sounds" / "lab" / "ari-recorder"
    assert f"rsync -a {source}/" in prompts["remedy"]
    assert list(source.glob("far-away-*.alaw"))
