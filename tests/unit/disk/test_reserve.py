"""The reserve on a disk that is really full, and what is known of mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ari_recorder.disk.mounts import mount_of
from ari_recorder.disk.reserve import FILES, Reserve


def test_the_reserve_is_made_given_up_and_made_again(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, 1 << 20)
    assert not reserve.release()
    assert reserve.hold()
    assert reserve.hold()
    taken = sum(path.stat().st_blocks * 512 for path in reserve.path.iterdir())
    assert taken >= 1 << 20
    assert reserve.release()
    assert not reserve.release()
    assert [path.name for path in reserve.path.iterdir() if path.stat().st_size] == ["last"]
    assert reserve.release(last=True)
    assert not list(reserve.path.iterdir())
    assert not reserve.release(last=True)
    assert reserve.hold()
    assert len(list(reserve.path.iterdir())) > FILES
    reserve.remove()
    assert not reserve.path.exists()


def test_what_a_crash_left_half_made_is_made_anew(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, 1 << 20)
    reserve.path.mkdir()
    (reserve.path / ".space").write_bytes(b"half")
    (reserve.path / "space-3").touch()
    assert not reserve.held
    assert reserve.hold()


def test_a_disk_without_room_for_it_works_without(tmp_path: Path) -> None:
    huge = Reserve(tmp_path, 1 << 60)
    assert not huge.hold()
    assert not huge.release()
    assert huge.release(last=True)
    (tmp_path / "file").touch()
    assert not Reserve(tmp_path / "file").hold()
    assert not Reserve(tmp_path / "file").release()


TABLE = """\
21 1 0:20 / / rw,relatime - overlay overlay rw
22 21 0:21 / /mnt rw shared:1 - ext4 /dev/sda1 rw
23 22 0:22 / /mnt/ram\\040disk rw master:2 propagate_from:3 - tmpfs none rw
24 21 0:23 / /mnt rw - xfs /dev/sdb1 rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "point", "kind"),
    [
        ("/", "/", "overlay"),
        ("/mnt-other/x", "/", "overlay"),
        ("/mnt/spool", "/mnt", "xfs"),
        ("/mnt/ram disk/spool/deep", "/mnt/ram disk", "tmpfs"),
    ],
)
def test_the_innermost_and_latest_mount_counts(tmp_path: Path, path: str, point: str, kind: str) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    found = mount_of(Path(path), table)
    assert (str(found.point), found.kind, found.volatile) == (point, kind, kind == "tmpfs")


def test_a_system_that_does_not_say_is_no_error(tmp_path: Path) -> None:
    assert mount_of(tmp_path, tmp_path / "missing").kind == ""
    assert mount_of(Path("/dev/shm")).point in (Path("/dev/shm"), Path("/dev"), Path("/"))
