"""Takes recordings of another recorder, of a dead host or from a rescued disk, into this spool.

A recording is copied under a name that does not count, checked there, journalled there with a note of where
it came from, and renamed: it is in the spool whole, or not at all. Then the recorder is told of it, and only
then, when it is to be moved, the source goes. Blocks. May be done while a recorder works in the spool.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ..asterisk.legs import collect
from ..audio.legs import leg_file
from ..disk import durable
from ..disk.digest import digest_of
from ..disk.faults import fault_point
from ..evidence.found_seal import NO_LOGS, Logs, doubtful_seal, found_seal
from ..evidence.seal import TEMPORARY
from ..model.errors import IntegrityError, PermanentError, TransientError
from ..model.evidence import SealedFile
from ..model.recording import ADOPTED, RESEALED, Note, Recording, State
from .arrival import arriving
from .berth import berth, demand_all_in_reach
from .folders import (
    JOURNAL,
    LOCK,
    TRASH,
    Locks,
    RecordingFolder,
    journal_bytes,
)
from .places import Spools
from .stuck import due_now

DEAD = frozenset({State.DECIDED, State.CAPTURING})
"""Their calls ran when their recorder was last heard of; they are over now."""
NOT_LOCKABLE = frozenset({errno.EBADF, errno.EROFS, errno.ENOLCK, errno.EOPNOTSUPP})
"""Answers to flock(2) from a share that is mounted for reading only, or that knows no locks."""
NOTHING_TO_DO = {
    State.REFUSED: "its call was refused, and it is not to be kept",
    State.DELIVERED: "every target has confirmed it already",
    State.EXPIRED: "its time is over",
    State.ERASED: "it was erased",
}


@dataclass(frozen=True, slots=True)
class Adopted:
    """A recording that is in the spool now."""

    id: str
    state: State
    certificate_sha256: str | None
    """Of a sealed recording: whose seal it has."""
    doubted: bool
    """It is sealed again here, for whether its first seal counts could not be told (`Note` RESEALED)."""
    locked: bool
    """Whether its source could be locked against a recorder that works there."""


def recordings_in(folder: Path) -> list[Path]:
    """The recording folders that a person means by a folder: itself, or all in it when it is a whole spool.

    PermanentError `spool.no-recording` when there is none.
    """
    try:
        if (folder / JOURNAL).is_file():
            return [folder]
        names = sorted(e.name for e in os.scandir(folder) if e.is_dir(follow_symlinks=False))
    except OSError as error:
        raise _none(f"{folder} cannot be read: {error.strerror}.") from error
    found = [folder / name for name in names if name[0] != "." and (folder / name / JOURNAL).is_file()]
    if not found:
        raise _none(f"{folder} is no recording's folder and holds none: there is no {JOURNAL}.")
    return found


class Adoption:
    """Into `spool`, by copying, or by moving with `move`. `recordings` is the recording folder of the dead
    PBX, where it could be rescued: legs that its recorder had no time to fetch. `tell` puts an id before this
    spool's recorder, durably, whether one runs or not (OSError); told twice is no harm. `logs` tell
    what was sealed where its journal does not."""

    def __init__(
        self,
        spool: Spools,
        tell: Callable[[str], None],
        *,
        move: bool = False,
        recordings: Path | None = None,
        logs: Logs = NO_LOGS,
    ) -> None:
        self._spool = spool
        self._tell = tell
        self._move = move
        self._recordings = recordings
        self._logs = logs

    def take(self, source: Path) -> Adopted:
        """Adopt one recording. Taken once more it is no harm.

        PermanentError `spool.clash`, `spool.no-recording`, `spool.in-use`, `spool.damaged`; IntegrityError
        `evidence.altered` or `evidence.missing`; TransientError `spool.full`, `spool.unusable`.
        """
        source = Path(os.path.realpath(source))
        if any(source.is_relative_to(os.path.realpath(place.root)) for place in self._spool.in_use()):
            raise _none(f"{source} is in this spool already.")
        with _left_alone_by_its_recorder(source.parent) as locked, durable.explained(f"Adopting {source}"):
            recording = RecordingFolder(source.parent, source.name, Locks()).load()
            here = self._spool.get(recording.id)
            if here is None:
                demand_all_in_reach(self._spool)  # else it may be here, where nobody can look now
                if recording.state in NOTHING_TO_DO:
                    raise _none(f"{source} is not adopted: {NOTHING_TO_DO[recording.state]}.")
                recording = self._bring(source, recording)
                fault_point("adopt.adopted")
            else:
                recording = _same(here.load(), source)
            self._tell(recording.id)
            fault_point("adopt.told")
            if self._move:
                self._demand_kept(recording.id)
                _clear(source)
                fault_point("adopt.cleared")
        sealed = recording.sealed
        doubted = sealed is None and any(note.what == RESEALED for note in recording.notes)
        certificate = sealed.certificate_sha256 if sealed else None
        return Adopted(recording.id, recording.state, certificate, doubted, locked)

    def _bring(self, source: Path, recording: Recording) -> Recording:
        files = _files(source)
        wanted = sum(path.stat().st_size + 4096 for path in (*files, *self._legs_elsewhere(recording.id)))
        root = berth(self._spool, recording.id, wanted).root
        with arriving(root, recording.id) as new:
            return self._copied(source, files, recording, new)

    def _copied(self, source: Path, files: list[Path], recording: Recording, new: Path) -> Recording:
        """All of it in the folder `new`, checked and journalled."""
        for path in files:
            durable.copy(path, new / path.relative_to(source))
        try:
            recording = self._checked(recording, new)
        except IntegrityError as error:  # the copy goes; what a person is to look at is the source
            sentence = error.sentence.replace(str(new), str(source))
            raise IntegrityError(error.code, sentence, remedy=error.remedy) from error
        recording = due_now(recording).noted(_came_from(source))
        durable.write_atomically(new / JOURNAL, journal_bytes(recording))
        return recording

    def _legs_elsewhere(self, recording_id: str) -> list[Path]:
        if self._recordings is None:
            return []
        return list((self._recordings / "ari-recorder" / recording_id).glob("*"))

    def _demand_kept(self, recording_id: str) -> None:
        """The folder may have been left, or its disk unmounted, while the recording was copied."""
        if self._spool.get(recording_id) is None:
            raise TransientError(
                "spool.unusable",
                f"The recording {recording_id} lies in a spool folder that is no longer in use.",
                remedy="Its source was kept. Do it again: it goes into the folder that is in use now.",
            )

    def _checked(self, recording: Recording, new: Path) -> Recording:
        """What was copied, in the state from which it goes on here."""
        if recording.sealed is not None:
            for file in recording.sealed.files:
                _demand_whole(new / file.name, file)
            return recording
        sealed = found_seal(recording, new, self._logs)
        if sealed is not None:  # killed between the seal and its journal
            return replace(recording, sealed=sealed, state=State.SEALED)
        if (begun := doubtful_seal(new, self._logs)) is not None:
            recording = recording.noted(_sealed_again(begun))
        for path in new.glob(TEMPORARY + "*"):
            path.unlink()  # of a seal that never came to be
        if recording.state in DEAD:
            recording = recording.moved(State.CAPTURED)
        if self._recordings is not None and recording.state is State.CAPTURED:
            with suppress(PermanentError):  # none there: what is in the folder has to do
                recording = collect(recording, self._recordings, new / "legs", leg_file)
        return recording


def _same(here: Recording, source: Path) -> Recording:
    """The recording that is in the spool already, when it is the one from that source."""
    came = _came_from(source).detail
    if any(note.what == ADOPTED and note.detail == came for note in here.notes):
        return here
    raise PermanentError(
        "spool.clash",
        f"The recording {here.id} is in the spool already, and {source} is another folder of that id.",
        remedy='Compare the two ("ari-recorder spool show"); ids are never given twice, so one is a copy.',
    )


def _came_from(source: Path) -> Note:
    return Note(datetime.now(UTC), ADOPTED, f"taken over from {source}")


def _sealed_again(begun: str) -> Note:
    detail = f"a seal was begun where it was recorded ({begun}); whether it counts there was not known"
    return Note(datetime.now(UTC), RESEALED, detail)


def _files(source: Path) -> list[Path]:
    """Everything that belongs to a recording: plain files in its folder and in `legs`. A link or a device
    among them is somebody's trap: PermanentError `spool.no-recording`."""
    found = []
    for folder in (source, source / "legs"):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            mode = path.lstat().st_mode
            if path == source / "legs" and stat.S_ISDIR(mode):
                continue
            if not stat.S_ISREG(mode):
                raise _none(f"{path} is not a plain file; the recording is not adopted.")
            if path.name not in (JOURNAL, f".{JOURNAL}.tmp"):
                found.append(path)
    return found


def _demand_whole(path: Path, file: SealedFile) -> None:
    if not path.is_file():
        raise IntegrityError("evidence.missing", f"The sealed file {file.name} is missing.")
    if digest_of(path) != (file.sha256, file.bytes):
        raise IntegrityError(
            "evidence.altered",
            f"The file {file.name} is not what was sealed; the recording is not adopted.",
            remedy="Look for another copy of it, on the disk or in a target. Keep this one as it is.",
        )


@contextmanager
def _left_alone_by_its_recorder(spool: Path) -> Iterator[bool]:
    """As long as this lasts no other recorder works in the source; PermanentError `spool.in-use`.

    False where that could not be made sure of.
    """
    handle = _lock_file(spool / LOCK)
    if handle is None:
        yield True  # a single folder, or one that may not be locked: then nobody works in it either
        return
    locked = True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise PermanentError(
            "spool.in-use",
            f"A recorder works in {spool}: its recordings are its own.",
            remedy="Stop it first.",
        ) from None
    except OSError as error:
        if error.errno not in NOT_LOCKABLE:
            os.close(handle)
            raise TransientError("spool.unusable", f"{spool} cannot be locked: {error.strerror}.") from error
        locked = False
    try:
        yield locked
    finally:
        os.close(handle)


def _lock_file(path: Path) -> int | None:
    """Opened for writing where possible: NFS takes no exclusive lock otherwise (flock(2))."""
    for access in (os.O_RDWR, os.O_RDONLY):
        with suppress(OSError):
            return os.open(path, access | os.O_CLOEXEC | os.O_NOFOLLOW)
    return None


def _clear(source: Path) -> None:
    trash = source.with_name(TRASH + source.name)
    durable.publish(source, trash)
    shutil.rmtree(trash, ignore_errors=True)


def _none(sentence: str) -> PermanentError:
    return PermanentError(
        "spool.no-recording", sentence, remedy="Name folders with a recording.json in them."
    )
