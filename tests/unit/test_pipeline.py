"""How much room the pipeline asks for, and what it does not ask for twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ari_recorder.evidence.chain import Chain
from ari_recorder.evidence.keys import Keys
from ari_recorder.model.call import Direction, Party, Side
from ari_recorder.model.errors import TransientError
from ari_recorder.model.recording import Call, Chosen, Leg, Recording, Segment, State
from ari_recorder.pipeline import Pipeline
from ari_recorder.spool.folders import Locks, RecordingFolder

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LEG = b"\x08\x00" * 8000
"""One second."""


class Nearly(RecordingFolder):
    """A folder on a disk that has `free` bytes."""

    free = 0

    def demand_room(self, wanted: int) -> None:
        if wanted > self.free:
            raise TransientError("spool.full", f"{wanted} bytes are wanted.")


@pytest.fixture
def folder(tmp_path: Path) -> Nearly:
    legs = (Leg(f"ari-recorder/r-1/1-{s}", f"r-1.1-{s}", NOW, NOW, NOW + timedelta(seconds=1)) for s in Side)
    call = Call("pbx", "c", Direction.INBOUND, Party(), Party(), created_at=NOW,
                ended_at=NOW + timedelta(seconds=1))  # fmt: skip
    segment = Segment(1, 8000, "alaw", "start", *legs)
    made = Nearly(tmp_path / "spool", "r-1", Locks())
    made.legs.mkdir(parents=True)
    made.save(Recording("r-1", State.CAPTURED, NOW, call, Chosen("All", "r1"), (segment,)))
    for side in Side:
        path = tmp_path / f"asterisk/ari-recorder/r-1/1-{side}.sln"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(LEG)
    return made


@pytest.mark.parametrize("left", ["legs/1-remote.sln", "legs/1-remote.sln.part", ".x.wav.part"])
def test_what_an_earlier_try_left_is_not_asked_for_again(
    folder: Nearly, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """Else a recording whose fetch was torn on a nearly full disk would wait for ever for what it has."""
    pipeline = Pipeline(_no_keys(), _no_chain(), {"pbx": tmp_path / "asterisk"})
    monkeypatch.setattr(Nearly, "free", 4 * len(LEG) - 1)
    once = iter((True, False))
    with pytest.raises(TransientError) as caught:
        pipeline.advance(folder, may_begin=lambda: next(once))
    assert caught.value.code == "spool.full"
    (folder.path / left).write_bytes(LEG)
    once = iter((True, False))
    assert pipeline.advance(folder, may_begin=lambda: next(once)).state is State.ASSEMBLED


def _no_keys() -> Keys:
    return None  # type: ignore[return-value]  # nothing is sealed here


def _no_chain() -> Chain:
    return None  # type: ignore[return-value]
