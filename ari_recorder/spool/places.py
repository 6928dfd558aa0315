"""The spool folders as one spool: the first, a second on another disk or a RAM disk, others in maintenance.

`Spools` can do what a `Spool` can. A recording is in one folder at a time; which one is told by the ledger
(`spool/ledger.py`) where more than one copy stands. A folder that cannot be reached or written is left out
and looked at again; its recordings come back with it. Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import heapq
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Self

import structlog

from ..disk import durable
from ..model.errors import PermanentError, RecorderError, TransientError
from ..model.recording import Recording, State
from .folders import RecordingFolder, Spool
from .glance import glance
from .ledger import Known, Ledger, Move
from .place import Place, clear_arrivals
from .placed import PlacedFolder
from .relocation import carry, settle
from .waits import Waits, open_in_time

log = structlog.get_logger(__name__)

PRIMARY, SECOND = "primary", "second"


class Moved(StrEnum):
    DONE = "done"
    BUSY = "busy"
    """Somebody works in it now; again later."""
    GONE = "gone"
    """It is no longer where it was: delivered, or moved already."""


class Spools(Spool):
    """`places` in the order in which new recordings try them, `root` the first. Reading needs no `open()`."""

    def __init__(
        self, primary: Path, *, state: Path, second: Path | None = None, stop_at_free: int = 0
    ) -> None:
        super().__init__(primary)
        self.ledger = Ledger(state)
        self.waits = Waits()
        self.places = [Place(PRIMARY, primary)]
        if second is not None:
            self.places.append(Place(SECOND, second))
        self.stop_at_free = stop_at_free
        self._opened = False
        self._guard = threading.RLock()
        self._homes: dict[str, Place] = {}
        """Recordings that are not in the first folder."""
        self._begun: set[str] = set()
        """Recordings that are DECIDED still and are not new: a copy may stand in a folder that is out."""
        self._at_work: Counter[str] = Counter()

    # -- opening -------------------------------------------------------------------------------------------

    def open(self) -> Self:
        """Open every folder that can be, and finish moves that a crash interrupted.

        PermanentError `spool.in-use`, `spool.damaged`, or the first folder's error when none can be used; a
        disk that is merely full is no reason not to begin, for delivery frees it. One that hangs is waited
        for `waits.OPENING` seconds, and counts as back when it has answered.
        """
        self._read_ledger()
        try:
            for place in self._watched():
                with suppress(TransientError, PermanentError):
                    open_in_time(place, self._open)
            errors = [place.error for place in self._watched() if place.error is not None]
            in_use = [error for error in errors if error.code == "spool.in-use"]
            full = any(error.code == "spool.full" for error in errors)
            if in_use or (errors and not full and not any(place.ready for place in self.places)):
                raise (in_use or errors)[0]
        except BaseException:
            self.close()
            raise
        self._opened = True
        self.settle()
        return self

    def close(self) -> None:
        for place in self.places:
            place.close()

    def look_again(self) -> list[RecordingFolder]:
        """Look at every folder, one after the other, and settle; the recordings to be taken up again."""
        back = [folder for place in self._watched() for folder in self.look_at(place)]
        return back + self.settle()

    def look_at(self, place: Place) -> list[RecordingFolder]:
        """Look at one folder; its recordings when it is back, to be taken up again. No other is touched."""
        if place.hangs or place not in self._watched():
            return []  # another look would hang as well, or it was left meanwhile
        back, place.returned = place.returned or not place.ready, False
        try:
            if place.ready:
                place.look()
                self._keep_reserve(place)
            else:
                self._open(place)
            return [self._placed(name, place) for name in self.names(place)] if back else []
        except RecorderError as error:
            self._fail(place, error)
        return []

    def settle(self) -> list[RecordingFolder]:
        """Finish moves that were interrupted; recordings of which an older copy counts again."""
        back = settle(self.ledger, self.places, self._locks)
        return [self._placed(recording_id, place) for recording_id, place in back]

    # -- what a Spool can ----------------------------------------------------------------------------------

    def create(self, recording: Recording) -> RecordingFolder:
        """A new recording's folder in the first place that takes it, durable when this returns.

        A new one (DECIDED) begins only where `stop_at_free` bytes are free; one whose call is being recorded
        already is kept wherever there is any room. TransientError `spool.full`, PermanentError
        `spool.unusable`, ValueError as `Spool.create`.
        """
        with self._locks.of(recording.id):
            return self._create_somewhere(recording)

    def _create_somewhere(self, recording: Recording) -> RecordingFolder:
        if self.get(recording.id) is not None:
            raise ValueError(f"recording {recording.id} exists already")
        new = recording.state is State.DECIDED
        errors: list[RecorderError] = []
        for place in self._order(new):
            try:
                with self.waits.at(place):
                    self._create(place, recording, new=new)
            except RecorderError as error:
                errors.append(error)
                if error.code != "spool.full":
                    self._fail(place, error)
                if (place.root / recording.id).exists():
                    raise  # it stands there, if not durably: a second one must not stand elsewhere
            else:
                return self._placed(recording.id, place)
        full = [error for error in errors if error.code == "spool.full"]
        raise (full or errors or [self._unusable()])[0]

    def get(self, recording_id: str) -> RecordingFolder | None:
        """The folder of a recording; None when there is none, or where it cannot be reached.

        No other folder is asked where it is in the one it was in last: another's disk may hang.
        """
        home = self.home(recording_id)
        for place in sorted(self._readable(), key=lambda each: each is not home):
            if self.ledger.hides(place.root, recording_id):
                continue
            with self.waits.at(place):
                if place.spool.get(recording_id) is not None:
                    return self._placed(recording_id, place)
        return None

    def handle(self, recording_id: str) -> RecordingFolder:
        """The folder of a recording that was journalled just now; no disk is looked at."""
        return PlacedFolder(self, recording_id, self.home(recording_id), self._locks)

    @property
    def whole(self) -> bool:
        """Every folder can be reached: a recording that is not found is nowhere."""
        return all(place.ready for place in self._watched())

    def all(self) -> Iterator[RecordingFolder]:
        """Every recording's folder in the order of the ids, nothing read yet: cheap for 20 000."""
        merged = heapq.merge(*(self._listed(place) for place in self._readable()), key=lambda each: each[0])
        last = ""
        for name, place in merged:
            if name == last:
                self.damaged[name] = _twice(name, place)
                continue
            last = name
            yield self._placed(name, place)

    def states(self) -> Iterator[tuple[RecordingFolder, State | None]]:
        """As `Spool.states`."""
        for folder in self.all():
            yield folder, glance(str(folder.path / "recording.json"), folder.id)

    def in_use(self) -> list[Place]:
        """The folders that were not left, the best for a new recording first; none need be open here."""
        if not self._opened:
            self._read_ledger()
        return sorted(self._watched(), key=self._rank)

    def known(self, place: Place) -> Known | None:
        """How a folder was when last in use."""
        return next((k for k in self.ledger.placement.known if k.path == str(place.root)), None)

    # -- moving --------------------------------------------------------------------------------------------

    def move(self, recording_id: str, destination: Place, floor: int | None = None) -> Moved:
        """Bring a recording whose call is over into another folder; errors as `relocation.carry`.

        `floor` bytes are left free there; by default as many as a new recording needs.
        """
        with self._locks.of(recording_id):
            source = self._whereabouts(recording_id)
            if source is None or source is destination:
                return Moved.GONE
            if self._at_work[recording_id]:
                return Moved.BUSY
            destination.demand_ready()
            try:
                carry(
                    recording_id, source, destination, self.ledger,
                    self.stop_at_free if floor is None else floor,
                )  # fmt: skip
            finally:
                counts = self.ledger.hides(source.root, recording_id)
                if counts or not (source.root / recording_id).exists():
                    self._placed(recording_id, destination)
            return Moved.DONE

    # -- for the folders -----------------------------------------------------------------------------------

    def home(self, recording_id: str) -> Place:
        """Where a recording is, or would be looked for."""
        return self._homes.get(recording_id, self.places[0])

    def forget(self, recording_id: str) -> None:
        self._begun.discard(recording_id)
        with self._guard:
            self._homes.pop(recording_id, None)

    def seen(self, recording: Recording) -> None:
        """It stands somewhere, or may from now on; past its decision its state tells that."""
        if recording.state is State.DECIDED:
            self._begun.add(recording.id)
        else:
            self._begun.discard(recording.id)

    @contextmanager
    def at_work(self, recording_id: str) -> Iterator[None]:
        """Nobody moves the recording while this lasts."""
        with self._locks.of(recording_id), self._guard:
            self._at_work[recording_id] += 1
        try:
            yield
        finally:
            with self._guard:
                self._at_work[recording_id] -= 1
                if not self._at_work[recording_id]:
                    del self._at_work[recording_id]

    def names(self, place: Place) -> list[str]:
        """The recordings that are in a folder, by id."""
        return [f.id for f in place.spool.all() if not self.ledger.hides(place.root, f.id)]

    def use(self, place: Place) -> None:
        """Open a folder, also one that the configuration does not name; RecorderError when it cannot be."""
        if not place.ready:
            self._open(place)
        place.demand_ready()
        if place not in self.places:
            self.places.append(place)

    # -- inside --------------------------------------------------------------------------------------------

    def _read_ledger(self) -> None:
        """And the folders that are only known from it."""
        self.ledger.read()
        placement = self.ledger.placement
        roots = [*placement.extra, *(move.destination for move in self.ledger.moves())]
        for root in dict.fromkeys([*roots, placement.begin_in] if placement.begin_in else roots):
            if root not in {str(place.root) for place in self.places}:
                self.places.append(Place(root, Path(root)))

    def _watched(self) -> list[Place]:
        left = self.ledger.placement.left
        return [place for place in self.places if str(place.root) not in left]

    def _open(self, place: Place) -> None:
        """Harmless when it is open, and while it hangs: its lock is held still."""
        with place.opening:
            if not place.ready and not place.hangs:
                self._open_now(place)

    def _open_now(self, place: Place) -> None:
        place.open(self.known(place))
        if place.id:
            with suppress(OSError):
                self.ledger.know(place.known)
        coming = (m.recording for m in self.ledger.moves() if m.destination == str(place.root))
        clear_arrivals(place.root, frozenset(coming))
        self._keep_reserve(place)

    def _keep_reserve(self, place: Place) -> None:
        """Made again only where there is plenty, so that it does not come and go with every journal."""
        if not place.reserve.held and (facts := place.space()).free > facts.floor(self.stop_at_free):
            place.reserve.hold()

    def _fail(self, place: Place, error: RecorderError) -> None:
        if place.fail(error):
            log.error(str(error), action="spool.left-out", folder=str(place.root), code=error.code)

    def _order(self, new: bool) -> Iterator[Place]:
        """Where a recording may begin, the best first; a folder that is being left takes a new one only where
        no other can be used, also when that shows while others are tried."""
        leaving = self.ledger.placement.leaving
        ready = sorted((place for place in self.places if place.ready), key=self._rank)
        staying = [place for place in ready if str(place.root) not in leaving]
        yield from staying
        if not new or not any(place.ready for place in staying):
            yield from (place for place in ready if str(place.root) in leaving)

    def _rank(self, place: Place) -> tuple[bool, bool]:
        placement, root = self.ledger.placement, str(place.root)
        return (root != placement.begin_in, root in placement.leaving)

    def _create(self, place: Place, recording: Recording, *, new: bool) -> None:
        if new:
            place.demand_room(self.stop_at_free)
        if not new or recording.id in self._begun:
            with durable.explained("Noting where the recording is"):
                self._decide_for(place, recording.id)
        self.seen(recording)
        try:
            place.spool.create(recording)
        except RecorderError as error:
            if new or not place.gave_room(error):
                raise
            place.spool.create(recording)

    def _decide_for(self, place: Place, recording_id: str) -> None:
        """The copy that is about to be made in `place` counts, whatever else there is; OSError.

        It began somewhere: where that is out of reach, its copy does not count when it comes back. One that
        did not count before is in the way here, and goes.
        """
        if self.ledger.hides(place.root, recording_id):
            place.drop(recording_id)
            self.ledger.left(recording_id, str(place.root))
        out = [str(p.root) for p in self._watched() if not p.ready]
        if out:
            move = Move(recording_id, out[0], str(place.root), place.id, also=tuple(out[1:]))
            with self.waits.elsewhere():  # on the state folder's disk
                self.ledger.decide(move)

    def _readable(self) -> list[Place]:
        if self._opened:
            return [place for place in self.places if place.ready]
        self._read_ledger()
        return [p for p in self._watched() if p.root.is_dir() and p.mounted(self.known(p))]

    def _listed(self, place: Place) -> Iterable[tuple[str, Place]]:
        return ((name, place) for name in self.names(place))

    def _whereabouts(self, recording_id: str) -> Place | None:
        return next(
            (
                place
                for place in self.places
                if place.readable()
                and not self.ledger.hides(place.root, recording_id)
                and place.spool.get(recording_id) is not None
            ),
            None,
        )

    def _placed(self, recording_id: str, place: Place) -> RecordingFolder:
        with self._guard:
            if place is self.places[0]:
                self._homes.pop(recording_id, None)
            else:
                self._homes[recording_id] = place
        return PlacedFolder(self, recording_id, place, self._locks)

    def _unusable(self) -> RecorderError:
        errors = [place.error for place in self.places if place.error is not None]
        return (errors or [PermanentError("spool.unusable", "No spool folder takes new recordings now.")])[0]


def _twice(name: str, place: Place) -> PermanentError:
    return PermanentError(
        "spool.damaged",
        f"The recording {name} stands in more than one spool folder; the one in {place.root} is not used.",
        remedy="Compare the two, and move one of them away.",
    )
