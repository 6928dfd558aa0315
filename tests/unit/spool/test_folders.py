"""The folder of folders: atomic journals, one owner, nothing blocked by something damaged."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ari_recorder.disk import durable
from ari_recorder.disk.space import space
from ari_recorder.model.call import Party
from ari_recorder.model.errors import PermanentError, RecorderError, TransientError
from ari_recorder.model.recording import Note, State
from ari_recorder.spool.folders import FORMAT, RecordingFolder, Spool

from .recordings import AT, recording


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool") as made:
        yield made


def test_a_recording_comes_back_as_it_was_saved(spool: Spool) -> None:
    one = recording()
    folder = spool.create(one)
    assert folder.load() == one
    folder.save(one.moved(State.CAPTURING))
    assert folder.load().state is State.CAPTURING
    assert (folder.path, folder.legs, folder.rtp) == (
        spool.root / "r-1",
        spool.root / "r-1/legs",
        spool.root / "r-1/rtp.jsonl",
    )
    assert folder.legs.is_dir()


def test_the_journal_names_its_format(spool: Spool) -> None:
    journal = json.loads((spool.create(recording()).path / "recording.json").read_text())
    assert journal["format"] == FORMAT == "ari-recorder/recording/1"
    assert journal["recording"]["id"] == "r-1"


def test_only_the_owner_may_read(spool: Spool) -> None:
    folder = spool.create(recording())
    for path in (spool.root, folder.path, folder.legs):
        assert path.stat().st_mode & 0o777 == 0o700
    for path in (folder.path / "recording.json", spool.root / "lock"):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["\ud800", "a\0b", "../../x", "📞", "line\nbreak", "\u2028"], ids=ascii)
def test_hostile_names_survive_the_journal(spool: Spool, text: str) -> None:
    one = recording()
    one = replace(one, call=replace(one.call, caller=Party(text, text)))
    assert spool.create(one).load() == one


@pytest.mark.parametrize("own", ["", ".", "..", "../x", "a/b", ".hidden", "a\0", "x" * 200, "-rf"])
def test_an_id_that_is_no_file_name_is_refused(spool: Spool, own: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        spool.create(recording(own))
    assert spool.get(own) is None


def test_an_id_is_given_once(spool: Spool) -> None:
    spool.create(recording())
    with pytest.raises(ValueError, match="exists already"):
        spool.create(recording())


def test_one_recordings_journal_is_not_put_into_anothers_folder(spool: Spool) -> None:
    with pytest.raises(ValueError, match="does not belong"):
        spool.create(recording("a")).save(recording("b"))


def test_getting_and_listing(spool: Spool) -> None:
    for own in ("b", "a", "c"):
        spool.create(recording(own))
    (spool.root / "stray file").write_text("x")
    (spool.root / ".hidden").mkdir()
    assert [folder.id for folder in spool.all()] == ["a", "b", "c"]
    found = spool.get("b")
    assert found is not None
    assert found.load() == recording("b")
    assert spool.get("d") is None
    assert spool.get("lock") is None


def test_updates_of_many_threads_are_all_kept(spool: Spool) -> None:
    spool.create(recording())

    def note(number: int) -> None:
        folder = spool.get("r-1")
        assert folder is not None
        folder.update(lambda r: r.noted(Note(AT, "note", str(number))))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note, range(40)))
    (folder,) = spool.all()
    assert sorted(int(n.detail) for n in folder.load().notes) == list(range(40))


def test_an_update_that_changes_nothing_writes_nothing(spool: Spool) -> None:
    folder = spool.create(recording())
    before = (folder.path / "recording.json").stat().st_ino
    folder.update(lambda r: r)
    assert (folder.path / "recording.json").stat().st_ino == before


def test_removing(spool: Spool) -> None:
    folder = spool.create(recording())
    (folder.legs / "leg.sln").write_bytes(b"x")
    folder.remove()
    folder.remove()
    assert list(spool.all()) == []
    assert [p.name for p in spool.root.iterdir()] == ["lock"]


def test_leftovers_of_a_crash_are_cleared_at_the_start_and_nothing_else(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.create(recording())
    for name in (".trash-x", ".new-y"):
        (tmp_path / name / "legs").mkdir(parents=True)
    (tmp_path / "unknown").mkdir()
    with Spool(tmp_path) as spool:
        assert sorted(p.name for p in tmp_path.iterdir()) == ["lock", "r-1", "unknown"]


def damage(folder: RecordingFolder, how: str) -> None:
    journal = folder.path / "recording.json"
    text = journal.read_text()
    if how == "missing":
        journal.unlink()
    elif how == "a folder":
        journal.unlink()
        journal.mkdir()
    else:
        journal.write_bytes(
            {
                "empty": b"",
                "torn": text[: len(text) // 2].encode(),
                "zeros": bytes(len(text)),
                "not utf-8": b"\xff\xfe" + text.encode(),
                "newer": text.replace("recording/1", "recording/2").encode(),
                "of another": text.replace('"id": "bad"', '"id": "good"').encode(),
                "unknown key": text.replace('"state"', '"stat"').encode(),
                "deep": b"[" * 100_000,
            }[how]
        )


@pytest.mark.parametrize(
    "how",
    [
        "missing",
        "a folder",
        "empty",
        "torn",
        "zeros",
        "not utf-8",
        "newer",
        "of another",
        "unknown key",
        "deep",
    ],
)
def test_what_is_damaged_is_named_and_stands_in_nobodys_way(spool: Spool, how: str) -> None:
    spool.create(recording("another"))
    bad = spool.create(recording("bad"))
    spool.create(recording("good"))
    damage(bad, how)
    assert [r.id for _, r in spool.journals()] == ["another", "good"]
    error = spool.damaged["bad"]
    assert (type(error), error.code) == (PermanentError, "spool.damaged")
    assert str(bad.path) in error.sentence
    assert bad.path.is_dir()
    with pytest.raises(PermanentError):
        bad.load()
    with pytest.raises(PermanentError):
        bad.update(lambda r: r)


def test_a_mended_folder_is_no_longer_named(spool: Spool) -> None:
    bad = spool.create(recording("bad"))
    shutil.move(bad.path / "recording.json", spool.root / "aside")
    assert list(spool.journals()) == []
    shutil.move(spool.root / "aside", bad.path / "recording.json")
    assert [r.id for _, r in spool.journals()] == ["bad"]
    assert spool.damaged == {}


def test_a_folder_moved_from_another_spool_is_simply_there(spool: Spool, tmp_path: Path) -> None:
    with Spool(tmp_path / "other") as other:
        moved = other.create(recording("moved"))
    moved.path.rename(spool.root / "moved")
    assert [r.id for _, r in spool.journals()] == ["moved"]


# One owner -----------------------------------------------------------------------------------------------


def test_a_second_recorder_is_turned_away(tmp_path: Path) -> None:
    program = "import sys, pathlib\nfrom ari_recorder.spool.folders import Spool\n"
    program += "s = Spool(pathlib.Path(sys.argv[1])).open(); print('open', flush=True); sys.stdin.read()"
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        with pytest.raises(PermanentError) as caught:
            Spool(tmp_path).open()
        assert caught.value.code == "spool.in-use"
        assert str(owner.pid) in caught.value.sentence
        owner.kill()
        owner.wait()
        with Spool(tmp_path):  # a killed owner leaves no lock behind
            pass


def test_closing_lets_the_next_one_in(tmp_path: Path) -> None:
    for _ in range(2):
        with Spool(tmp_path):
            pass


# Unusable ------------------------------------------------------------------------------------------------


def refusal(act: Callable[[], object]) -> RecorderError:
    with pytest.raises(RecorderError) as caught:
        act()
    assert caught.value.remedy
    return caught.value


def test_a_file_where_the_spool_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "spool"):
        error = refusal(Spool(path).open)
        assert error.code == "spool.unusable"
        assert "file stands" in error.remedy


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.EACCES, PermanentError, "spool.unusable"),
        (errno.EROFS, PermanentError, "spool.unusable"),
        (errno.EIO, PermanentError, "spool.unusable"),
        (errno.ENOSPC, TransientError, "spool.full"),
        (errno.EDQUOT, TransientError, "spool.full"),
    ],
)
def test_a_disk_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[RecorderError], code: str
) -> None:
    spool = Spool(tmp_path).open()
    folder = spool.create(recording())
    spool.close()

    def refuse(*_words: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", refuse)
    monkeypatch.setattr(durable, "write_all", refuse)
    for act in (
        Spool(tmp_path).open,
        lambda: spool.create(recording("r-2")),
        lambda: folder.save(recording()),
    ):
        error = refusal(act)
        assert (type(error), error.code) == (kind, code)
    monkeypatch.undo()
    with Spool(tmp_path) as again:  # and the failed start holds no lock
        assert [r for _, r in again.journals()] == [recording()]
        assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_folder_that_belongs_to_somebody_else(tmp_path: Path) -> None:
    root = os.geteuid() == 0
    for parent in tmp_path.parents[:2] if root else ():
        parent.chmod(0o755)
    tmp_path.chmod(0o555)
    if root:  # to whom permissions mean nothing
        os.seteuid(65534)
    try:
        error = refusal(Spool(tmp_path / "spool").open)
    finally:
        if root:
            os.seteuid(0)
        tmp_path.chmod(0o755)
    assert error.code == "spool.unusable"
    assert "mode 700" in error.remedy


def test_a_spool_that_was_never_made(tmp_path: Path) -> None:
    assert refusal(lambda: list(Spool(tmp_path / "none").all())).code == "spool.unusable"


def test_disk_facts(tmp_path: Path) -> None:
    facts = space(tmp_path / "not" / "yet")
    assert facts.path == tmp_path
    assert 0 < facts.free <= facts.total
    assert 0 <= facts.used_percent <= 100
    assert not facts.read_only


# Many ----------------------------------------------------------------------------------------------------


def test_20_000_recordings_are_listed_at_once_and_read_one_by_one(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        first = spool.create(recording("r-00000"))
        text = (first.path / "recording.json").read_bytes()
        for number in range(1, 20_000):
            path = tmp_path / f"r-{number:05}"
            path.mkdir()
            (path / "recording.json").write_bytes(text.replace(b"r-00000", path.name.encode()))
        begun = time.monotonic()
        tracemalloc.start()
        assert sum(1 for _ in spool.all()) == 20_000
        listed = time.monotonic() - begun
        count = sum(1 for _, one in zip(range(2000), spool.journals(), strict=False) if one[1].id)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert count == 2000
    assert listed < 10
    assert peak < 20_000_000
