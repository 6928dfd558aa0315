"""Spool folders whose disk does not answer for now: nothing in them is forgotten, and nobody else waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ari_recorder.disk import durable
from ari_recorder.model.errors import PermanentError, TransientError
from ari_recorder.model.recording import Note, Recording
from ari_recorder.spool.folders import RecordingFolder, Spool
from ari_recorder.spool.maintenance import Maintenance, place_for
from ari_recorder.spool.place import Place
from ari_recorder.spool.places import Moved, Spools
from ari_recorder.spool.waits import hanging

from .recordings import recording, sealed
from .relocating import spools as two


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Spools]:
    with two(tmp_path) as made:
        yield made


def hangs(place: Place) -> None:
    place.hang(hanging(place))


def where(folder: Path, own: str = "r-1") -> list[str]:
    return [name for name in ("first", "second", "third") if (folder / name / own).exists()]


# -- leaving one -------------------------------------------------------------------------------------------


def test_a_folder_that_hangs_is_not_taken_for_an_empty_one(both: Spools, tmp_path: Path) -> None:
    sealed(both, "r-1")
    away = Maintenance(both, place_for(both, "second"))
    away.begin()
    hangs(both.places[0])
    for step in (away.remaining, away.end):
        with pytest.raises(TransientError, match="first does not answer"):
            step()
    assert both.ledger.placement.left == ()
    away.give_up()
    both.places[0].answers()
    assert [folder.id for folder in both.look_again()] == ["r-1"]


def test_a_folder_that_is_not_mounted_is_not_taken_for_an_empty_one(both: Spools, tmp_path: Path) -> None:
    sealed(both, "r-1")
    (tmp_path / "first").rename(tmp_path / "away")
    both.look_again()
    away = Maintenance(both, place_for(both, "second"))
    away.begin()
    for step in (away.remaining, away.end):
        with pytest.raises(TransientError, match="not mounted"):
            step()
    away.give_up()
    (tmp_path / "away").rename(tmp_path / "first")
    assert [folder.id for folder in both.look_again()] == ["r-1"]


def test_a_second_folder_that_hangs_keeps_no_other_from_being_left(both: Spools, tmp_path: Path) -> None:
    """It stays in use, and its recordings come back with it."""
    away = Maintenance(both, place_for(both, str(tmp_path / "third")))
    away.begin()
    hangs(both.places[1])
    assert away.remaining() == []
    assert away.end() == (tmp_path / "first",)


def test_a_folder_that_was_left_already_need_not_answer(both: Spools, tmp_path: Path) -> None:
    first = Maintenance(both, place_for(both, "second"))
    first.begin()
    first.end()
    (tmp_path / "first").rename(tmp_path / "unmounted")
    further = Maintenance(both, place_for(both, str(tmp_path / "third")))
    further.begin()
    assert further.remaining() == []
    assert further.end() == ()
    assert both.ledger.placement.left == (str(tmp_path / "first"),)
    assert both.look_again() == []
    assert not (tmp_path / "first").exists()


# -- recording meanwhile -----------------------------------------------------------------------------------


def decided_again(own: str = "r-1") -> Recording:
    return recording(own).noted(Note(datetime.now(UTC), "news"))


def test_a_call_whose_folder_hangs_before_it_is_recorded_stands_nowhere_twice(
    both: Spools, tmp_path: Path
) -> None:
    both.create(recording("r-1"))
    hangs(both.places[0])
    assert both.get("r-1") is None
    both.create(decided_again())
    both.places[0].answers()
    assert [[note.what for note in r.notes] for _, r in both.journals()] == [["news"]]
    assert both.look_again() == []
    assert (where(tmp_path), both.damaged, both.ledger.moves()) == (["second"], {}, ())


def test_nor_does_one_that_was_begun_before_a_restart(tmp_path: Path) -> None:
    with two(tmp_path) as before:
        before.create(recording("r-1"))
    with two(tmp_path) as both:
        assert [r.id for _, r in both.journals()] == ["r-1"]
        hangs(both.places[0])
        both.create(decided_again())
        both.places[0].answers()
        assert both.look_again() == []
        assert (where(tmp_path), both.ledger.moves()) == (["second"], ())


def test_a_call_whose_folder_fails_in_its_first_journal_stands_nowhere_twice(
    both: Spools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been written all the same, as far as anybody knows."""
    create = Spool.create

    def fails(self: Spool, wanted: Recording) -> RecordingFolder:
        if self.root.name == "first":
            create(self, wanted)
            self.root.rename(tmp_path / "away")
            raise PermanentError("spool.unusable", "The disk is gone.")
        return create(self, wanted)

    monkeypatch.setattr(Spool, "create", fails)
    both.create(recording("r-1"))
    (tmp_path / "away").rename(tmp_path / "first")
    assert both.look_again() == []
    assert (where(tmp_path), both.ledger.moves()) == (["second"], ())


def test_a_new_call_costs_no_note_while_a_folder_is_out(
    both: Spools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For weeks, perhaps: each note would stay until that folder is back."""
    hangs(both.places[0])
    monkeypatch.setattr(both.ledger, "decide", None)
    both.create(recording("r-1"))
    assert where(tmp_path) == ["second"]


def test_a_recording_in_one_folder_is_had_without_a_question_to_another(
    both: Spools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose disk may hang, and nobody has noticed yet."""
    sealed(both, "r-1")
    sealed(both, "r-2")
    assert both.move("r-2", both.places[1]) is Moved.DONE
    asked: list[str] = []
    get = Spool.get

    def noted(self: Spool, recording_id: str) -> RecordingFolder | None:
        asked.append(self.root.name)
        return get(self, recording_id)

    monkeypatch.setattr(Spool, "get", noted)
    found = [both.get("r-1"), both.get("r-2")]
    assert [folder.path.parent.name for folder in found if folder] == ["first", "second"]
    assert asked == ["first", "second"]


def test_a_writer_that_tells_late_of_a_failure_takes_no_lock_away(
    both: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it wait for whoever opens the folder anew, which may take long."""
    place, error = both.places[0], TransientError("spool.unusable", "It failed.")
    place.fail(error)
    probe = durable.write_new

    def told_meanwhile(path: Path, data: bytes, mode: int = 0o640) -> None:
        probe(path, data, mode)
        late = threading.Thread(target=place.fail, args=(error,), daemon=True)
        late.start()
        late.join(20)
        assert not late.is_alive()

    monkeypatch.setattr(durable, "write_new", told_meanwhile)
    both.look_at(place)
    assert (place.ready, place.error) == (True, None)
    with pytest.raises(PermanentError) as caught:
        Spool(place.root).open()
    assert caught.value.code == "spool.in-use"


# -- going into one ----------------------------------------------------------------------------------------


def test_nothing_is_moved_into_a_folder_that_hangs(both: Spools, tmp_path: Path) -> None:
    sealed(both, "r-1")
    away = Maintenance(both, both.places[1])
    hangs(both.places[1])
    for step in (
        lambda: place_for(both, "second"),
        lambda: both.move("r-1", both.places[1]),
        away.remaining,
        away.end,
    ):
        with pytest.raises(TransientError, match="second does not answer"):
            step()
    assert where(tmp_path) == ["first"]


def test_recordings_begin_in_the_folder_that_is_being_left_when_the_other_hangs(
    both: Spools, tmp_path: Path
) -> None:
    Maintenance(both, place_for(both, "second")).begin()
    hangs(both.places[1])
    both.create(recording("r-1"))
    both.places[1].answers()
    both.create(recording("r-2"))
    assert (where(tmp_path, "r-1"), where(tmp_path, "r-2")) == (["first"], ["second"])


def test_a_recording_begins_in_the_folder_that_is_being_left_when_the_other_fails_with_it(
    both: Spools, tmp_path: Path
) -> None:
    Maintenance(both, place_for(both, "second")).begin()
    (tmp_path / "second").rename(tmp_path / "away")
    both.create(recording("r-1"))
    assert where(tmp_path) == ["first"]
    assert not both.places[1].ready
