"""Asterisk dies in mid-call: what reached its disk is sealed as cut off, whether it comes back or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ari_recorder.lab.engine import Engine
from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.progress import spoken
from ari_recorder.model.errors import TransientError
from tests.integration.scene import Result, Scene, moment, phones_of, policy, prepared, scene
from tests.phones import Call
from tests.phones.judge import describe, judge

from .calls import QUEUE, Spoken, Traffic, until

FLUSH = 32_768
"""Bytes after which Asterisk writes to the disk: 2.048 s of a leg at 8000 Hz."""
FIRST_FRAMES = 3
"""Frames that a snoop may still miss while a call is taken up (ASTERISK.md, "Capture")."""


@pytest.fixture(scope="module")
def mortal(engine: Engine, run_folder: Path) -> Iterator[Pbx]:
    """An Asterisk of our own: what dies here must not take other tests with it."""
    with Pbx(engine, run_folder / "pbx22-mortal", "asterisk22", progress=spoken) as pbx:
        yield pbx


@pytest.fixture(autouse=True)
def alive(mortal: Pbx) -> None:
    """Whatever the test before left."""
    if not mortal.running:
        mortal.start()


async def talking(traffic: Traffic, seconds: float) -> Spoken:
    call = await traffic.place()
    await traffic.ring(call)
    await traffic.rolling(call)
    await traffic.pick_up(call)
    await traffic.talk(call, seconds)
    return call


def on_disk(stage: Scene) -> dict[str, bytes]:
    """The legs as they lie in Asterisk's folder."""
    return {p.stem: p.read_bytes() for p in (stage.pbx.recording_folder / "ari-recorder").glob("*/*.sln")}


async def test_an_asterisk_stopped_in_order_loses_nothing(mortal: Pbx, tmp_path: Path) -> None:
    """`core stop now` hangs up, closes the files, and says so: an end like any other, and no cut-off."""
    async with scene(mortal, tmp_path, policy(), more="salvage_after = 5") as stage:
        traffic = await Traffic(stage).open()
        call = await talking(traffic, 1.5)
        await asyncio.gather(call.caller.hush(), call.inside.hush())
        await asyncio.sleep(QUEUE)  # what the snoops have still to read
        stopped = time.time()
        with suppress(TransientError):  # the command line goes down with it
            mortal.cli("core stop now")
        (result,) = await stage.delivered(1)
        traffic.judge(call, [result])
        assert not result.notes("cut-off")
        assert abs(moment(result.call["ended_at"]) - stopped) < 2
        await until("the end", lambda: not mortal.running)
        await asyncio.to_thread(mortal.start)
        await until("the connection", lambda: stage.recorder.connected)


@pytest.mark.parametrize("how", ["kill -9", "kill -9 for good"])
async def test_what_reached_the_disk_is_sealed_as_cut_off(mortal: Pbx, tmp_path: Path, how: str) -> None:
    async with scene(mortal, tmp_path, policy(), more="salvage_after = 5") as stage:
        traffic = await Traffic(stage).open()
        call = await talking(traffic, 5)
        died = time.time()
        await asyncio.to_thread(mortal.kill)
        await until("the end", lambda: not mortal.running)
        legs = on_disk(stage)
        assert set(legs) == {"1-remote", "1-local"}
        if how != "kill -9 for good":
            await asyncio.to_thread(mortal.start)
        (result,) = await stage.delivered(1)
        assert_salvaged(call, result, legs, died)
        assert not (mortal.recording_folder / "ari-recorder" / result.metadata["recording"]["id"]).exists()
        if how == "kill -9 for good":
            assert (await stage.logged("pbx.presumed-dead"))["pbx"] == "lab"
            await asyncio.to_thread(mortal.start)
        await until("the connection", lambda: stage.recorder.connected)
        await until("the statement", stage.stated)
        await stage.verify()


def assert_salvaged(call: Spoken, result: Result, legs: dict[str, bytes], died: float) -> None:
    """Every sample that reached the disk is in the recording, and it says what it is."""
    for channel, end_, leg in (
        (result.left, call.caller, legs["1-remote"]),
        (result.right, call.inside, legs["1-local"]),
    ):
        assert len(leg) >= 2 * FLUSH, "the call was too short to have been flushed"
        assert len(channel) >= len(leg) // 2
        assert_whole_up_to_its_end(channel, end_)
    (cut,) = result.notes("cut-off")
    ended = moment(result.call["ended_at"])
    assert abs(moment(cut["at"]) - ended) < 0.001
    # All that was said may have been flushed, or all but the last two seconds.
    assert died - 2.5 - 1 < ended < died + 1, died - ended
    assert moment(cut["until"]) >= died
    assert "last written to the disk" in cut["detail"]
    assert "cut-off" in result.info


def assert_whole_up_to_its_end(channel: bytes, end_: Call) -> None:
    verdict = judge(channel, end_.sent)
    assert verdict.runs, "nothing of what was said is there"
    last = verdict.runs[-1]
    reached = (last.sent + last.length) // 160
    early = [frame for frame in verdict.missing if FIRST_FRAMES <= frame < reached]
    assert not early, describe(verdict, "what was salvaged")
    assert not [frame for frame in verdict.damaged if FIRST_FRAMES <= frame < reached]
    assert not verdict.doubled
    assert not verdict.backwards


async def test_a_segment_that_no_journal_knows_is_adopted_and_what_has_none_is_kept(
    mortal: Pbx, tmp_path: Path
) -> None:
    """Legs whose name tells the recording join it; those of nobody are told, and never deleted."""
    recorder = prepared(mortal, tmp_path, policy())
    orphan = mortal.recording_folder / "ari-recorder" / "20200101T000000000-00000000"
    orphan.mkdir(parents=True, exist_ok=True)
    (orphan / "1-remote.sln").write_bytes(b"\1\2" * 8000)
    try:
        with recorder:
            async with phones_of(mortal, recorder) as stage:
                await adopted_and_kept(stage, orphan)
    finally:
        (orphan / "1-remote.sln").unlink()
        orphan.rmdir()


async def adopted_and_kept(stage: Scene, orphan: Path) -> None:
    traffic = await Traffic(stage).open()
    call = await talking(traffic, 0.5)
    told = await stage.logged("legs.orphaned")
    assert "20200101T000000000-00000000" in told["event"]
    await stage.until("the word of status", lambda: "orphans:lab" in str(stage.recorder.status()))
    folder = stage.pbx.recording_folder / "ari-recorder" / str((traffic.journal(call) or {})["id"])
    for side in ("remote", "local"):
        (folder / f"2-{side}.sln").write_bytes(b"\x08\x00" * 4000)
    await traffic.finish(call)
    (result,) = await stage.delivered(1)
    assert result.segments == ["start", "adopted"]
    assert not folder.exists()
    assert (orphan / "1-remote.sln").read_bytes() == b"\1\2" * 8000
