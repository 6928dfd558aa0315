"""Legs without a journal on a PBX that is reached through ARI only: no times of theirs are known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ari_recorder.asterisk.legs import collect
from ari_recorder.audio.assembly import assemble
from ari_recorder.audio.legs import leg_file
from ari_recorder.model.call import Side
from ari_recorder.model.errors import TransientError
from ari_recorder.model.recording import Chosen
from ari_recorder.spool.orphan import begun_at, orphaned, take_in
from ari_recorder.spool.places import Spools
from tests.unit.asterisk.test_remote_legs import Asterisk, asterisk, legs_of

__all__ = ["asterisk"]

OWN = "20261121T225046123-7f3a9c1b"
BEGUN = datetime(2026, 11, 21, 22, 50, 46, 123000, UTC)
SETTING = Chosen("All", "r1", targets=("archive",))


@pytest.fixture
def spools(tmp_path: Path) -> Spools:
    (tmp_path / "spool").mkdir()
    return Spools(tmp_path / "spool", state=tmp_path / "state")


def test_it_is_taken_in_and_assembled(asterisk: Asterisk, spools: Spools, tmp_path: Path) -> None:
    asterisk.stored = {f"ari-recorder/{OWN}/{n}-{side}": b"\x08\x00" * 16000 for n in (1, 2) for side in Side}
    now, told = BEGUN + timedelta(days=1), list[str]()
    take_in(orphaned(OWN, "pbx", SETTING, now), spools, legs_of(asterisk), told.append, now)
    assert told == [OWN]
    folder = spools.get(OWN)
    assert folder is not None
    done = collect(folder.load(), legs_of(asterisk), folder.legs, leg_file)
    made = assemble(done, folder.legs, folder.path, "audio")
    assert made.seconds == 2.0
    assert not made.exact


def test_a_call_that_may_have_just_begun_is_left_alone(asterisk: Asterisk, spools: Spools) -> None:
    asterisk.stored = {f"ari-recorder/{OWN}/1-remote": b""}
    now = BEGUN + timedelta(seconds=30)
    with pytest.raises(TransientError, match="a moment ago"):
        take_in(orphaned(OWN, "pbx", SETTING, now), spools, legs_of(asterisk), list[str]().append, now)
    assert spools.get(OWN) is None


@pytest.mark.parametrize("name", ["r-1", "20261321T225046123-x", "20261121T22504612x-y", ""])
def test_an_id_from_elsewhere_tells_no_time(name: str) -> None:
    assert begun_at(OWN) == BEGUN
    assert begun_at(name) is None
