"""Legs that nobody knows of are told; looking whose they are holds up no call."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import cast

from ari_recorder.asterisk.ari.client import AriClient
from ari_recorder.runtime.conditions import Conditions
from ari_recorder.runtime.pbx.orphans import Orphans


def lay(folder: Path, *recordings: str) -> None:
    for name in recordings:
        leg = folder / "ari-recorder" / name / "1-remote.sln"
        leg.parent.mkdir(parents=True)
        leg.write_bytes(b"\x08\x00")


async def test_a_spool_that_hangs_while_a_leg_is_looked_up_holds_up_nothing_else(tmp_path: Path) -> None:
    lay(tmp_path, "mine", "nobodys")
    asked, answers = threading.Event(), threading.Event()

    def known(recording: str) -> bool:
        asked.set()
        answers.wait(20)
        return recording == "mine"

    conditions = Conditions()
    task = asyncio.create_task(Orphans("main", tmp_path, cast(AriClient, None), known, conditions).run())
    async with asyncio.timeout(10):
        while not asked.is_set():
            await asyncio.sleep(0.001)
        answers.set()
        while not (told := conditions.get("orphans:main")):
            await asyncio.sleep(0.001)
    task.cancel()
    assert "nobodys" in told.sentence
    assert "mine" not in told.sentence
