"""Several spool folders as one: where recordings begin, what is left out, and no recording is ever in two."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ari_recorder.disk import durable
from ari_recorder.disk.faults import FAULT_POINTS, FAULT_VARIABLE
from ari_recorder.disk.mounts import Mount
from ari_recorder.disk.space import Space, space
from ari_recorder.model.errors import PermanentError, RecorderError, TransientError
from ari_recorder.model.recording import Note, State
from ari_recorder.spool import place as place_module
from ari_recorder.spool import waits
from ari_recorder.spool.folders import RecordingFolder, Spool
from ari_recorder.spool.ledger import Known, Move
from ari_recorder.spool.maintenance import Maintenance, place_for
from ari_recorder.spool.place import MARK, Place
from ari_recorder.spool.places import Moved, Spools

from .crashing import OWN
from .recordings import contents, recording, sealed
from .relocating import spools as two
from .test_crash import archive, finished

MOVES = [point for point in FAULT_POINTS if point.startswith("move")]
FREE = 10**9


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Free bytes by the name of a spool folder, where they are not what the disk really has."""
    told: dict[str, int] = {}

    def asked(path: Path) -> Space:
        return replace(space(path), free=told.get(path.name, FREE))

    monkeypatch.setattr(place_module, "space", asked)
    return told


@pytest.fixture
def both(tmp_path: Path, free: dict[str, int]) -> Iterator[Spools]:
    (tmp_path / "state").mkdir()
    made = Spools(
        tmp_path / "first", state=tmp_path / "state", second=tmp_path / "second", stop_at_free=200_000_000
    )
    with made:
        yield made


def where(folder: Path, own: str = OWN) -> list[str]:
    return [name for name in ("first", "second", "third") if (folder / name / own).exists()]


# -- where a recording begins -----------------------------------------------------------------------------


def test_recordings_begin_in_the_first_folder_that_has_room(
    both: Spools, free: dict[str, int], tmp_path: Path
) -> None:
    both.create(recording("r-1"))
    free["first"] = 199_999_999
    both.create(recording("r-2"))
    free["first"] = 200_000_000
    both.create(recording("r-3"))
    assert [where(tmp_path, f"r-{n}") for n in (1, 2, 3)] == [["first"], ["second"], ["first"]]
    assert [folder.id for folder in both.all()] == ["r-1", "r-2", "r-3"]
    assert {r.id for _, r in both.journals()} == {"r-1", "r-2", "r-3"}
    assert [(f.id, state) for f, state in both.states()] == [(f"r-{n}", State.DECIDED) for n in (1, 2, 3)]


def test_without_room_anywhere_it_is_a_clear_error_at_the_decision(
    both: Spools, free: dict[str, int], tmp_path: Path
) -> None:
    free |= {"first": 1000, "second": 1000}
    with pytest.raises(TransientError, match=r"0 MB are free .* and 200 MB have to be") as caught:
        both.create(recording("r-1"))
    assert caught.value.code == "spool.full"
    assert where(tmp_path, "r-1") == []


def test_a_call_that_is_being_recorded_is_journalled_with_the_last_space(
    both: Spools, free: dict[str, int], tmp_path: Path
) -> None:
    free |= {"first": 1000, "second": 1000}
    both.create(recording("r-1", state=State.CAPTURED))
    assert where(tmp_path, "r-1") == ["first"]


def test_a_folder_that_was_journalled_just_now_is_had_without_a_look_at_a_disk(
    both: Spools, free: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both.create(recording("r-1"))
    free["first"] = 0
    both.create(recording("r-2"))
    monkeypatch.setattr(Spool, "get", None)
    assert both.handle("r-1").path == tmp_path / "first" / "r-1"
    assert both.handle("r-2").path == tmp_path / "second" / "r-2"
    assert both.whole
    both.places[1].fail(TransientError("spool.unusable", "It is gone."))
    assert not both.whole


def test_an_id_is_taken_once_in_all_folders(both: Spools, free: dict[str, int]) -> None:
    free["first"] = 0
    both.create(recording("r-1"))
    free["first"] = FREE
    with pytest.raises(ValueError, match="exists already"):
        both.create(recording("r-1"))


def fails(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> Callable[[], None]:
    """Writing below the folder `name` fails, as a failing disk does, until what is returned is called."""
    real = durable.write_new
    broken = True

    def atomically(path: Path, data: bytes, *, mode: int = 0o600) -> None:
        if broken and name in path.parts:
            raise OSError(number, os.strerror(number))
        real_atomically(path, data, mode=mode)

    def new(path: Path, data: bytes, mode: int = 0o640) -> None:
        if broken and name in path.parts:
            raise OSError(number, os.strerror(number))
        real(path, data, mode)

    def mended() -> None:
        nonlocal broken
        broken = False

    real_atomically = durable.write_atomically
    monkeypatch.setattr(durable, "write_atomically", atomically)
    monkeypatch.setattr(durable, "write_new", new)
    return mended


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The folder `first` does not open before this is set."""
    awake = threading.Event()
    really = Place.open

    def opens(self: Place, known: Known | None) -> None:
        if self.name == "primary":
            awake.wait(20)
        really(self, known)

    def hangs(self: Place, error: RecorderError) -> None:
        monkeypatch.setattr(waits, "OPENING", 20.0)  # the other one may take its time
        really_hangs(self, error)

    really_hangs = Place.hang
    monkeypatch.setattr(Place, "open", opens)
    monkeypatch.setattr(Place, "hang", hangs)
    monkeypatch.setattr(waits, "OPENING", 0.01)
    yield awake
    awake.set()


def test_a_folder_that_hangs_holds_up_no_start_and_comes_back(
    tmp_path: Path, asleep: threading.Event
) -> None:
    (tmp_path / "state").mkdir()
    with Spool(tmp_path / "first") as before:
        before.create(recording("r-1"))
    with two(tmp_path) as both:
        assert [place.name for place in both.places if place.ready] == ["second"]
        assert "does not answer" in str(both.places[0].error)
        both.create(recording("r-2"))
        assert both.look_again() == []
        asleep.set()
        deadline = time.monotonic() + 10
        while not both.places[0].ready and time.monotonic() < deadline:
            time.sleep(0.001)
        assert [folder.id for folder in both.look_again()] == ["r-1"]
        assert both.look_again() == []
        assert both.places[0].error is None


def test_when_no_folder_answers_the_start_ends_with_an_error(tmp_path: Path, asleep: threading.Event) -> None:
    (tmp_path / "state").mkdir()
    with pytest.raises(TransientError, match="does not answer") as caught:
        Spools(tmp_path / "first", state=tmp_path / "state").open()
    assert caught.value.code == "spool.unusable"
    assert not asleep.is_set()


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENODEV])
def test_a_folder_that_fails_is_left_out_and_comes_back(
    both: Spools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    both.create(recording("r-1"))
    full = number in (errno.ENOSPC, errno.EDQUOT)
    mended = fails(monkeypatch, "first", number)
    both.create(recording("r-2"))
    assert where(tmp_path, "r-2") == ["second"]
    assert both.places[0].ready is full
    if not full:
        assert [folder.id for folder in both.all()] == ["r-2"]
        assert both.look_again() == []
        assert both.places[0].error is not None
        assert both.places[0].error.code == "spool.unusable"
        mended()
        assert [folder.id for folder in both.look_again()] == ["r-1"]
    assert [folder.id for folder in both.all()] == ["r-1", "r-2"]


def test_a_running_recording_whose_folder_vanished_is_kept_in_the_other_and_counts_once(
    both: Spools, tmp_path: Path
) -> None:
    both.create(recording("r-1"))
    (tmp_path / "first").rename(tmp_path / "away")
    assert both.look_again() == []
    assert [place.name for place in both.places if place.ready] == ["second"]
    assert both.get("r-1") is None
    both.create(recording("r-1", state=State.CAPTURED))
    (tmp_path / "away").rename(tmp_path / "first")
    both.look_again()
    assert all(place.ready for place in both.places)
    assert where(tmp_path, "r-1") == ["second"]
    assert [r.state for _, r in both.journals()] == [State.CAPTURED]


def test_a_folder_that_comes_back_while_a_recording_is_made_elsewhere_does_not_count(
    both: Spools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch on the disks settles in a thread of its own, also between the decision and the copy."""
    both.create(recording("r-1"))
    (tmp_path / "first").rename(tmp_path / "away")
    both.look_again()
    decide = both.ledger.decide

    def decided(move: Move) -> None:
        decide(move)
        (tmp_path / "away").rename(tmp_path / "first")
        watch = threading.Thread(target=both.look_again)
        watch.start()
        watch.join(20)
        assert not watch.is_alive()

    monkeypatch.setattr(both.ledger, "decide", decided)
    both.create(recording("r-1", state=State.CAPTURED))
    assert [r.state for _, r in both.journals()] == [State.CAPTURED]
    both.look_again()
    assert where(tmp_path, "r-1") == ["second"]
    assert (both.damaged, both.ledger.moves()) == ({}, ())


def test_a_recording_goes_back_to_where_an_old_copy_stands_in_its_way(both: Spools, tmp_path: Path) -> None:
    both.create(recording("r-1"))
    (tmp_path / "first").rename(tmp_path / "away")
    both.look_again()
    both.create(recording("r-1", state=State.CAPTURING))
    (tmp_path / "second").rename(tmp_path / "gone")
    (tmp_path / "away").rename(tmp_path / "first")
    both.look_again()
    assert both.get("r-1") is None  # the copy that counts is out of reach
    both.create(recording("r-1", state=State.CAPTURED))
    assert [r.state for _, r in both.journals()] == [State.CAPTURED]
    (tmp_path / "gone").rename(tmp_path / "second")
    both.look_again()
    assert where(tmp_path, "r-1") == ["first"]
    assert [r.state for _, r in both.journals()] == [State.CAPTURED]


def test_a_copy_that_counts_again_is_handed_back(both: Spools, tmp_path: Path, stuck: set[str]) -> None:
    sealed(both, "r-1")
    stuck.add("first")
    both.move("r-1", both.places[1])
    shutil.rmtree(tmp_path / "second" / "r-1")
    assert [(folder.id, folder.path.parent.name) for folder in both.look_again()] == [("r-1", "first")]


# -- opening -----------------------------------------------------------------------------------------------


def test_a_second_folder_that_cannot_be_used_holds_up_nothing(tmp_path: Path) -> None:
    (tmp_path / "second").write_text("a file")
    with two(tmp_path) as both:
        assert both.places[1].error is not None
        both.create(recording("r-1"))
    (tmp_path / "second").unlink()
    (tmp_path / "second").mkdir()
    with two(tmp_path) as both:
        assert both.places[1].ready


def test_when_no_folder_can_be_used_the_first_ones_error_says_why(tmp_path: Path) -> None:
    (tmp_path / "first").write_text("a file")
    (tmp_path / "second").write_text("a file")
    with pytest.raises(PermanentError, match=r"first cannot be used"):
        two(tmp_path).open()


def test_another_recorder_in_any_folder_is_refused(tmp_path: Path) -> None:
    with Spool(tmp_path / "second"), pytest.raises(PermanentError) as caught:
        two(tmp_path).open()
    assert caught.value.code == "spool.in-use"
    with two(tmp_path):  # the first was let go of
        pass


def where_open(both: Spools) -> list[str]:
    return [place.name for place in both.places if place.ready]


@pytest.mark.parametrize("other", [None, b"0" * 32], ids=["mount point", "another disk"])
def test_a_disk_is_not_replaced_by_its_mount_point_or_another_one(
    tmp_path: Path, other: bytes | None
) -> None:
    with two(tmp_path):
        pass
    shutil.rmtree(tmp_path / "second")
    (tmp_path / "second").mkdir()
    if other is not None:
        (tmp_path / "second" / MARK).write_bytes(other)
    before = list((tmp_path / "second").iterdir())
    with two(tmp_path) as both:
        assert where_open(both) == ["primary"]
        assert both.places[1].error is not None
        assert "not mounted" in both.places[1].error.sentence
        assert list((tmp_path / "second").iterdir()) == before
        assert both.look_again() == []
        (tmp_path / "second" / MARK).write_bytes(b"")  # an admin's word
        both.look_again()
        assert where_open(both) == ["primary", "second"]
    with two(tmp_path) as both:
        assert both.places[1].ready


def test_a_ram_disk_forgets_its_id_and_a_bare_folder_is_none(tmp_path: Path, ram: dict[str, str]) -> None:
    ram["second"] = "tmpfs"
    with two(tmp_path):
        pass
    shutil.rmtree(tmp_path / "second")
    with two(tmp_path) as both:
        assert both.places[1].ready
    shutil.rmtree(tmp_path / "second")
    ram["second"] = "ext4"
    with two(tmp_path) as both:
        assert not both.places[1].ready
    assert not (tmp_path / "second").exists()


@pytest.fixture
def ram(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Kind of the file system by the name of a spool folder."""
    told: dict[str, str] = {}
    monkeypatch.setattr(place_module, "mount_of", lambda root: Mount(root, told.get(root.name, "ext4")))
    return told


def test_a_folder_that_is_exchanged_while_it_is_used_is_noticed(both: Spools, tmp_path: Path) -> None:
    (tmp_path / "second" / MARK).write_text("0" * 32)
    both.look_again()
    both.look_again()
    assert both.places[1].error is not None
    assert not both.places[1].ready


def test_the_same_recording_in_both_folders_is_said_and_used_once(both: Spools, tmp_path: Path) -> None:
    both.create(recording("r-1"))
    shutil.copytree(tmp_path / "first" / "r-1", tmp_path / "second" / "r-1")
    assert [r.id for _, r in both.journals()] == ["r-1"]
    assert "more than one" in both.damaged["r-1"].sentence


def test_reading_needs_no_opening(tmp_path: Path) -> None:
    with two(tmp_path) as both:
        sealed(both, "r-1")
        both.move("r-1", both.places[1])
        sealed(both, "r-2")
        assert [f.id for f in two(tmp_path).all()] == ["r-1", "r-2"]


# -- moving ------------------------------------------------------------------------------------------------


def test_a_recording_moves_whole_and_whoever_knows_it_finds_it(both: Spools, tmp_path: Path) -> None:
    folder = sealed(both, "r-1", "archive")
    (folder.path / "deeper").mkdir()
    (folder.path / "deeper" / "leg.sln").write_bytes(b"leg" * 100_000)
    before = folder.load()
    assert both.move("r-1", both.places[1]) is Moved.DONE
    assert where(tmp_path, "r-1") == ["second"]
    assert folder.path == tmp_path / "second" / "r-1"
    assert folder.load() == before
    assert {n: (folder.path / n).read_bytes() for n in contents("r-1")} == contents("r-1")
    assert (folder.path / "deeper" / "leg.sln").read_bytes() == b"leg" * 100_000
    assert both.move("r-1", both.places[1]) is Moved.GONE
    assert both.move("r-1", both.places[0]) is Moved.DONE
    assert where(tmp_path, "r-1") == ["first"]
    folder.remove()
    assert where(tmp_path, "r-1") == []
    assert both.move("r-1", both.places[1]) is Moved.GONE
    assert not list((tmp_path / "state" / "spool-moves").iterdir())


def test_what_somebody_works_in_stays_where_it_is(both: Spools, tmp_path: Path) -> None:
    folder = sealed(both, "r-1")
    working, enough = threading.Event(), threading.Event()

    def work() -> None:
        with folder.held():
            working.set()
            enough.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    assert working.wait(20)
    assert both.move("r-1", both.places[1]) is Moved.BUSY
    assert where(tmp_path, "r-1") == ["first"]
    enough.set()
    thread.join()
    assert both.move("r-1", both.places[1]) is Moved.DONE


def test_a_full_or_failing_destination_leaves_the_first_copy(
    both: Spools, free: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed(both, "r-1")
    free["second"] = 200_000_100
    with pytest.raises(TransientError) as caught:
        both.move("r-1", both.places[1])
    assert caught.value.code == "spool.full"
    free["second"] = FREE

    def full(handle: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(durable, "write_all", full)
    with pytest.raises(TransientError):
        both.move("r-1", both.places[1])
    assert where(tmp_path, "r-1") == ["first"]
    assert not [p.name for p in (tmp_path / "second").iterdir() if p.name.startswith(".move")]


def test_a_disk_that_gives_back_something_else_is_not_believed(
    both: Spools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed(both, "r-1")
    real = durable.write_all
    monkeypatch.setattr(durable, "write_all", lambda handle, data: real(handle, data[:-1] + b"X"))
    with pytest.raises(RecorderError, match="not what is read back"):
        both.move("r-1", both.places[1])
    assert where(tmp_path, "r-1") == ["first"]


def test_a_first_copy_that_cannot_be_removed_does_not_count(
    both: Spools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's disk became read-only: the recording can still be brought away, and is delivered once."""
    folder = sealed(both, "r-1")
    drop = place_module.Place.drop

    def stuck(self: place_module.Place, recording_id: str) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(place_module.Place, "drop", stuck)
    assert both.move("r-1", both.places[1]) is Moved.DONE
    assert where(tmp_path, "r-1") == ["first", "second"]
    assert [f.path.parent.name for f in both.all()] == ["second"]
    folder.remove()
    assert list(both.all()) == []
    both.close()
    monkeypatch.setattr(place_module.Place, "drop", drop)
    with two(tmp_path) as again:
        assert list(again.all()) == []
    assert where(tmp_path, "r-1") == []


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of spool folders from which no copy can be removed now."""
    names: set[str] = set()
    drop = place_module.Place.drop

    def tried(self: place_module.Place, recording_id: str) -> None:
        if self.root.name in names:
            raise OSError(errno.EROFS, "read-only")
        drop(self, recording_id)

    monkeypatch.setattr(place_module.Place, "drop", tried)
    return names


def _noted(folder: RecordingFolder, what: str) -> None:
    folder.update(lambda now: now.noted(Note(datetime.now(UTC), what)))


def _told(folder: RecordingFolder | None) -> list[str]:
    assert folder is not None
    return [note.what for note in folder.load().notes]


def test_a_copy_that_was_left_behind_does_not_count_after_another_move_either(
    both: Spools, tmp_path: Path, stuck: set[str]
) -> None:
    folder = sealed(both, "r-1")
    stuck |= {"first", "second"}
    both.move("r-1", both.places[1])
    _noted(folder, "news")
    third = place_for(both, str(tmp_path / "third"))
    assert both.move("r-1", third) is Moved.DONE
    assert where(tmp_path, "r-1") == ["first", "second", "third"]
    assert ([f.path.parent.name for f in both.all()], both.damaged) == (["third"], {})
    assert _told(both.get("r-1")) == ["news"]
    stuck.clear()
    both.look_again()
    assert where(tmp_path, "r-1") == ["third"]
    assert both.ledger.moves() == ()


def test_a_recording_comes_back_to_where_its_old_copy_still_stands(
    both: Spools, tmp_path: Path, stuck: set[str]
) -> None:
    folder = sealed(both, "r-1")
    stuck.add("first")
    both.move("r-1", both.places[1])
    _noted(folder, "news")
    with pytest.raises(RecorderError):
        both.move("r-1", both.places[0])
    assert [f.path.parent.name for f in both.all()] == ["second"]
    stuck.clear()
    assert both.move("r-1", both.places[0]) is Moved.DONE
    both.look_again()
    assert where(tmp_path, "r-1") == ["first"]
    assert (_told(both.get("r-1")), both.ledger.moves()) == (["news"], ())


def test_a_stranger_of_the_same_id_is_not_taken_for_the_moved_copy(both: Spools, tmp_path: Path) -> None:
    sealed(both, "r-1")
    shutil.copytree(tmp_path / "first" / "r-1", tmp_path / "second" / "r-1")
    with pytest.raises(PermanentError, match=r"stands in .* already"):
        both.move("r-1", both.places[1])
    both.look_again()
    assert where(tmp_path, "r-1") == ["first", "second"]


def test_when_the_last_copy_is_forgotten_the_newest_of_the_others_counts(
    tmp_path: Path, stuck: set[str], ram: dict[str, str]
) -> None:
    ram["third"] = "tmpfs"
    with two(tmp_path) as both:
        folder = sealed(both, "r-1")
        stuck |= {"first", "second"}
        both.move("r-1", both.places[1])
        _noted(folder, "news")
        both.move("r-1", place_for(both, str(tmp_path / "third")))
    shutil.rmtree(tmp_path / "third")
    with two(tmp_path) as both:
        assert [f.path.parent.name for f in both.all()] == ["second"]
        assert _told(both.get("r-1")) == ["news"]
        stuck.clear()
        both.look_again()
        assert where(tmp_path, "r-1") == ["second"]


def test_a_copy_on_a_ram_disk_that_forgot_it_gives_the_word_back_to_the_first(
    tmp_path: Path, ram: dict[str, str]
) -> None:
    ram["second"] = "tmpfs"
    with two(tmp_path) as both:
        sealed(both, "r-1")
        ledger, second = both.ledger, both.places[1]
        ledger.decide(Move("r-1", str(tmp_path / "first"), str(second.root), second.id))
    shutil.rmtree(tmp_path / "second")
    with two(tmp_path) as both:
        assert [f.path.parent.name for f in both.all()] == ["first"]


def test_while_the_folder_with_the_copy_that_counts_is_out_of_reach_the_other_is_not_touched(
    tmp_path: Path,
) -> None:
    with two(tmp_path) as both:
        sealed(both, "r-1")
        ledger, second = both.ledger, both.places[1]
        ledger.decide(Move("r-1", str(tmp_path / "first"), str(second.root), second.id))
    (tmp_path / "second").rename(tmp_path / "away")
    (tmp_path / "second").write_text("a file")
    with two(tmp_path) as both:
        assert list(both.all()) == []
    assert where(tmp_path, "r-1") == ["first"]


def test_a_note_that_cannot_be_read_is_no_reason_to_guess(tmp_path: Path) -> None:
    with two(tmp_path) as both:
        sealed(both, "r-1")
        both.move("r-1", both.places[1])
    (tmp_path / "state" / "spool-moves" / "r-1.json").write_text("{")
    with pytest.raises(PermanentError) as caught:
        two(tmp_path).open()
    assert caught.value.code == "spool.damaged"


@pytest.mark.parametrize("moment", MOVES)
def test_killed_in_a_move(moment: str, tmp_path: Path) -> None:
    def run(fault: str = "") -> int:
        done = subprocess.run(
            [sys.executable, "-m", "tests.unit.spool.relocating", str(tmp_path)],
            cwd=Path(__file__).parents[3],
            env=os.environ | {"TZ": "UTC"} | ({FAULT_VARIABLE: fault} if fault else {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode

    assert run(moment) == -signal.SIGKILL
    with two(tmp_path) as both:
        assert [f.id for f in both.all()] == [OWN]  # exactly one, whatever stands on the disks
        assert len(where(tmp_path)) == 1
        folder = both.get(OWN)
        assert folder is not None
        assert {n: (folder.path / n).read_bytes() for n in contents(OWN)} == contents(OWN)
        assert not [p for name in ("first", "second") for p in (tmp_path / name).glob(".move-*")]
    assert run() == 0
    assert where(tmp_path) == []
    for target in ("a", "b"):
        assert finished(tmp_path / target) == archive()


# -- maintenance -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["second", "third"])
def test_leaving_the_first_folder_and_coming_back(both: Spools, tmp_path: Path, word: str) -> None:
    sealed(both, "r-1")
    away = Maintenance(both, place_for(both, word if word == "second" else str(tmp_path / word)))
    away.begin()
    both.create(recording("r-2"))
    assert where(tmp_path, "r-2") == [word]
    assert away.remaining() == ["r-1"]
    assert both.move("r-1", away.destination) is Moved.DONE
    assert away.remaining() == []
    assert away.end() == (tmp_path / "first",)
    (tmp_path / "first").rename(tmp_path / "unmounted")
    (tmp_path / "first").mkdir()
    assert both.look_again() == []
    assert not list((tmp_path / "first").iterdir())
    both.create(recording("r-3"))
    both.close()

    with two(tmp_path) as again:  # a restart in between changes nothing
        assert [f.id for f in again.all()] == ["r-1", "r-2", "r-3"]
        again.create(recording("r-4"))
        assert where(tmp_path, "r-4") == [word]
        (tmp_path / "first").rmdir()
        (tmp_path / "unmounted").rename(tmp_path / "first")
        back = Maintenance(again, place_for(again, "primary"))
        back.begin()
        again.create(recording("r-5"))
        assert where(tmp_path, "r-5") == ["first"]
        for name in back.remaining():
            assert again.move(name, back.destination) is Moved.DONE
        back.end()
        assert {where(tmp_path, f"r-{n}")[0] for n in range(1, 6)} == {"first"}
        assert [p.name for p in again.places] == ["primary", "second"]
        again.create(recording("r-6"))
        assert where(tmp_path, "r-6") == ["first"]


def test_no_new_recording_begins_in_a_folder_that_is_being_left(
    both: Spools, free: dict[str, int], tmp_path: Path
) -> None:
    Maintenance(both, both.places[1]).begin()
    free["second"] = 0
    with pytest.raises(TransientError):
        both.create(recording("r-1"))
    Maintenance(both, both.places[1]).give_up()
    both.create(recording("r-1"))
    assert where(tmp_path, "r-1") == ["first"]


@pytest.mark.parametrize("word", ["thrid", "third", "./third", ""])
def test_a_folder_must_be_named_wholly(both: Spools, word: str) -> None:
    with pytest.raises(PermanentError) as caught:
        place_for(both, word)
    assert caught.value.code == "config.reference"
