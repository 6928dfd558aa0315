"""One spool folder among several: whether it can be used, what id it has, and how much room is left in it."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from contextlib import suppress
from pathlib import Path

import structlog

from ..disk import durable
from ..disk.mounts import disk_at, mount_of
from ..disk.reserve import Reserve
from ..disk.space import Space, space
from ..model.errors import PermanentError, RecorderError, TransientError
from .folders import TRASH, Spool
from .ledger import Known

log = structlog.get_logger(__name__)

MARK = ".place"
"""File with the folder's own id."""
COMING = ".move-"
"""Prefix of a copy that comes from another spool folder and does not count yet."""
PROBE = ".probe"


class Place:
    """Blocking. `open` is called by one thread at a time (`opening`), everything else by any."""

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        """`primary`, `second`, or the path of a folder that the configuration does not name."""
        self.root = root
        self.spool = Spool(root)
        self.reserve = Reserve(root)
        self.id = ""
        """Empty where the folder is too full to hold even its id."""
        self.error: RecorderError | None = None
        """Why it is not ready."""
        self.hangs = False
        """Somebody waits too long for its disk: it is not touched until that has come to its end."""
        self.returned = False
        """It hung and answers again; whoever takes its recordings up again clears this."""
        self.opening = threading.Lock()
        """One opens it at a time, for its lock would refuse the second."""
        self._turn = threading.Lock()
        """To say whether it is open; not held while it is being opened, which may take long."""
        self._opened = False

    def __repr__(self) -> str:
        return f"Place({self.name!r}, {str(self.root)!r}, ready={self.ready})"

    @property
    def ready(self) -> bool:
        """Open for reading and writing."""
        return self._opened and not self.hangs

    @property
    def volatile(self) -> bool:
        """On a RAM disk."""
        return mount_of(self.root).volatile

    @property
    def known(self) -> Known:
        return Known(str(self.root), self.id, str(disk_at(self.root)), self.volatile)

    def open(self, known: Known | None) -> None:
        """Make it ours; RecorderError `spool.*`. `known` is how it was when last in use."""
        try:
            self.demand_mounted(known)
            self.id = _read(self.root / MARK) or ""
            self.spool.open()
            try:
                with durable.explained(f"Writing to the spool folder {self.root}"):
                    self._probe()
                    self.id = self._identity()
            except RecorderError as error:
                if error.code != "spool.full":
                    self.spool.close()
                    raise
        except RecorderError as error:
            self.error = error
            raise
        with self._turn:
            self._opened, self.error = True, None

    def look(self) -> None:
        """RecorderError when it is no longer the folder that was opened, or no longer takes anything."""
        facts = self.space()
        if facts.read_only:
            raise PermanentError(
                "spool.unusable",
                f"The disk of the spool folder {self.root} is mounted read-only.",
                remedy="Look why (dmesg), and mount it for writing.",
            )
        if self.id and _read(self.root / MARK) != self.id:
            raise _not_mounted(self.root)

    def fail(self, error: RecorderError) -> bool:
        """Leave it out until it can be opened again; whether it was in use until now.

        A writer may tell so late that it is being opened anew already: whoever does that knows better.
        """
        with self._turn:
            ready = self.ready
            self._let_go()
            self.error = error
        return ready

    def hang(self, error: RecorderError) -> None:
        """Leave it out without touching it: its disk does not answer. From any thread."""
        self.hangs, self.error = True, error

    def answers(self) -> None:
        """What hung has come to its end, well or not. From any thread."""
        self.hangs = False
        if self._opened:
            self.error, self.returned = None, True

    def close(self) -> None:
        """Let go of the folder, so that its disk can be unmounted."""
        with self._turn:
            self._let_go()

    def space(self) -> Space:
        return space(self.root)

    def demand_room(self, floor: int, wanted: int = 0) -> None:
        """TransientError `spool.full` when fewer bytes are free, or no file can be made.

        `floor` bytes are to be kept free (of a small disk, a tenth), and `wanted` are needed.
        """
        facts = self.space()
        wanted += facts.floor(floor)
        if facts.free < wanted or facts.files_free == 0:
            raise TransientError(
                "spool.full",
                f"{facts.free // 1_000_000} MB are free in the spool folder {self.root}, and "
                f"{wanted // 1_000_000} MB have to be.",
                remedy="Free space on its disk, or see why nothing is delivered: ari-recorder status.",
            )

    def gave_room(self, error: RecorderError, *, last: bool = False) -> bool:
        """Whether the disk was full and the reserve, or the `last` of it, has been given up for a writer."""
        if error.code != "spool.full" or not self.reserve.release(last=last):
            return False
        log.warning("The spool is full; its reserve is used", action="spool.reserve", folder=str(self.root))
        return True

    def readable(self) -> bool:
        """Its recordings can at least be read: it is ready, or what was mounted read-only."""
        return self.ready or (not self.hangs and bool(self.id and _read(self.root / MARK) == self.id))

    def demand_ready(self) -> None:
        """RecorderError when it cannot be written now."""
        if not self.ready:
            raise self.error or _not_mounted(self.root)

    def demand_readable(self) -> None:
        """RecorderError when what lies here cannot be told now."""
        if not self.readable():
            raise self.error or _not_mounted(self.root)

    def drop(self, recording_id: str) -> None:
        """Delete a copy that does not count, as `RecordingFolder.remove`; OSError."""
        path, trash = self.root / recording_id, self.root / (TRASH + recording_id)
        shutil.rmtree(trash, ignore_errors=True)
        if path.exists():
            durable.publish(path, trash)
        shutil.rmtree(trash, ignore_errors=True)

    def demand_mounted(self, known: Known | None) -> None:
        """An empty mount point must not be filled: what waits on the disk would be forgotten.

        The id tells, not what is mounted: in a unit's sandbox the bare folder is a mount point, too. A RAM
        disk forgets its id, and an empty mark is an admin's word that this folder is the right one. A folder
        that was left empty may lie on any disk, where one was. TransientError `spool.unusable`.
        """
        if known is None or (known.volatile and self.volatile):
            return
        with durable.explained(f"Reading {self.root / MARK}"):
            try:
                found = (self.root / MARK).read_bytes().strip()
            except FileNotFoundError:
                found = None
            exchanged = not known.id and known.mount == str(disk_at(self.root))
        if not exchanged and found not in (known.id.encode(), b""):
            raise _not_mounted(self.root)

    def mounted(self, known: Known | None) -> bool:
        """Not the bare mount point of the disk that was used last."""
        try:
            self.demand_mounted(known)
        except RecorderError:
            return False
        return True

    def _let_go(self) -> None:
        if self._opened:
            self.spool.close()  # first, for as soon as it is not open any more somebody may lock it anew
            self._opened = False

    def _identity(self) -> str:
        """The folder's id, which it gets when it has none."""
        mark = self.root / MARK
        if (found := _read(mark)) and len(found) == 32:
            return found
        made = secrets.token_hex(16)
        mark.unlink(missing_ok=True)
        durable.write_new(mark, made.encode())
        durable.sync_folder(self.root)
        return made

    def _probe(self) -> None:
        """Some disks take an open but no write."""
        path = self.root / PROBE
        path.unlink(missing_ok=True)
        try:
            durable.write_new(path, b"probe")
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _read(mark: Path) -> str | None:
    try:
        return mark.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _not_mounted(root: Path) -> TransientError:
    return TransientError(
        "spool.unusable",
        f"The spool folder {root} is not the one that was used last: its disk is not mounted, or another is.",
        remedy=f"Mount it. If this folder is to be used from now on: truncate --size=0 {root / MARK}",
    )


def clear_arrivals(root: Path, keep: frozenset[str]) -> None:
    """Clear away copies that were on their way here and do not count, but those of `keep`."""
    with suppress(OSError):
        for entry in os.scandir(root):
            if entry.name.startswith(COMING) and entry.name.removeprefix(COMING) not in keep:
                shutil.rmtree(entry.path, ignore_errors=True)
