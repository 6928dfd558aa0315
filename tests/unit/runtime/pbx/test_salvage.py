"""A silent Asterisk is given up, but not one that still writes, nor one that merely cannot be seen."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ari_recorder.model.call import Direction, Party
from ari_recorder.model.recording import Call, Chosen, Recording, State
from ari_recorder.runtime.pbx import salvage as room
from ari_recorder.runtime.pbx.salvage import Salvage, traces


def recording() -> Recording:
    call = Call("pbx", "c1", Direction.INBOUND, Party(), Party())
    return Recording("r1", State.CAPTURING, datetime.now(UTC), call, Chosen("all", "r1"))


@pytest.fixture
def leg(tmp_path: Path) -> Path:
    path = tmp_path / "ari-recorder" / "r1" / "1-remote.sln"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    return path


@asynccontextmanager
async def watched(folder: Path, looked: Callable[[], None]) -> AsyncIterator[asyncio.Event]:
    """Set when the PBX is taken for dead; `looked` is called before each look."""
    dead = asyncio.Event()

    def running() -> list[Recording]:
        looked()
        return [recording()]

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        salvage = Salvage(folder, 0.2, running, dead.set)
        salvage.lost(tasks)
        salvage.lost(tasks)
        yield dead
        salvage.found()


@pytest.mark.parametrize("clock", [0, 3600, -3600], ids=["same clock", "ahead", "behind"])
async def test_a_pbx_is_presumed_dead_only_once_its_legs_stand_still(
    tmp_path: Path, leg: Path, clock: int
) -> None:
    """Also where the files' clock is the PBX's, and an hour off."""
    growing = 12

    def write() -> None:
        nonlocal growing
        if growing:
            growing -= 1
            leg.write_bytes(leg.read_bytes() + b"..")
            now = datetime.now(UTC).timestamp() + clock
            os.utime(leg, (now, now))

    async with watched(tmp_path, write) as dead:
        await dead.wait()
        assert growing == 0


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOENT])
async def test_a_folder_that_went_with_the_network_is_no_sign_of_death(
    tmp_path: Path, leg: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The PBX may go on recording: nothing is sealed, and the recorder goes on, until it can be seen."""
    looks, away = 0, True

    def look() -> None:
        nonlocal looks
        looks += 1

    def torn(folder: Path, recordings: list[Recording]) -> room.Traces:
        if away:
            raise OSError(code, os.strerror(code))
        return traces(folder, recordings)

    monkeypatch.setattr(room, "traces", torn)
    async with watched(tmp_path, look) as dead:
        while looks < 12:
            await asyncio.sleep(0.01)
        assert not dead.is_set()
        away = False
        await dead.wait()


def test_a_folder_that_is_not_mounted_cannot_be_seen(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        traces(tmp_path, [recording()])


async def test_a_pbx_that_comes_back_is_not_given_up(tmp_path: Path, leg: Path) -> None:
    told: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        salvage = Salvage(tmp_path, 0.1, list, lambda: told.append("dead"))
        salvage.lost(tasks)
        salvage.found()
        nothing_seen = Salvage(None, 0.1, list, lambda: told.append("dead"))
        nothing_seen.lost(tasks)
    assert told == []
