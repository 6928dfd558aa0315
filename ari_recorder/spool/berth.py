"""The spool folder for a recording that comes from elsewhere, chosen as the recorder chooses one for a call.

Whoever chooses need not have opened any: a recorder may work in them meanwhile. Blocks.
"""

from __future__ import annotations

from ..model.errors import PermanentError, RecorderError, TransientError
from .place import Place
from .places import SECOND, Spools


def berth(spools: Spools, recording_id: str, wanted: int) -> Place:
    """The best folder that takes `wanted` bytes and stays in use.

    TransientError `spool.full` or `spool.unusable` of the best one that does not, when none does.
    """
    errors: list[RecorderError] = []
    for place in spools.in_use():
        try:
            _demand_staying(spools, place, recording_id)
            place.demand_room(spools.stop_at_free, wanted)
        except RecorderError as error:
            errors.append(error)
        else:
            return place
    full = [error for error in errors if error.code == "spool.full"]
    raise (full or errors or [PermanentError("spool.unusable", "No spool folder is in use now.")])[0]


def demand_all_in_reach(spools: Spools) -> None:
    """A journal may lie where nobody can look now; TransientError `spool.unusable`."""
    for place in spools.in_use():
        place.demand_mounted(spools.known(place))


def _demand_staying(spools: Spools, place: Place, recording_id: str) -> None:
    """TransientError when what is put there would not count, or not for long."""
    place.demand_mounted(spools.known(place))
    if not place.root.is_dir():
        raise TransientError("spool.unusable", f"The spool folder {place.root} is not there.")
    placement, root = spools.ledger.placement, str(place.root)
    if root in placement.leaving:
        why = "it is being left"
    elif spools.ledger.hides(place.root, recording_id):
        why = "a copy that does not count any more may still stand there"
    elif place.name == SECOND and place.volatile and root != placement.begin_in:
        why = "it is a RAM disk, and nothing is in danger where it is"
    else:
        return
    raise TransientError(
        "spool.unusable",
        f"The spool folder {root} does not take the recording {recording_id} now: {why}.",
        remedy="Mount the recorder's other folder, or make room in it.",
    )
