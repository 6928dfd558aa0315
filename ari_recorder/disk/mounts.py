"""Which file system a folder lies on, and whether it forgets everything at a restart of the machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
VOLATILE = frozenset({"tmpfs", "ramfs"})


@dataclass(frozen=True, slots=True)
class Mount:
    """`point` is the folder it is mounted on, `kind` the file system's name such as `ext4`."""

    point: Path
    kind: str

    @property
    def volatile(self) -> bool:
        """A RAM disk."""
        return self.kind in VOLATILE


def mount_of(path: Path, table: Path = MOUNTS) -> Mount:
    """The mount that holds `path`; of a kind "" where the system does not say (proc(5), mountinfo)."""
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


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
