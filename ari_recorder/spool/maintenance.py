"""Leaving a spool folder while recordings come in: where new ones begin, and who is out of use afterwards.

What was ordered is kept in the ledger, so that it outlasts a restart. All of it blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..model.errors import PermanentError
from .place import Place
from .places import PRIMARY, SECOND, Spools


def place_for(spools: Spools, word: str) -> Place:
    """The folder that `primary`, `second` or a path names, opened; RecorderError when it cannot be."""
    place = next((p for p in spools.places if word in (p.name, str(p.root))), None)
    if place is None:
        if not word.startswith("/"):
            raise PermanentError(
                "config.reference",
                f'There is no spool folder "{word}".',
                remedy='Say primary, second (with "second_spool" in the configuration), or a whole path.',
            )
        place = Place(word, Path(word))
        _demand_apart(place.root, spools)
    spools.use(place)
    return place


def _demand_apart(root: Path, spools: Spools) -> None:
    """A spool folder inside another one would be taken for a recording."""
    for other in (place.root.resolve() for place in spools.places):
        if root.resolve().is_relative_to(other) or other.is_relative_to(root.resolve()):
            raise PermanentError(
                "config.value",
                f"{root} and the spool folder {other} lie one in the other.",
                remedy="Choose a folder beside it, best on another disk.",
            )


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Everything goes into `destination`. The second folder stays in use, should that one fill."""

    spools: Spools
    destination: Place

    def begin(self) -> None:
        """From now on new recordings begin there, and not in the folders that are to be left; OSError."""
        ledger, root = self.spools.ledger, str(self.destination.root)
        leaving = [
            place
            for place in self.spools.places
            if place is not self.destination
            and place.name != SECOND
            and str(place.root) not in ledger.placement.left
        ]
        ledger.place(
            replace(
                ledger.placement,
                begin_in=root,
                leaving=tuple(str(p.root) for p in leaving),
                left=tuple(other for other in ledger.placement.left if other != root),
                extra=tuple(str(p.root) for p in self.spools.places if p.name not in (PRIMARY, SECOND)),
            )
        )

    def remaining(self) -> list[str]:
        """Recordings that are still elsewhere, in folders that can at least be read; RecorderError when one
        that is to be left cannot, or when the destination cannot be used any more."""
        self._demand_reach()
        others = (p for p in self.spools.places if p is not self.destination and p.readable())
        return [name for place in others for name in self.spools.names(place)]

    def give_up(self) -> None:
        """Begin wherever there is room again, nobody is left; OSError."""
        ledger = self.spools.ledger
        ledger.place(replace(ledger.placement, begin_in=None, leaving=()))

    def end(self) -> tuple[Path, ...]:
        """Let go of the folders that were left; they may be unmounted when this returns.

        OSError; RecorderError as `remaining`.
        """
        self._demand_reach()
        ledger, going = self.spools.ledger, self._going()
        home = self.destination.name == PRIMARY
        stays = () if self.destination.name in (PRIMARY, SECOND) else (str(self.destination.root),)
        emptied = {str(p.root) for p in going}
        ledger.place(
            replace(
                ledger.placement,
                known=tuple(
                    replace(each, id="") if each.path in emptied else each for each in ledger.placement.known
                ),
                begin_in=None if home else str(self.destination.root),
                leaving=(),
                left=(*ledger.placement.left, *(str(p.root) for p in going if p.name == PRIMARY)),
                extra=stays,
            )
        )
        for place in going:
            place.reserve.remove()
            place.close()
            if place.name not in (PRIMARY, SECOND):
                self.spools.places.remove(place)
        return tuple(p.root for p in going)

    def _going(self) -> list[Place]:
        return [p for p in self.spools.places if str(p.root) in self.spools.ledger.placement.leaving]

    def _demand_reach(self) -> None:
        """What lies in a folder that does not answer, or is not mounted, would be forgotten with it; and none
        is left for one that takes nothing any more."""
        self.destination.demand_ready()
        for place in self._going():
            place.demand_readable()
