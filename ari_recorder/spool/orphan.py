"""A recording made of legs whose journal is lost: what a person decides, and what is said to be unknown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ..asterisk.legs import LegStore
from ..disk import durable
from ..model.call import Party
from ..model.errors import PermanentError, TransientError
from ..model.recording import ORPHANED, Call, Chosen, Leg, Note, Recording, State
from .arrival import arriving
from .berth import berth, demand_all_in_reach
from .folders import JOURNAL, is_id, journal_bytes
from .places import Spools

YOUNG = timedelta(minutes=1)
"""Legs that were written so lately may be those of a call that runs, whose journal is somebody's."""


def orphaned(recording_id: str, pbx: str, setting: Chosen, now: datetime) -> Recording:
    """Its journal as far as it can be told. Which legs there are, their rates and times, tell the files."""
    told = begun_at(recording_id)
    detail = (
        f"the journal was lost; made of the legs on the PBX {pbx}. Parties, direction, channel, announcements"
        f" and the setting that decided are not known; a person chose the setting {setting.name}. The time of"
        f" the decision is that {'in its id' if told is not None else 'at which this was done'}"
    )
    return Recording(
        recording_id,
        State.CAPTURED,
        told or now,
        Call(pbx=pbx, channel="", direction=None, caller=Party(), callee=Party()),
        setting,
        notes=(Note(now, ORPHANED, detail),),
    )


def take_in(
    recording: Recording, spools: Spools, store: LegStore, tell: Callable[[str], None], now: datetime
) -> None:
    """Put it into the spool, where the recorder fetches its legs, seals and delivers it.

    PermanentError `spool.no-recording` or `spool.clash`, TransientError `spool.*` or `capture.no-legs`.
    """
    if not is_id(recording.id):
        raise PermanentError("spool.no-recording", f"{recording.id!r} is not an id of a recording.")
    demand_all_in_reach(spools)
    if spools.get(recording.id) is not None:
        raise PermanentError(
            "spool.clash", f"The recording {recording.id} has a journal: it is in the spool."
        )
    _demand_over(recording, store, now)
    with durable.explained(f"Taking in {recording.id}"):
        with arriving(berth(spools, recording.id, 0).root, recording.id) as new:
            durable.write_atomically(new / JOURNAL, journal_bytes(recording))
        tell(recording.id)


def begun_at(recording_id: str) -> datetime | None:
    """When it was decided, as the recorder puts it into its ids (UTC); None of an id from elsewhere."""
    stamp, _, _ = recording_id.partition("-")
    try:
        second = datetime.strptime(stamp[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        return second + timedelta(milliseconds=int(stamp[15:] or 0))
    except (ValueError, OverflowError):
        return None


def _demand_over(recording: Recording, store: LegStore, now: datetime) -> None:
    """There are legs, and none is of a call that runs (over ARI the fetch asks that, too)."""
    found = store.found(recording)
    if not found:
        raise PermanentError(
            "spool.no-recording",
            f"No legs of {recording.id} lie {store.place}.",
            remedy='"ari-recorder spool orphans" without an id lists what there is.',
        )
    legs = {Leg(f"ari-recorder/{recording.id}/{n}-{side}", ""): rate for (n, side), rate in found.items()}
    times = [store.written_at(leg, rate) for leg, rate in legs.items()]
    last = max((at for at in (*times, begun_at(recording.id)) if at is not None), default=None)
    if last is not None and now - last < YOUNG:
        raise TransientError(
            "capture.no-legs",
            f"The legs of {recording.id} were written a moment ago: a recorder may be at work on them.",
            remedy="Wait a minute. If they go on growing, another recorder records that call.",
        )
