"""What is mounted where (Linux: proc(5), mountinfo and fdinfo)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/thread-self/mountinfo")
"""Of this thread: a thread may see other mounts than the process it belongs to."""
VOLATILE = frozenset({"tmpfs", "ramfs"})


@dataclass(frozen=True, slots=True)
class Mount:
    """`point` is the folder it is mounted on, `kind` the file system's name such as `ext4`."""

    point: Path
    kind: str

    @property
    def volatile(self) -> bool:
        """A RAM disk: it forgets everything when the machine restarts."""
        return self.kind in VOLATILE


def mount_of(path: Path, table: Path = MOUNTS) -> Mount:
    """The mount that holds `path`, which need not exist; of a kind "" where the system does not say."""
    place = path.resolve()
    found = Mount(Path("/"), "")
    try:
        lines = table.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return found
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = Path(_unescaped(fields.split(" ")[4])) if fields.count(" ") >= 4 else None
        # Not shorter: of two mounts on one point the later one is seen.
        if point and place.is_relative_to(point) and len(point.parts) >= len(found.point.parts):
            found = Mount(point, rest.partition(" ")[0])
    return found


def mount_point_of(handle: int) -> Path | None:
    """Where the disk of an open file or folder is mounted now.

    A folder that is mounted onto itself is no disk: systemd does so with each `ReadWritePaths=` of a unit, so
    that in there every bare folder is a mount point. What lies beneath counts instead.
    None when it is mounted nowhere any more: it was taken away under its users (`umount --lazy`). OSError.
    """
    lines = MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    table = {line.number: line for line in map(_Line.read, lines)}
    found = table.get(_mount_number(handle))
    while found and (beneath := table.get(found.beneath)) and found.is_folder_of(beneath):
        found = beneath
    return None if found is None else found.point


def disk_at(folder: Path) -> Path | None:
    """As `mount_point_of`, of a folder by its path, or of the nearest parent that is there; OSError."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return mount_point_of(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class _Line:
    """One mount: the folder `root` of the file system `device` is seen at `point`."""

    number: str
    beneath: str
    """Number of the mount that `point` lies in."""
    device: str
    root: Path
    point: Path

    @classmethod
    def read(cls, line: str) -> _Line:
        number, beneath, device, root, point, *_ = line.split(" ")
        return cls(number, beneath, device, Path(_unescaped(root)), Path(_unescaped(point)))

    def is_folder_of(self, beneath: _Line) -> bool:
        """It shows the very folder that would be seen there without it."""
        if self.device != beneath.device or not self.point.is_relative_to(beneath.point):
            return False
        return self.root == beneath.root / self.point.relative_to(beneath.point)


def _mount_number(handle: int) -> str:
    for line in Path(f"/proc/self/fdinfo/{handle}").read_text("ascii").splitlines():
        if line.startswith("mnt_id:"):
            return line.split()[1]
    return ""


def _unescaped(text: str) -> str:
    r"""Blanks, tabs, newlines and backslashes stand there as `\040` and so on."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
