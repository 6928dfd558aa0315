"""Carries a recording from one spool folder into another, so that at each moment exactly one copy counts.

    copy beside, sync, read back     the first copy counts
    note the move (one write)        ← from here on the second counts
    rename the copy to its name
    remove the first copy
    strike the note

A crash leaves the note or it does not; `settle` finishes what was noted, and the next opening clears away
what was not. A folder that cannot be written any more (its disk is mounted read-only) can be left in the
same way: the note outlives it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog

from ..disk import durable
from ..disk.faults import fault_point
from ..model.errors import PermanentError
from .folders import Locks
from .ledger import Ledger, Move
from .place import COMING, Place

log = structlog.get_logger(__name__)


def carry(recording_id: str, source: Place, destination: Place, ledger: Ledger, floor: int = 0) -> None:
    """Move one recording; whoever calls sees to it that nobody works in its folder. Blocks.

    TransientError `spool.full` when fewer than `floor` bytes would be left, `spool.unusable` when a disk
    fails or what is read back is not what was written, PermanentError `spool.damaged` when another copy
    stands there that nothing is known of; in each case the first copy counts. Once the second
    one does, the first one's removal may fail: it is done at the next `settle`.
    """
    here = source.root / recording_id
    coming = destination.root / (COMING + recording_id)
    destination.demand_room(floor, _size(here))
    try:
        with durable.explained(f"Moving the recording {recording_id} to {destination.root}"):
            _clear_name(recording_id, destination, ledger)
            shutil.rmtree(coming, ignore_errors=True)
            _copy(here, coming)
            fault_point("move.copied")
            ledger.decide(Move(recording_id, str(source.root), str(destination.root), destination.id))
    except BaseException:
        shutil.rmtree(coming, ignore_errors=True)
        raise
    fault_point("move.decided")
    with durable.explained(f"Moving the recording {recording_id} to {destination.root}"):
        durable.publish(coming, destination.root / recording_id)
    fault_point("move.arrived")
    try:
        source.drop(recording_id)
        fault_point("move.left")
        ledger.left(recording_id, str(source.root))
    except OSError as error:
        log.warning(str(error), action="spool.copy-left", recording=recording_id, folder=str(source.root))
    fault_point("move.done")


def settle(ledger: Ledger, places: list[Place], locks: Locks) -> list[tuple[str, Place]]:
    """Finish every move that was decided, as far as its folders can be reached. Blocks.

    What somebody is moving or making now is left to them. Recordings of which an older copy counts again are
    returned, with where that is.
    """
    by_root = {str(place.root): place for place in places}
    back: list[tuple[str, Place]] = []
    for recording_id in [move.recording for move in ledger.moves()]:
        lock = locks.of(recording_id)
        if not lock.acquire(blocking=False):
            continue
        try:
            if (place := _settled(ledger, recording_id, by_root)) is not None:
                back.append((recording_id, place))
        except OSError as error:
            log.warning(str(error), action="spool.move-unsettled", recording=recording_id)
        finally:
            lock.release()
    return back


def _settled(ledger: Ledger, recording_id: str, by_root: Mapping[str, Place]) -> Place | None:
    """Where a copy counts again that did not before."""
    move = ledger.move_of(recording_id)
    if move is None:
        return None
    if not move.gone:
        destination = by_root.get(move.destination)
        if destination is None or not destination.ready:
            return None
        coming, arrived = (destination.root / (prefix + recording_id) for prefix in (COMING, ""))
        if destination.id != move.destination_id or not (coming.exists() or arrived.exists()):
            # A RAM disk that has forgotten it, or a recording that a person took away: what is left counts.
            return _taken_back(ledger, move, by_root)
        if not arrived.exists():
            durable.publish(coming, arrived)
    _clear_stale(ledger, move, by_root)
    return None


def _taken_back(ledger: Ledger, move: Move, by_root: Mapping[str, Place]) -> Place | None:
    """The newest of the other copies counts again, as soon as its folder can say whether there is one."""
    newest, *older = move.stale
    place = by_root.get(newest)
    here = place is not None and place.ready and (place.root / move.recording).exists()
    if not older:
        log.warning("A moved copy is gone", action="spool.move-undone", recording=move.recording)
        ledger.done(move.recording)
    elif place is not None and here:
        log.warning("A moved copy is gone", action="spool.move-undone", recording=move.recording)
        ledger.decide(Move(move.recording, older[0], newest, place.id))
    elif place is not None and place.ready:
        ledger.left(move.recording, newest)
    return place if here else None


def _clear_stale(ledger: Ledger, move: Move, by_root: Mapping[str, Place]) -> None:
    for root in move.stale:
        place = by_root.get(root)
        if place is not None and place.ready:
            place.drop(move.recording)
            ledger.left(move.recording, root)


def _clear_name(recording_id: str, destination: Place, ledger: Ledger) -> None:
    """Where it is to stand, a copy of an earlier move may stand still: it must not be taken for this one."""
    if ledger.hides(destination.root, recording_id):
        destination.drop(recording_id)
    if (destination.root / recording_id).exists():
        raise PermanentError(
            "spool.damaged",
            f"Another folder of the recording {recording_id} stands in {destination.root} already.",
            remedy="Compare the two, and move one of them away.",
        )


def _copy(here: Path, there: Path) -> None:
    """A folder with all that is in it: synced, and compared with what the disk gives back."""
    there.mkdir(mode=0o700)
    for path in _below(here):
        copy = there / path.relative_to(here)
        if path.is_dir():
            copy.mkdir(mode=0o700)
            continue
        wanted = _written(path, copy)
        fault_point("move.file")
        if _read_back(copy) != wanted:
            raise PermanentError(
                "spool.unusable",
                f"What was written to {copy} is not what is read back.",
                remedy="That disk, its controller or the memory is failing: do not use it.",
            )
    for folder in sorted({there, *(p for p in there.rglob("*") if p.is_dir())}, reverse=True):
        durable.sync_folder(folder)
    durable.sync_folder(there.parent)


def _below(folder: Path) -> Iterator[Path]:
    """Files and folders, parents first; a link is nothing that the recorder makes, and is not followed."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_symlink() or entry.name.endswith((".tmp", ".part")):
            continue
        yield Path(entry.path)
        if entry.is_dir():
            yield from _below(Path(entry.path))


def _written(source: Path, copy: Path) -> str:
    seen = hashlib.sha256()
    handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with source.open("rb", buffering=0) as stream:
            while block := stream.read(durable.BLOCK):
                seen.update(block)
                durable.write_all(handle, block)
        os.fsync(handle)
        # So that it is the disk which is read below, not the memory that was just filled.
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)
    return seen.hexdigest()


def _read_back(path: Path) -> str:
    with path.open("rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _size(folder: Path) -> int:
    """Bytes that a copy may take, a little more than they are."""
    try:
        return sum(path.stat().st_size + 4096 for path in _below(folder))
    except OSError:
        return 0
