"""`kill -9` of the recorder at 30 random moments, with calls coming and going all the while.

The seed is printed; ARI_RECORDER_SEED repeats the same moments (what happens in them is the machine's).
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from collections import Counter
from pathlib import Path

import pytest

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.progress import spoken
from tests.integration.scene import Scene, policy, scene

from .calls import ANNOUNCED, Spoken, Traffic, all_of, until

SEED = os.environ.get("ARI_RECORDER_SEED") or secrets.token_hex(4)
"""One for the whole run: whoever asks again meets the same moments."""
KILLS = 30
LINES = 5
"""Calls at a time."""
ANNOUNCING = "+49301002031"
NUMBERS = ("+49301001001", "+49301001001", "+49301002001", ANNOUNCING)
"""Straight to the phone; through the gate; through the gate with an announcement."""
UNHEARD = ("not-announced", "announcement-failed")
"""Reasons of refusals: the announcement is required, and was not heard, or not to its end."""


@pytest.mark.timeout(300)
async def test_thirty_random_kills_lose_nothing(pbx22: Pbx, tmp_path: Path) -> None:
    spoken(f"seed {SEED}")
    chance = random.Random(SEED)
    async with scene(pbx22, tmp_path, policy(more=ANNOUNCED)) as stage:
        traffic = await Traffic(stage).open()
        over = asyncio.Event()
        lines = [
            asyncio.create_task(_line(traffic, random.Random(f"{SEED}/{n}"), over)) for n in range(LINES)
        ]
        met = await _killed(stage, chance)
        over.set()
        await all_of(lines)
        await until("an empty spool", lambda: not stage.recorder.states())
        unheard = _unannounced(stage)
        results = await traffic.settled(len(traffic.calls) - unheard)
        known = {result.call["sip_call_id"] for result in results}
        for call in traffic.calls:
            if call.caller.call_id in known:
                traffic.judge(call, results)
            else:
                assert call.dialled == ANNOUNCING, f"the call from {call.number} is lost"
    spoken(f"{unheard} calls went on without their announcement, and were not recorded")
    spoken(f"{KILLS} kills, {len(results)} calls; recordings in the spool at the kills: {dict(met)}")
    assert len(results) >= LINES
    assert met["capturing"] >= KILLS // 3, "hardly a kill fell into a call"
    assert unheard <= KILLS, "one kill can keep the recorder from more than one announcement, but seldom does"


def _unannounced(stage: Scene) -> int:
    """Calls that a recorder killed again and again let go, for no caller stays in the gate for long: what
    was not announced is not recorded."""
    return len({line["channel"] for line in stage.refusals() if line["reason"] in UNHEARD})


async def _killed(stage: Scene, chance: random.Random) -> Counter[str]:
    """Kill and start at once, again and again; how many recordings were in which state when it died."""
    met: Counter[str] = Counter()
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0, 3.0))  # the random moment: it is what is tested
        stage.recorder.kill()
        met.update(stage.recorder.states() or ["none"])
        await asyncio.to_thread(stage.recorder.start, connected=False)
    return met


async def _line(traffic: Traffic, chance: random.Random, over: asyncio.Event) -> None:
    """One call after the other."""
    while not over.is_set():
        call = await traffic.place(chance.choice(NUMBERS))
        await traffic.ring(call)
        await traffic.rolling(call)
        await traffic.pick_up(call)
        await traffic.talk(call, chance.uniform(0.3, 2.0))
        if chance.random() < 0.3:
            await _hold(traffic, call)
        await traffic.finish(call)


async def _hold(traffic: Traffic, call: Spoken) -> None:
    call.moments.append("hold")
    await call.inside.hold()
    await call.inside.unhold()
    await traffic.talk(call, 0.3)
