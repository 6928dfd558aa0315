"""ARI lost and found again: what runs is found, what ended is closed, what began is picked up, and the time
in which nothing was heard is stated, sealed, and delivered."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from ari_recorder.evidence.verify import verify
from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.recorder import Recorder
from tests.crash.calls import QUEUE, Spoken, Traffic, until
from tests.phones.judge import judge

from .cable import Cable
from .scene import Result, Scene, moment, policy, scene, through

RULES = policy()
NOTICED = 10.0
"""Seconds in which a PBX that is silently dead must be noticed."""


def presence(recorder: Recorder) -> dict[str, Any]:
    text = (recorder.folder / "state" / "presence.json").read_text(encoding="utf-8")
    (pbx,) = json.loads(text)["pbxs"]
    return dict(pbx)


async def speaking(traffic: Traffic) -> Spoken:
    """A call that is up and recorded."""
    call = await traffic.place()
    await traffic.ring(call)
    await traffic.rolling(call)
    await traffic.pick_up(call)
    await traffic.talk(call, 0.3)
    return call


async def gaps(stage: Scene, count: int) -> list[dict[str, Any]]:
    """So many sealed statements of a gap have arrived; their entries."""
    await until("the statement", lambda: len(stage.stated()) >= count)
    return stage.stated()


def assert_gap(gap: dict[str, Any], begin: float, end: float, reason: str) -> None:
    """It holds what is known to have been missed, and little more."""
    assert gap["kind"] == "gap"
    assert gap["reason"] == reason
    assert begin - 6 <= moment(gap["at"]) <= begin + 0.5, (gap, begin)
    assert end - 0.5 <= moment(gap["until"]) <= end + 6, (gap, end)


def assert_stated(stage: Scene) -> None:
    """Both verifiers find the chain whole, and one of them tells the gap."""
    report = verify([stage.archive], certificate=stage.recorder.certificate, chain_log=stage.recorder.chain)
    assert report.ok, report.findings
    assert [each.kind for each in report.stated] == ["gap"] * len(report.stated)
    assert len(report.stated) == len(stage.stated())


async def test_calls_that_began_ended_and_were_answered_in_a_gap(pbx22: Pbx, tmp_path: Path) -> None:
    with Cable(pbx22.host, pbx22.http_port) as cable:
        through(cable, pbx22, tmp_path, RULES)
        async with scene(pbx22, tmp_path, RULES) as stage:
            traffic = await Traffic(stage).open()
            await stage.phone("1002")
            await stage.phone("1003")
            goes_on, ends, answered = [await speaking(traffic) for _ in range(2)] + [await traffic.place()]
            await traffic.ring(answered)
            await traffic.rolling(answered)
            lost_at = time.time()
            cable.cut()
            await stage.logged("pbx.lost")
            await traffic.finish(ends)
            await traffic.pick_up(answered)
            begins = await traffic.place()
            await traffic.ring(begins)
            await traffic.pick_up(begins)
            inside, other = await stage.connect("1003", trunk="1002", user="1003")
            found_at = time.time()
            cable.mend()
            await until("the connection", lambda: stage.recorder.connected)
            await asyncio.gather(traffic.rolling(begins), stage.rolling(inside))
            alive = (goes_on, answered, begins)
            await asyncio.gather(
                *(traffic.talk(call, 0.8) for call in alive), inside.talk(0.8), other.talk(0.8)
            )
            for call in alive:
                await traffic.finish(call)
            await asyncio.gather(inside.hush(), other.hush())
            await asyncio.sleep(QUEUE)  # what the snoops have still to read
            await stage.finish(inside, other)
            results = await stage.delivered(5)
            for call in (goes_on, ends, answered):
                traffic.judge(call, results)
            for result in (traffic.result(begins, results), await stage.recording(inside)):
                assert_late(result, lost_at, found_at)
            internal = await stage.recording(inside)
            assert internal.call["direction"] == "internal"
            assert {internal.call["caller"]["number"], internal.call["callee"]["number"]} == {"1002", "1003"}
            (gap,) = await gaps(stage, 1)
            assert_gap(gap, lost_at, found_at, "connection-lost")
            assert_stated(stage)
            await stage.verify()


def assert_late(result: Result, lost_at: float, found_at: float) -> None:
    """It says that its beginning is missing, and from when to when."""
    (away,) = result.notes("away")
    assert "began while" in away["detail"]
    assert lost_at - 6 <= moment(away["at"]) <= found_at
    assert found_at - 0.5 <= moment(away["until"]) <= found_at + 6
    assert result.begins_at >= found_at - 0.5


@pytest.mark.parametrize("how", ["frozen", "swallowed"])
async def test_a_silently_dead_pbx_is_noticed_and_found_again(pbx22: Pbx, tmp_path: Path, how: str) -> None:
    """SIGSTOP of Asterisk, and a line that loses everything without a word."""
    with Cable(pbx22.host, pbx22.http_port) as cable:
        through(cable, pbx22, tmp_path, RULES)
        async with scene(pbx22, tmp_path, RULES) as stage:
            traffic = await Traffic(stage).open()
            call = await speaking(traffic)
            if how == "frozen":
                await asyncio.gather(call.caller.hush(), call.inside.hush())
                await asyncio.sleep(QUEUE)  # nothing may be on its way when Asterisk stops in mid-air
            dead_at = time.monotonic()
            dead = time.time()
            stop(pbx22, cable, how)
            try:
                await until("the loss", lambda: not presence(stage.recorder)["connected"])
                took = time.monotonic() - dead_at
                assert took < NOTICED, f"noticed after {took:.1f} s"
                told = stage.recorder.status()
                assert not told["well"]
                assert "pbx:lab" in json.dumps(told), "no condition of the PBX"
            finally:
                found = time.time()
                go_on(pbx22, cable, how)
            await until("the connection", lambda: stage.recorder.connected)
            await asyncio.gather(call.caller.speak_up(), call.inside.speak_up())
            await traffic.talk(call, 0.5)
            await traffic.finish(call)
            (result,) = await stage.delivered(1)
            if how == "swallowed":
                traffic.judge(call, [result])
            else:
                assert not judge(result.left, call.caller.sent).backwards
            (gap,) = await gaps(stage, 1)
            assert_gap(gap, dead, found, "connection-lost")
            assert_stated(stage)


def stop(pbx: Pbx, cable: Cable, how: str) -> None:
    if how == "frozen":
        pbx.engine.docker("kill", "--signal", "STOP", pbx.container)
    else:
        cable.swallow()


def go_on(pbx: Pbx, cable: Cable, how: str) -> None:
    if how == "frozen":
        pbx.engine.docker("kill", "--signal", "CONT", pbx.container)
    else:
        cable.flow()


async def test_http_switched_off_and_on_again(pbx22: Pbx, tmp_path: Path) -> None:
    http = pbx22.folder / "etc" / "http.conf"
    usual = http.read_text(encoding="utf-8")
    async with scene(pbx22, tmp_path, RULES) as stage:
        traffic = await Traffic(stage).open()
        call = await speaking(traffic)
        try:
            http.write_text(usual.replace("enabled = yes", "enabled = no"), encoding="utf-8")
            assert http.read_text(encoding="utf-8") != usual
            pbx22.cli("module reload http")
            pbx22.cli("module unload res_ari_events.so")
            await stage.logged("pbx.lost")
        finally:
            http.write_text(usual, encoding="utf-8")
            pbx22.cli("module load res_ari_events.so")
            pbx22.cli("module reload http")
        await until("the connection", lambda: stage.recorder.connected)
        await traffic.talk(call, 0.5)
        await traffic.finish(call)
        (result,) = await stage.delivered(1)
        traffic.judge(call, [result])
        await gaps(stage, 1)


async def test_the_time_in_which_the_recorder_was_dead_is_stated(pbx22: Pbx, tmp_path: Path) -> None:
    async with scene(pbx22, tmp_path, RULES) as stage:
        traffic = await Traffic(stage).open()
        await traffic.whole(0.3)
        await stage.delivered(1)
        assert not stage.stated(), "a first start misses nothing"
        killed = time.time()
        stage.recorder.kill()
        unheard = await traffic.place()
        await traffic.ring(unheard)
        await traffic.pick_up(unheard)
        await traffic.talk(unheard, 0.3)
        await traffic.finish(unheard)
        back = time.time()
        await asyncio.to_thread(stage.recorder.start)
        (gap,) = await gaps(stage, 1)
        assert_gap(gap, killed, back, "recorder-away")
        assert [link["number"] for link in stage.recorder.chain_links()] == [1, 2]
        await until("an empty spool", lambda: not stage.recorder.journals())
        assert_stated(stage)
        await stage.verify()
