"""One folder a recording, and in it the journal `recording.json`, which is the truth.

`<spool>/<id>/recording.json`, `<spool>/<id>/legs/…`, `<spool>/<id>/rtp.jsonl`, and the sealed files. Names
that begin with a dot are under construction (`.new-`) or on their way out (`.trash-`); both are cleared when
the spool is opened, for neither holds anything that counts. Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakValueDictionary

from ..disk import durable
from ..disk.faults import fault_point
from ..model import document
from ..model.errors import PermanentError, RecorderError, TransientError
from ..model.recording import Recording, State
from .glance import glance

FORMAT = "ari-recorder/recording/1"
"""Version of the journal. A reader refuses every other one."""

JOURNAL = "recording.json"
LOCK = "lock"
NEW = ".new-"
TRASH = ".trash-"
ADOPTING = ".adopt-"
ADOPTION_LOCK = ".adopting"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,119}")


@dataclass(frozen=True, slots=True)
class Journal:
    """The document in `recording.json`."""

    format: str
    recording: Recording


class Locks:
    """A lock for each recording that somebody is at work on; nothing is kept for those that only wait."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, threading.RLock] = WeakValueDictionary()
        self._guard = threading.Lock()

    def of(self, recording_id: str) -> threading.RLock:
        with self._guard:
            lock = self._locks.get(recording_id)
            if lock is None:
                lock = self._locks[recording_id] = threading.RLock()
            return lock


class RecordingFolder:
    """One recording's folder. Any number of these objects may stand for the same folder.

    Small, for 20 000 of them may wait in a queue: what can be worked out is not kept.
    """

    __slots__ = ("_locks", "id", "root")

    def __init__(self, root: Path, recording_id: str, locks: Locks) -> None:
        self.root = root
        """The spool's folder."""
        self.id = recording_id
        self._locks = locks

    @property
    def path(self) -> Path:
        return self.root / self.id

    @property
    def legs(self) -> Path:
        """Folder of the raw legs."""
        return self.path / "legs"

    @property
    def rtp(self) -> Path:
        """The polls of `rtp_statistics`, one JSON object a line."""
        return self.path / "rtp.jsonl"

    @property
    def hangs(self) -> bool:
        """Its disk does not answer for now: whoever touched it would wait (`spool/waits.py`)."""
        return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """As long as this lasts the folder stays where it is (`spool/places.py` moves folders)."""
        yield

    def demand_room(self, wanted: int) -> None:
        """TransientError `spool.full` when `wanted` bytes would not fit (`spool/places.py` looks)."""

    def load(self) -> Recording:
        """The recording as it was last saved; PermanentError `spool.damaged`."""
        try:
            text = (self.path / JOURNAL).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise _damaged(self.path, f"it has no {JOURNAL}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise _damaged(self.path, str(error)) from error
        try:
            journal = document.load(Journal, text)
        except (document.DocumentError, RecursionError) as error:
            raise _damaged(self.path, str(error)) from error
        if journal.format != FORMAT:
            raise _damaged(self.path, f'it has the format "{journal.format}" and not "{FORMAT}"')
        if journal.recording.id != self.id:
            # A copy of a folder would deliver its recording a second time, under the same name.
            raise _damaged(self.path, f'it belongs to the recording "{journal.recording.id}"')
        return journal.recording

    def save(self, recording: Recording) -> None:
        """Journal a recording durably. TransientError `spool.full`, PermanentError `spool.unusable`."""
        if recording.id != self.id:
            raise ValueError(f"recording {recording.id} does not belong into {self.path}")
        with self._locks.of(self.id), _usable(self.path):
            durable.write_atomically(self.path / JOURNAL, journal_bytes(recording))

    def update(self, change: Callable[[Recording], Recording]) -> Recording:
        """Load, change and save in one step that no other thread can come between."""
        with self._locks.of(self.id):
            before = self.load()
            after = change(before)
            if after != before:
                self.save(after)
            return after

    def remove(self) -> None:
        """Delete the folder: at once and whole for every reader, also when the process dies meanwhile."""
        fault_point("remove.begin")
        trash = self.path.with_name(TRASH + self.id)
        with self._locks.of(self.id), _usable(self.path):
            _delete(trash)
            with suppress(FileNotFoundError):
                durable.publish(self.path, trash)
        fault_point("remove.renamed")
        _delete(trash)
        fault_point("remove.done")


class Spool:
    """The spool in folder `root`. Reading needs no `open()`; creating and changing does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.damaged: dict[str, RecorderError] = {}
        """Folders that the last `journals()` had to pass over, by name. They are never touched."""
        self._lock: int | None = None
        self._locks = Locks()

    def open(self) -> Self:
        """Make the spool ours, make the folder where missing, clear what a crash left half done.

        PermanentError `spool.in-use` or `spool.unusable`, TransientError `spool.full`.
        """
        with _usable(self.root):
            durable.make_folders(self.root)
            if not self.root.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            self._lock = _locked(self.root / LOCK)
            try:
                os.pwrite(self._lock, b"%-20d\n" % os.getpid(), 0)
                for path in self.root.iterdir():
                    if path.name.startswith((NEW, TRASH)):
                        _delete(path)
                if any(self.root.glob(ADOPTING + "*")):
                    with suppress(RecorderError, OSError), adopting(self.root):
                        pass  # clears what a killed adoption left, unless one is under way
            except OSError:
                self.close()
                raise
        return self

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def create(self, recording: Recording) -> RecordingFolder:
        """A new recording's folder with its journal, durable when this returns.

        ValueError when the id is not safe as a file name or is taken. Errors else as `save`.
        """
        if not _ID.fullmatch(recording.id):
            raise ValueError(f"not an id: {recording.id!r}")
        folder = self._folder(recording.id)
        if folder.path.exists():
            raise ValueError(f"recording {recording.id} exists already")
        with _usable(self.root):
            new = self.root / (NEW + recording.id)
            _delete(new)
            new.mkdir(mode=0o700)
            (new / "legs").mkdir(mode=0o700)
            durable.write_atomically(new / JOURNAL, journal_bytes(recording))
            fault_point("create.made")
            new.rename(folder.path)
            fault_point("create.renamed")
            durable.sync_folder(self.root)
        return folder

    def all(self) -> Iterator[RecordingFolder]:
        """Every recording's folder in the order of the ids, nothing read yet: cheap for 20 000."""
        with _usable(self.root):
            names = sorted(entry.name for entry in os.scandir(self.root) if _is_recording(entry))
        for name in names:
            yield self._folder(name)

    def states(self) -> Iterator[tuple[RecordingFolder, State | None]]:
        """Every recording's state from the first bytes of its journal, in the order of the ids.

        None where only `load()` can tell, and say what is wrong. Fast: 20 000 take about half a second.
        """
        root = os.fspath(self.root)
        for folder in self.all():
            yield folder, glance(f"{root}/{folder.id}/{JOURNAL}", folder.id)

    def journals(self) -> Iterator[tuple[RecordingFolder, Recording]]:
        """Every recording that can be read, one at a time; the others are put into `damaged`."""
        self.damaged = {}
        for folder in self.all():
            try:
                recording = folder.load()
            except RecorderError as error:
                if folder.path.exists():
                    self.damaged[folder.id] = error
                continue
            yield folder, recording

    def get(self, recording_id: str) -> RecordingFolder | None:
        """The folder of a recording; None when there is none."""
        if not _ID.fullmatch(recording_id) or not (self.root / recording_id).is_dir():
            return None
        return self._folder(recording_id)

    def _folder(self, recording_id: str) -> RecordingFolder:
        return RecordingFolder(self.root, recording_id, self._locks)


@contextmanager
def adopting(root: Path) -> Iterator[None]:
    """One adoption at a time in a spool folder; what a killed one left is cleared. PermanentError
    `spool.in-use`."""
    handle = _locked(root / ADOPTION_LOCK)
    try:
        for path in root.iterdir():
            if path.name.startswith(ADOPTING):
                _delete(path)
        yield
    finally:
        os.close(handle)


def journal_bytes(recording: Recording) -> bytes:
    """The journal's bytes. A lone surrogate in a caller's name becomes its JSON escape."""
    return document.dump(Journal(FORMAT, recording)).encode("utf-8", "backslashreplace")


def disk_failed(error: RecorderError) -> bool:
    """A recording could not be read, and that is the disk's doing, not the journal's: it may be later."""
    cause = error.__cause__
    return isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)


def is_id(name: str) -> bool:
    """Safe as the name of a recording's folder."""
    return _ID.fullmatch(name) is not None


def _is_recording(entry: os.DirEntry[str]) -> bool:
    return entry.name[0] != "." and entry.is_dir(follow_symlinks=False)


def _delete(path: Path) -> None:
    """Delete a folder that holds nothing that counts; what cannot go now is tried at the next start."""
    shutil.rmtree(path, ignore_errors=True)


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise PermanentError(
            "spool.in-use",
            f"Another recorder (process {owner or 'unknown'}) works in the spool {path.parent}.",
            remedy="Stop it, or give this recorder a spool of its own.",
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _damaged(path: Path, why: str) -> PermanentError:
    return PermanentError(
        "spool.damaged",
        f"The recording in {path} cannot be read: {why}.",
        remedy="It is left as it is. Mend or move the folder; its legs are the raw audio.",
    )


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in durable.FULL:
            raise TransientError(
                "spool.full", f"No space is left in {path}.", remedy="Free space on the spool's disk."
            ) from error
        why = error.strerror or str(error)
        raise PermanentError(
            "spool.unusable", f"The spool {path} cannot be used: {why}.", remedy=_remedy(error)
        ) from error


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "A file stands where the folder should be: move it away, or choose another spool."
    if error.errno in (errno.EACCES, errno.EPERM):
        return "Give the folder to the recorder's user, with mode 700."
    if error.errno == errno.ENOENT:
        return "It is made when the recorder runs; until then it does not exist."
    if error.errno == errno.EROFS:
        return "Its disk is mounted read-only: mount it for writing, and look why it was."
    return "Check the disk, or choose another spool."
