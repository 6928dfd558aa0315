"""Legs on a PBX that nobody will ever fetch: no journal in the spool knows of their recording.

The spool was lost, or another recorder's spool holds the journal; or a leg went on growing after it had been
fetched and sealed, and was therefore not deleted. They are never deleted, and told of as the
condition `orphans:<PBX>`. A leg whose recording the spool knows joins it (`asterisk/legs.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from ...asterisk.ari.client import AriClient
from ...asterisk.legs import segment_of
from ...model.errors import RecorderError
from ...spool.lane import in_thread
from ..conditions import Conditions, Severity

LOOK_EVERY = 300.0
"""Seconds."""
ASK_EVERY = 86400.0
"""Seconds between two lists of Asterisk's: it goes through its whole folder, which may be large."""
NAMED = 3

FOLDER = "ari-recorder"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Orphans:
    """Looks at one PBX. `known` says whether a recording id is somebody's: in a spool, or running. It may
    block, and is called in a thread."""

    pbx: str
    folder: Path | None
    """Asterisk's recording folder where it is shared; else Asterisk is asked for its list."""
    client: AriClient
    known: Callable[[str], bool]
    conditions: Conditions

    async def run(self) -> None:
        """Until cancelled."""
        told: tuple[str, ...] = ()
        while True:
            pause = LOOK_EVERY if self.folder is not None else ASK_EVERY
            try:
                told = await self._look(told)
            except (RecorderError, OSError) as error:
                log.debug(str(error), action="legs.not-looked-at", pbx=self.pbx)
                pause = LOOK_EVERY
            await asyncio.sleep(pause)

    async def _look(self, told: tuple[str, ...]) -> tuple[str, ...]:
        if self.folder is not None:
            there = await in_thread(partial(in_folder, self.folder), "orphans")
        else:
            there = in_names(stored.name for stored in await self.client.recordings.list_stored())
        orphans = await in_thread(lambda: tuple(each for each in there if not self.known(each)), "orphans")
        key = f"orphans:{self.pbx}"
        if not orphans:
            self.conditions.end(key)
        elif orphans != told:
            sentence = _sentence(self.pbx, orphans)
            log.warning(sentence, action="legs.orphaned", pbx=self.pbx)
            remedy = (
                "They are kept. Adopt the spool that holds their journals (ari-recorder spool adopt), or have"
                " recordings made of them (ari-recorder spool orphans); if nobody misses them, delete them in"
                f" Asterisk's folder recording/{FOLDER}."
            )
            self.conditions.begin(key, "capture.orphans", sentence, remedy, Severity.WARNING)
        return orphans


def _sentence(pbx: str, orphans: tuple[str, ...]) -> str:
    more = f" and {len(orphans) - NAMED} more" if len(orphans) > NAMED else ""
    return f"On the PBX {pbx} lie legs that no journal knows of: {', '.join(orphans[:NAMED])}{more}."


def in_folder(folder: Path) -> tuple[str, ...]:
    """The ids of the recordings of which legs lie there. Blocking; OSError."""
    try:
        found = [path for path in (folder / FOLDER).iterdir() if path.is_dir()]
    except FileNotFoundError:
        return ()
    return tuple(sorted(path.name for path in found if any(segment_of(leg.stem) for leg in path.iterdir())))


def in_names(names: Iterable[str]) -> tuple[str, ...]:
    """The same from Asterisk's names of its stored files."""
    parts = (name.split("/") for name in names if segment_of(name) is not None)
    return tuple(sorted({part[1] for part in parts if len(part) == 3 and part[0] == FOLDER}))
