from __future__ import annotations

from pathlib import Path

from ari_recorder.lab.processes import Process
from ari_recorder.lab.runfolder import OWNER, RunFolder, abandoned


def test_a_run_folder_is_gone_at_the_end(tmp_path: Path) -> None:
    with RunFolder(parent=tmp_path) as run:
        (run.folder("deep") / "file").write_text("x")
        assert abandoned(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_kept_one_stays_and_is_nobodys_left_over(tmp_path: Path) -> None:
    with RunFolder(parent=tmp_path) as run:
        (run.path / "archive").mkdir()
        run.keep = True
    assert (run.path / "archive").is_dir()
    assert abandoned(tmp_path) == []


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    with RunFolder(parent=tmp_path) as first, RunFolder(parent=tmp_path) as second:
        assert first.path != second.path


def test_the_folder_of_a_killed_run_is_found(tmp_path: Path) -> None:
    me = Process.current()
    dead = tmp_path / "dead"
    dead.mkdir()
    (dead / OWNER).write_text(str(Process(me.pid, me.started + 1, me.space)))
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / OWNER).write_bytes(b"\xff\0")
    (tmp_path / "file").write_text("not a run")
    assert abandoned(tmp_path) == [dead]
