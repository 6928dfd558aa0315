"""20 000 waiting: what a recording costs while it waits, and that nothing grows faster than their number.

Ratios and counts, no times: they hold on any machine.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ari_recorder.model.delivery import Delivery, DeliveryState
from ari_recorder.model.errors import TransientError
from ari_recorder.model.recording import Recording, State
from ari_recorder.runtime.backlog import survey
from ari_recorder.spool.folders import RecordingFolder, Spool
from ari_recorder.spool.inventory import inventory

from .recordings import ToldTarget, sealed
from .test_delivery import NEVER, Failing, delivering, eventually

MOST_BYTES = 1024
"""That a waiting recording may cost in memory."""


def fill(spool: Spool, first: int, count: int) -> None:
    """Recordings whose target has been lost for long; one real one, and copies of its journal."""
    own = "r-model"
    folder = spool.get(own)
    if folder is None:
        folder = sealed(spool, own, "a")
        later = datetime.now(UTC) + timedelta(hours=1)
        waits = Delivery("a", "2026", DeliveryState.BLOCKED, 9, later, "target.unreachable", "No answer.")
        folder.update(lambda now: replace(now, state=State.DELIVERING, deliveries=(waits,)))
    text = (folder.path / "recording.json").read_bytes()
    for number in range(first, first + count):
        path = spool.root / f"r-{number:06}"
        path.mkdir()
        (path / "recording.json").write_bytes(text.replace(b'"r-model"', f'"{path.name}"'.encode()))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the journals that are read whole from now on."""
    read: list[str] = []
    load = RecordingFolder.load

    def counting(self: RecordingFolder) -> Recording:
        read.append(self.id)
        return load(self)

    monkeypatch.setattr(RecordingFolder, "load", counting)
    return read


def test_at_start_only_what_was_running_is_read(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    with spool:
        fill(spool, 0, 300)
        for number, state in enumerate((State.DECIDED, State.CAPTURING, State.CAPTURED, State.FAILED)):
            fresh = replace(spool_recording(spool), id=f"s-{number}", state=state, sealed=None)
            spool.create(fresh)
        damaged = spool.root / "t-1"
        damaged.mkdir()
        read = counted(monkeypatch)
        found = survey(spool)
    assert sorted(read) == ["s-0", "s-1", "s-3", "t-1"]
    assert [recording.id for recording in found.running] == ["s-0", "s-1"]
    assert [folder.id for folder in found.to_complete] == ["s-2"]
    assert [recording.id for recording in found.failed] == ["s-3"]
    assert [folder.id for folder, _ in found.damaged] == ["t-1"]
    assert len(found.to_deliver) == 301


def spool_recording(spool: Spool) -> Recording:
    folder = spool.get("r-model")
    assert folder is not None
    return folder.load()


def test_status_reads_no_more_than_it_shows(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    with spool:
        fill(spool, 0, 400)
        read = counted(monkeypatch)
        found = inventory(spool, ["main", "pbx"], most=50)
    assert len(read) == len(found.recordings) == 50
    assert (found.left_out, found.stuck, found.counts[State.DELIVERING]) == (351, 401, 401)


def seconds(spool: Spool) -> float:
    """Of the processor; the best of several, for the others were disturbed."""
    best = float("inf")
    for _ in range(5):
        begun = time.process_time()
        survey(spool)
        best = min(best, time.process_time() - begun)
    return best


def test_the_survey_grows_with_the_number_and_not_with_its_square(spool: Spool) -> None:
    with spool:
        fill(spool, 0, 400)
        few = seconds(spool)
        fill(spool, 400, 2800)
        many = seconds(spool)
    assert many / few < 24  # eight times as many; the square would be 64


async def waiting(spool: Spool, count: int) -> int:
    """Bytes that a delivery holds which knows `count` recordings of a dead target."""
    told = ToldTarget("a", Failing(TransientError("target.unreachable", "It does not answer.")))
    async with delivering([told], pauses=NEVER) as (deliverer, watched):
        gc.collect()
        tracemalloc.start()
        try:
            for folder in spool.all():
                deliverer.submit(folder)
            await eventually(
                lambda: (deliverer.health()[0].waiting, deliverer.health()[0].running) == (count, 0)
            )
            watched.changes.clear()
            gc.collect()
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()


async def test_a_waiting_recording_costs_less_than_a_kibibyte(spool: Spool) -> None:
    with spool:
        fill(spool, 0, 99)
        few = await waiting(spool, 100)
        fill(spool, 99, 900)
        many = await waiting(spool, 1000)
    assert (many - few) / 900 < MOST_BYTES
