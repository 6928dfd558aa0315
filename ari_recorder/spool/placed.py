"""A recording's folder among several spool folders: it follows the recording when that is moved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..disk import durable
from ..disk.reserve import SIZE
from ..model.errors import RecorderError
from ..model.recording import Recording, State
from .folders import Locks, RecordingFolder
from .place import Place

if TYPE_CHECKING:
    from .places import Spools

KEPT = 4 * SIZE
"""Bytes that only journals may use."""
LEAVING = frozenset({State.SEALED, State.DELIVERING, State.DELIVERED})
"""States whose journals make room: the recording is on its way out."""


class PlacedFolder(RecordingFolder):
    """A recording's folder, in whichever spool folder it is now."""

    __slots__ = ("_spools",)

    def __init__(self, spools: Spools, recording_id: str, place: Place, locks: Locks) -> None:
        super().__init__(place.root, recording_id, locks)
        self._spools = spools

    @property
    def path(self) -> Path:
        return self._spools.home(self.id).root / self.id

    @property
    def hangs(self) -> bool:
        return self._spools.home(self.id).hangs

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._spools.at_work(self.id):
            yield

    def demand_room(self, wanted: int) -> None:
        self._spools.home(self.id).demand_room(KEPT, wanted)

    def load(self) -> Recording:
        recording = super().load()
        self._spools.seen(recording)
        return recording

    def save(self, recording: Recording) -> None:
        """As `RecordingFolder.save`; on a full disk the reserve is given up for it."""
        self._spools.seen(recording)
        with self._locks.of(self.id):
            place = self._spools.home(self.id)
            with self._spools.waits.at(place):
                self._save(recording, place)

    def _save(self, recording: Recording, place: Place) -> None:
        try:
            super().save(recording)
        except RecorderError as error:
            if not place.gave_room(error, last=recording.state in LEAVING):
                raise
            super().save(recording)

    def remove(self) -> None:
        with self._locks.of(self.id):
            with durable.explained(f"Removing {self.path}"):
                self._spools.ledger.gone(self.id)
            place = self._spools.home(self.id)
            super().remove()
            self._spools.forget(self.id)
            place.reserve.hold()
