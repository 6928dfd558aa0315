"""What is known of the spool folders beside what stands in them.

Which of two copies of a recording counts, where new recordings begin, and what each folder was when it was
last seen.

All of it lies in the state folder, in small files replaced as a whole. A move is decided by one such write.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from ..disk import durable
from ..model import document
from ..model.errors import PermanentError

T = TypeVar("T")

MOVES = "spool-moves"
"""Folder in the state folder: one file for each recording whose first copy may still stand somewhere."""
PLACEMENT = "spool.json"


@dataclass(frozen=True, slots=True)
class Move:
    """The copy in `destination` counts, whatever still stands in `stale`. All of them are spool folders."""

    recording: str
    source: str
    destination: str
    destination_id: str
    """The folder's own id: an empty mount point, or a RAM disk after a restart, is not that folder."""
    gone: bool = False
    """The copy in `destination` has been delivered and removed since."""
    also: tuple[str, ...] = ()
    """Where copies of earlier moves may stand that could not be removed, the newest first."""

    @property
    def stale(self) -> tuple[str, ...]:
        return (self.source, *self.also)


@dataclass(frozen=True, slots=True)
class Known:
    """A spool folder as it was when last in use."""

    path: str
    id: str
    """Empty when it was left empty (`ari-recorder spool move`): its disk may be exchanged."""
    mount: str
    """The mount point it lay below."""
    volatile: bool = False
    """It was a RAM disk, which forgets its id."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where new recordings begin and who is out of use, as `ari-recorder spool move` left it."""

    begin_in: str | None = None
    """None: in the first folder that has room."""
    leaving: tuple[str, ...] = ()
    """Being emptied: no new recordings there."""
    left: tuple[str, ...] = ()
    """Emptied, and perhaps unmounted: not looked at."""
    extra: tuple[str, ...] = ()
    """Folders that the configuration does not name."""
    known: tuple[Known, ...] = ()


class Ledger:
    """Moves by recording. May be used from any thread."""

    def __init__(self, state: Path) -> None:
        self._folder = state / MOVES
        self._placement = state / PLACEMENT
        self._turn = threading.RLock()
        self._moves: dict[str, Move] = {}
        self.placement = Placement()

    def read(self) -> None:
        """PermanentError `spool.damaged` when a note cannot be read: which copy counts is never guessed."""
        with self._turn:
            self._moves = {}
            self.placement = _load(Placement, self._placement) or Placement()
            for path in sorted(self._folder.glob("[!.]*.json")):
                if (move := _load(Move, path)) is not None:
                    self._moves[move.recording] = move

    def place(self, placement: Placement) -> None:
        """Keep another placement, durably; OSError."""
        with self._turn:
            if placement != self.placement:
                _replace(self._placement, placement)
                self.placement = placement

    def know(self, known: Known) -> None:
        """Keep how a spool folder is now; OSError."""
        with self._turn:
            others = (each for each in self.placement.known if each.path != known.path)
            if known not in self.placement.known:
                self.place(replace(self.placement, known=(*others, known)))

    def move_of(self, recording_id: str) -> Move | None:
        return self._moves.get(recording_id)

    def moves(self) -> tuple[Move, ...]:
        with self._turn:
            return tuple(self._moves.values())

    def hides(self, root: Path, recording_id: str) -> bool:
        """What stands in `root` under this id does not count."""
        move = self._moves.get(recording_id)
        return move is not None and str(root) in move.stale

    def decide(self, move: Move) -> None:
        """From the return of this call on, the copy in the destination counts; what did not count before does
        not count now either. OSError."""
        with self._turn:
            before = self._moves.get(move.recording)
            older = (*move.also, *(before.stale if before is not None else ()))
            known = (move.source, move.destination)
            self._note(replace(move, also=tuple(r for r in dict.fromkeys(older) if r not in known)))

    def left(self, recording_id: str, root: str) -> None:
        """No copy stands in that spool folder any more; with the last one the note is struck. OSError."""
        with self._turn:
            if (move := self._moves.get(recording_id)) is None:
                return
            if stale := tuple(other for other in move.stale if other != root):
                self._note(replace(move, source=stale[0], also=stale[1:]))
            else:
                self.done(recording_id)

    def gone(self, recording_id: str) -> None:
        """The copy that counts is about to be removed for good; OSError. Nothing where nothing was moved."""
        with self._turn:
            if (move := self._moves.get(recording_id)) is not None:
                self._note(replace(move, gone=True))

    def done(self, recording_id: str) -> None:
        """No other copy stands anywhere any more; OSError."""
        with self._turn:
            if recording_id in self._moves:
                durable.remove(self._file(recording_id))
                durable.sync_folder(self._folder)
                del self._moves[recording_id]

    def _note(self, move: Move) -> None:
        durable.make_folders(self._folder)
        _replace(self._file(move.recording), move)
        self._moves[move.recording] = move

    def _file(self, recording_id: str) -> Path:
        return self._folder / f"{recording_id}.json"


def _replace(path: Path, value: object) -> None:
    """As `durable.write_atomically`, whose moments to be killed at are the journal's."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    durable.write_new(temporary, document.dump(value).encode(), 0o600)
    durable.publish(temporary, path)


def _load(kind: type[T], path: Path) -> T | None:
    try:
        return document.load(kind, path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise PermanentError(
            "spool.damaged",
            f"{path}, which says where recordings are, cannot be read: {error}.",
            remedy="Restore it from a backup of the state folder, or mend it: it is small, plain JSON.",
        ) from error
