"""Fifty calls at once, both parties of each talking noise: all of it is there, in one unbroken chain."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.progress import spoken
from tests.crash.calls import Spoken, Traffic, all_of
from tests.phones.judge import Verdict, describe, judge

from .scene import Result, moment, policy, scene
from .verdicts import OVERFLOW

CALLS = 50
APART = 3.0 / CALLS
"""Seconds between two calls' beginnings."""
RING, TALK = 1.0, 5.0
FLUSH = range(OVERFLOW, 28)
"""Frames. A snoop whose queue holds 500 ms, because a busy machine held up the phones or Asterisk itself,
throws all of it away (ALIGNMENT.md, "The trouble"), up to 26 frames and a part of one; likewise what it holds
when the call ends. Nothing outside Asterisk can help that, so such stretches, and no others, are told and not
judged, as long as they are few."""
MOST_FLUSHES = CALLS // 5
"""Of all calls' 100 streams together: more, and the recorder is what keeps the machine busy."""


@dataclass(frozen=True)
class Usage:
    """What a process has used so far."""

    cpu: float
    """Seconds, user and system."""
    most_memory: int
    """MiB, the highest ever."""
    threads: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
        )
        ticks = int(fields[11]) + int(fields[12])
        memory = int(status["VmHWM"].split()[0]) // 1024
        return cls(ticks / os.sysconf("SC_CLK_TCK"), memory, int(status["Threads"]))


@pytest.mark.timeout(240)
async def test_fifty_calls_at_once(pbx22: Pbx, tmp_path: Path) -> None:
    async with scene(pbx22, tmp_path, policy()) as stage:
        traffic = await Traffic(stage).open()
        await stage.translator()  # probed before the storm, which would disturb it
        pid = stage.recorder.pid
        assert pid is not None
        before = Usage.of(pid)
        begun = asyncio.get_running_loop().time()
        everybody_talks = asyncio.Barrier(CALLS)
        await all_of([_call(traffic, number * APART, everybody_talks) for number in range(CALLS)])
        took = asyncio.get_running_loop().time() - begun
        during = Usage.of(pid)
        results = await traffic.settled()
        after = Usage.of(pid)
        assert len(results) == CALLS
        flushes = [_judged(call, traffic.result(call, results)) for call in traffic.calls]
        assert sum(flushes) <= MOST_FLUSHES, flushes
        levels = {line["level"] for line in stage.recorder.lines()}
        assert levels <= {"info", "debug"}, [
            line for line in stage.recorder.lines() if line["level"] != "info"
        ]
    late = sorted(_until_rolling(result) for result in results)
    share = (during.cpu - before.cpu) / took
    spoken(
        f"{CALLS} calls in {took:.1f} s: recorder {share:.0%} of a core meanwhile, "
        f"{(after.cpu - during.cpu) / CALLS * 1000:.0f} ms CPU a call afterwards, at most "
        f"{after.most_memory} MiB, {after.threads} threads; "
        f"recorded {late[CALLS // 2]:.0f} ms (median), {late[-1]:.0f} ms (latest) after the INVITE; "
        f"Asterisk flushed {sum(flushes)} times in {2 * CALLS} streams"
    )


async def _call(traffic: Traffic, after: float, everybody_talks: asyncio.Barrier) -> None:
    await asyncio.sleep(after)  # the calls' spacing is part of the scene
    call = await traffic.place()
    await traffic.ring(call)
    await asyncio.sleep(RING)  # it rings as phones do
    await traffic.pick_up(call)
    await everybody_talks.wait()
    await traffic.talk(call, TALK)
    await traffic.finish(call)


def _until_rolling(result: Result) -> float:
    """Milliseconds between the channel's creation and the opening of the later file."""
    started = [result.metadata["segments"][0][side]["started_at"] for side in ("remote", "local")]
    return (max(moment(at) for at in started) - moment(result.call["created_at"])) * 1000


def _judged(call: Spoken, result: Result) -> int:
    """Both sides are there from the first frame on, bit for bit, in one piece the recorder did not touch.

    So what is missing Asterisk did not write. Returns how often it flushed.
    """
    assert result.wave.tag == 6
    assert result.segments == ["start"]
    assert result.metadata["assembly"]["exact"]
    flushes = 0
    for side, channel, end in (("left", result.left, call.caller), ("right", result.right, call.inside)):
        verdict = judge(channel, end.sent)
        lost = _stretches(verdict)
        told = describe(verdict, f"{side} of the call from {call.number}")
        assert [*verdict.doubled, *verdict.backwards] == [], told
        assert all(first > 0 and _is_flush(last - first + 1, last, verdict) for first, last in lost), told
        flushes += len(lost)
    return flushes


def _is_flush(length: int, last: int, verdict: Verdict) -> bool:
    """Half a second at once, or what waited when the call ended."""
    return length in FLUSH or (last == verdict.frames - 1 and length < FLUSH.stop)


def _stretches(verdict: Verdict) -> list[tuple[int, int]]:
    """First and last frame of each stretch that is not there, or not whole."""
    numbers = sorted({*verdict.missing, *verdict.damaged})
    firsts = [n for n in numbers if n - 1 not in numbers]
    lasts = [n for n in numbers if n + 1 not in numbers]
    return list(zip(firsts, lasts, strict=True))
