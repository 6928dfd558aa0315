"""What the disk under the spool can still take."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..model.errors import PermanentError


@dataclass(frozen=True, slots=True)
class Space:
    """Facts about one file system, in bytes."""

    path: Path
    total: int
    free: int
    """What this process may use: without the part reserved for root."""
    files_free: int | None
    """Files that can still be made; None where the file system has no such limit."""
    read_only: bool

    @property
    def used_percent(self) -> float:
        return 100.0 * (1 - self.free / self.total) if self.total else 100.0

    def floor(self, wanted: int) -> int:
        """How many bytes are kept free where `wanted` are to be: at most a tenth of a small disk."""
        return min(wanted, self.total // 10)


def space(path: Path) -> Space:
    """The facts for the file system that holds `path`, or its nearest existing parent.

    PermanentError `spool.unusable` when even that cannot be asked.
    """
    place = path.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        facts = os.statvfs(place)
    except OSError as error:
        raise PermanentError(
            "spool.unusable", f"The disk under {path} cannot be asked for its space: {error.strerror}."
        ) from error
    return Space(
        path=place,
        total=facts.f_blocks * facts.f_frsize,
        free=facts.f_bavail * facts.f_frsize,
        files_free=facts.f_favail if facts.f_files else None,
        read_only=bool(facts.f_flag & os.ST_RDONLY),
    )
