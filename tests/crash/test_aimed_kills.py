"""`kill -9` while calls ring, talk, hold, hang up and wait in the gate; started again at once or late."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ari_recorder.asterisk.dummy_call import LIFE
from ari_recorder.lab.pbx import Pbx
from tests.integration.scene import Result, Scene, moment, policy, scene
from tests.phones.judge import describe, judge

from .calls import (
    ANNOUNCED,
    QUEUE,
    Spoken,
    Traffic,
    all_of,
    assert_archive,
    channels_of,
    refusal_lines,
    until,
)

FIRST_FRAME = 0.03
"""Seconds between RecordingStarted and the end of the first frame in the file (ASTERISK.md: 0 to 20 ms)."""

FROM_ANSWER = """
[[setting]]
name = "special"
users = ["9999"]
start = "answer"
targets = ["archive"]
"""
SPECIAL = "+49301002031"
"""The dialplan asks for the setting "special" there."""
BRIEF = "+49301002061"
"""The gate gives the call back after two seconds without a word from the recorder."""


@pytest.mark.parametrize("away", [False, True], ids=["back at once", "back when all is over"])
async def test_killed_in_every_state_of_a_call(pbx22: Pbx, tmp_path: Path, away: bool) -> None:
    """One kill meets a call in each state. What goes on then goes on without the recorder."""
    async with scene(pbx22, tmp_path, policy(more=FROM_ANSWER)) as stage:
        traffic = await Traffic(stage).open()
        rings, rings_special = [await traffic.place(number) for number in ("+49301001001", SPECIAL)]
        talks, holds, hangs_up = [await traffic.place() for _ in range(3)]
        ringing, talking = (rings, rings_special), (talks, holds, hangs_up)
        await all_of([_until_rolling(traffic, call) for call in traffic.calls])
        await all_of([traffic.pick_up(call) for call in talking])
        await all_of([traffic.talk(call, 0.5) for call in talking])
        await holds.inside.hold()
        await asyncio.gather(traffic.finish(hangs_up), asyncio.to_thread(stage.recorder.kill))
        if not away:
            await asyncio.to_thread(stage.recorder.start)
        await all_of([_go_on(traffic, call) for call in ringing])
        await holds.inside.unhold()
        await all_of([_finish_talking(traffic, call) for call in (talks, holds)])
        if away:
            await asyncio.to_thread(stage.recorder.start)
        results = await traffic.settled()
        for call in (rings, *talking):
            traffic.judge(call, results)
        assert_whole_from_its_answer(rings_special, traffic.result(rings_special, results))
        for call in (talks, hangs_up):  # the music on hold is no A-law of anybody's
            assert traffic.result(call, results).metadata["assembly"]["exact"]


def assert_whole_from_its_answer(call: Spoken, result: Result) -> None:
    """A leg's first sample comes up to 20 ms after the time its place is told by (ASTERISK.md, "Capture"), so
    the cut at the answer may go through the first frame of a party that talks in that very moment."""
    for channel, end in ((result.left, call.caller), (result.right, call.inside)):
        verdict = judge(channel, end.sent)
        assert {*verdict.missing, *verdict.damaged} <= {0}, describe(verdict, f"the call from {call.number}")
        assert [*verdict.doubled, *verdict.backwards] == []


async def _until_rolling(traffic: Traffic, call: Spoken) -> None:
    await traffic.ring(call)
    await traffic.rolling(call)


async def _go_on(traffic: Traffic, call: Spoken) -> None:
    await traffic.pick_up(call)
    await _finish_talking(traffic, call)


async def _finish_talking(traffic: Traffic, call: Spoken) -> None:
    await traffic.talk(call, 0.5)
    await traffic.finish(call)


async def test_a_transfer_that_nobody_saw_is_in_the_recording(pbx22: Pbx, tmp_path: Path) -> None:
    async with scene(pbx22, tmp_path, policy()) as stage:
        traffic = await Traffic(stage).open()
        second = await stage.phone("1002")
        call = await traffic.place("+49301006001")
        await _until_rolling(traffic, call)
        await traffic.pick_up(call)
        await traffic.talk(call, 0.5)
        stage.recorder.kill()
        await call.inside.hush()
        referred = asyncio.create_task(call.inside.refer("1002"))
        transferred = await second.ring(timeout=20)
        await transferred.ringing()
        await transferred.answer()
        assert (await referred).startswith("200")
        await transferred.talk(0.5)
        await asyncio.to_thread(stage.recorder.start)
        await transferred.talk(0.5)
        await asyncio.gather(call.caller.hush(), transferred.hush())
        await asyncio.sleep(QUEUE)
        await stage.finish(call.caller, transferred)
        (result,) = await traffic.settled()
        traffic.judge(call, [result])
        assert judge(result.right, transferred.sent).exact


async def test_the_remedy_for_debians_defect_outlives_a_restart(pbx22_debian: Pbx, tmp_path: Path) -> None:
    """A recording that is taken up again gets fresh snoops at a change of the source, like any other."""
    async with scene(pbx22_debian, tmp_path, policy()) as stage:
        traffic = await Traffic(stage).open()
        assert await stage.translator() == "drops reordered frames"
        call = await traffic.place()
        await _until_rolling(traffic, call)
        await traffic.pick_up(call)
        await traffic.talk(call, 0.5)
        stage.recorder.kill()
        await asyncio.to_thread(stage.recorder.start)
        assert await stage.translator() == "drops reordered frames"
        await call.inside.hold()
        await call.inside.unhold()
        await _finish_talking(traffic, call)
        (result,) = await traffic.settled()
    (away,) = result.notes("away")
    assert [note for note in result.notes("retaken") if note["at"] > away["at"]]
    assert result.segments.count("source") >= 2


async def test_killed_in_the_gate_the_announcement_is_played_again(pbx22: Pbx, tmp_path: Path) -> None:
    async with scene(pbx22, tmp_path, policy(more=ANNOUNCED)) as stage:
        traffic = await Traffic(stage).open()
        call = await traffic.place(SPECIAL)
        await until("the announcement", lambda: _announced(traffic, call) == 1)
        stage.recorder.kill()
        await asyncio.to_thread(stage.recorder.start)
        await traffic.ring(call)
        await _go_on(traffic, call)
        (result,) = await traffic.settled()
        traffic.judge(call, [result])
        assert [a["heard"] for a in result.metadata["announcements"]] == [False, True]


def _announced(traffic: Traffic, call: Spoken) -> int:
    journal = traffic.journal(call)
    return len(journal["announcements"]) if journal else 0


@pytest.mark.parametrize("over", [True, False], ids=["ended meanwhile", "still talking"])
async def test_a_call_whose_announcement_nobody_saw_end_is_not_kept(
    pbx22: Pbx, tmp_path: Path, over: bool
) -> None:
    """Killed in the gate, which gives the call back unannounced: not a second of it may be kept."""
    rules = policy(extra='announcement = { prompt = "consent" }')
    async with scene(pbx22, tmp_path, rules) as stage:
        traffic = await Traffic(stage).open()
        call = await traffic.place(BRIEF)
        await until("the announcement", lambda: _announced(traffic, call) == 1)
        stage.recorder.kill()
        await traffic.ring(call)  # the gate's own time is over
        await traffic.pick_up(call)
        await traffic.talk(call, 0.5)
        if over:
            await traffic.finish(call)
        await asyncio.to_thread(stage.recorder.start)
        await until("an empty spool", lambda: not stage.recorder.states())
        if not over:
            await traffic.talk(call, 0.5)
            await traffic.finish(call)
        assert not list(stage.archive.rglob("*.wav"))
        assert_archive(stage, 0)
        assert not list((pbx22.recording_folder / "ari-recorder").glob("*/*"))


@pytest.mark.parametrize("point", ["order.snoop:2", "order.record:1", "order.record:2"])
async def test_what_a_kill_before_the_recording_rolls_can_cost(
    pbx22: Pbx, tmp_path: Path, point: str
) -> None:
    """From the call's first sign to the rolling pair it takes some 30 ms. A recorder that dies in there has
    given Asterisk no complete order: nothing is recorded until it is back and has taken a pair anew. Lost is
    what is said until then (of one side or both), and not one frame after it. Once both orders to record
    have reached Asterisk nothing is lost, though the journal knows nothing of them; dead between the two
    (`order.record:1`) it is either, for they go out at the same time."""
    fault = {"ARI_RECORDER_FAULT": point}
    async with scene(pbx22, tmp_path, policy(), environment=fault) as stage:
        traffic = await Traffic(stage).open()
        call = await traffic.place()
        assert await asyncio.to_thread(stage.recorder.wait, limit=20) == -9
        await traffic.ring(call)
        await traffic.pick_up(call)
        await traffic.talk(call, 0.5)
        await _back(stage)
        await traffic.rolling(call)
        await traffic.talk(call, 1.0)
        await traffic.finish(call)
        (result,) = await traffic.settled()
    if point == "order.record:2" or (point == "order.record:1" and result.segments == ["start"]):
        assert result.segments == ["start"]
        traffic.judge(call, [result])
    else:
        assert_lost_only_before_the_last_segment(call, result)


def assert_lost_only_before_the_last_segment(call: Spoken, result: Result) -> None:
    """What is missing was said before the last segment's files were open, and the metadata tells so."""
    assert result.notes("away")
    began = moment(result.metadata["segments"][-1]["remote"]["started_at"])
    for channel, end in ((result.left, call.caller), (result.right, call.inside)):
        verdict = judge(channel, end.sent)
        assert [*verdict.damaged, *verdict.doubled, *verdict.backwards] == []
        assert verdict.missing, "nothing was lost: the kill no longer does what this test is for"
        assert end.sent_at[verdict.missing[-1]] < began + FIRST_FRAME


async def _back(stage: Scene) -> None:
    stage.recorder.environment = {}
    await asyncio.to_thread(stage.recorder.start)


async def test_a_call_that_began_while_the_recorder_was_away_is_recorded_from_then_on(
    pbx22: Pbx, tmp_path: Path
) -> None:
    async with scene(pbx22, tmp_path, policy()) as stage:
        traffic = await Traffic(stage).open()
        stage.recorder.kill()
        call = await traffic.place()
        await traffic.ring(call)
        await traffic.pick_up(call)
        await traffic.talk(call, 0.5)
        await asyncio.to_thread(stage.recorder.start)
        await traffic.rolling(call)
        await traffic.talk(call, 1.0)
        await traffic.finish(call)
        (result,) = await traffic.settled()
        assert_lost_only_before_the_last_segment(call, result)
        assert not refusal_lines(stage.recorder.folder)


async def test_what_a_killed_probe_leaves_behind_ends_by_itself(pbx22: Pbx, tmp_path: Path) -> None:
    """After each connection a dummy call shows whether Asterisk has Debian's defect."""
    async with scene(pbx22, tmp_path, policy()) as stage:
        await until("the probe", lambda: len(_probes(pbx22)) == 2)
        stage.recorder.kill()
        await until("its end", lambda: not _probes(pbx22), limit=LIFE + 10)


def _probes(pbx: Pbx) -> list[str]:
    return [channel for channel in channels_of(pbx) if channel.startswith("probe-")]
