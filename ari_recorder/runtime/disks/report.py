"""What the running recorder last measured of the disks, in one small file, for `status` and `check`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ...model import document

FILE = "disks.json"
"""In the state folder."""


@dataclass(frozen=True, slots=True)
class DiskLine:
    """One folder and the disk it lies on; sizes in bytes."""

    key: str
    """`spool`, `second-spool`, `pbx-NAME`, `target-NAME`; a folder that maintenance uses: `spool-PATH`."""
    folder: str
    free: int = 0
    total: int = 0
    files_free: int | None = None
    """Files that can still be made; None where the disk has no such limit."""
    stop_at_free: int = 0
    """With less no new recording begins here."""
    rate: float = 0.0
    """Bytes a second that the disk loses, net."""
    hours: float | None = None
    """Until `stop_at_free`, at this rate; None when it does not fill."""
    volatile: bool = False
    """A RAM disk."""
    error: str | None = None
    """Why it is out of use; the sizes say nothing then."""


@dataclass(frozen=True, slots=True)
class DiskReport:
    at: datetime
    disks: tuple[DiskLine, ...] = ()
    begin_in: str | None = None
    """The folder in which new recordings begin, where that was ordered (`ari-recorder spool move`)."""


def write(state: Path, report: DiskReport) -> None:
    """Replace the file at once; not fsynced, for it says nothing after a power cut anyway. OSError."""
    new = state / f".{FILE}.new"
    new.write_text(document.dump(report), encoding="utf-8")
    new.replace(state / FILE)


def read(state: Path) -> DiskReport | None:
    """The last report of the recorder whose state folder this is; None where there is none."""
    try:
        return document.load(DiskReport, (state / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
