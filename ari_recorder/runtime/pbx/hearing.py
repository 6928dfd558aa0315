"""What the recorder could not hear, stated and sealed: each gap becomes an entry of a statement.

`<state>/hearing.json` knows until when each PBX was heard, the gaps not stated yet, and the statement under
way, so that each gap is stated exactly once whatever dies in between. Times are the recorder's clock.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import structlog

from ...disk import durable
from ...evidence.chain import Chain
from ...model import document
from ...model.call import Direction, Party
from ...model.delivery import Delivery
from ...model.errors import RecorderError
from ...model.recording import Assembled, Call, Chosen, Recording, State
from ...model.statement import Entry, Kind
from ...spool.folders import RecordingFolder, Spool

FILE = "hearing.json"
BEAT = 2.0
"""Seconds between two notes of what is heard: a killed recorder's gap begins at most so much too early."""
APART = 60.0
"""Seconds between two statements: a connection that comes and goes must not flood the chain."""

MOST_GAPS = 200
"""Gaps of one PBX that are remembered apart while they cannot be stated; the closest ones become one then."""

AWAY, LOST = "recorder-away", "connection-lost"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Heard:
    """Until when a PBX was heard."""

    pbx: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A statement that is being put into the spool."""

    id: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """The document in `hearing.json`."""

    heard: tuple[Heard, ...] = ()
    gaps: tuple[Entry, ...] = ()
    outgoing: Outgoing | None = None


@dataclass(slots=True)
class _Ear:
    """One PBX."""

    heard_at: Callable[[], datetime | None] = lambda: None
    """The last proof that events arrive; None while they do not."""
    deaf_since: datetime | None = None
    connected_at: datetime | None = None
    in_this_life: bool = False
    """It was connected since this process began."""
    why: str = ""


@dataclass(slots=True)
class Hearing:
    """Used on the event loop; the disk is written in threads, one at a time.

    `targets`: names of the targets that statements are owed to. `submit` takes a statement's folder.
    """

    state: Path
    spool: Spool
    chain: Chain
    targets: Callable[[], tuple[str, ...]]
    submit: Callable[[RecordingFolder], None]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _ears: dict[str, _Ear] = field(default_factory=dict)
    _memory: Memory = field(default_factory=Memory)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def remember(self, pbxs: Mapping[str, object]) -> None:
        """What an earlier life left, of the PBXs that are still configured. Call it once, before `run`."""
        try:
            text = (self.state / FILE).read_text(encoding="utf-8")
            self._memory = document.load(Memory, text)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            log.error(f"{self.state / FILE}: {error}", action="hearing.unreadable")
        known = {heard.pbx: heard.until for heard in self._memory.heard}
        self._ears = {name: _Ear(deaf_since=known.get(name)) for name in pbxs}

    def connected(self, pbx: str, heard_at: Callable[[], datetime | None]) -> None:
        """Events of the PBX arrive from now on; `heard_at` tells of each that did."""
        ear = self._ears[pbx]
        if ear.deaf_since is not None:
            gap = self._gap(pbx, ear, self.clock())
            self._memory = replace(self._memory, gaps=bounded((*self._memory.gaps, gap), pbx))
            log.warning(gap.detail, action="pbx.gap", pbx=pbx, since=gap.at.isoformat())
        self._news.set()
        ear.deaf_since, ear.in_this_life, ear.why, ear.heard_at = None, True, "", heard_at
        ear.connected_at = self.clock()

    def lost(self, pbx: str, heard_at: datetime | None, why: str) -> None:
        """From the last proof of hearing on nothing is heard."""
        ear = self._ears[pbx]
        if ear.deaf_since is None and ear.in_this_life:
            ear.deaf_since = heard_at or ear.connected_at
        ear.why = ear.why or why
        ear.heard_at, ear.connected_at = (lambda: None), None

    def deaf_since(self, pbx: str) -> datetime | None:
        """Since when the PBX is not heard; None while it is, or when it never was."""
        return self._ears[pbx].deaf_since

    async def run(self) -> None:
        """Until cancelled."""
        stated_at, failing = -APART, False
        loop = asyncio.get_running_loop()
        while True:
            due = self._memory.gaps or self._memory.outgoing
            try:
                if due and loop.time() - stated_at >= APART:
                    resumed = self._memory.outgoing is not None
                    await self._state_gaps()
                    stated_at = stated_at if resumed else loop.time()
                else:
                    await self._note()
                failing = False
            except (RecorderError, OSError) as error:
                if not failing:
                    log.error(str(error), action="hearing.not-written")
                failing = True
            except Exception:  # recording does not depend on it
                if not failing:
                    log.exception("Gaps cannot be stated", action="hearing.defect")
                failing = True
            self._news.clear()
            try:
                async with asyncio.timeout(BEAT):
                    await self._news.wait()
            except TimeoutError:
                continue

    def _gap(self, pbx: str, ear: _Ear, now: datetime) -> Entry:
        since = min(ear.deaf_since or now, now)  # a clock may have been set back meanwhile
        seconds = (now - since).total_seconds()
        if ear.in_this_life:
            why = f"the connection was lost ({ear.why})" if ear.why else "the connection was lost"
        else:
            why = "the recorder was not running, or not connected yet"
        detail = f"for {seconds:.1f} s nothing of this PBX was heard: {why}"
        return Entry(Kind.GAP, pbx, since, now, LOST if ear.in_this_life else AWAY, detail)

    async def _note(self) -> None:
        heard = tuple(
            Heard(name, until)
            for name, ear in self._ears.items()
            if (until := ear.deaf_since or ear.heard_at() or ear.connected_at) is not None
        )
        await self._keep(replace(self._memory, heard=heard))

    async def _keep(self, memory: Memory) -> None:
        self._memory = memory
        await asyncio.to_thread(_write, self.state, document.dump(memory).encode())

    async def _state_gaps(self) -> None:
        await self._note()
        outgoing, waiting = self._memory.outgoing, self._memory.gaps
        if outgoing is None:
            outgoing = Outgoing(_id(waiting[0]), waiting)
            await self._keep(replace(self._memory, gaps=(), outgoing=outgoing))
        folder = await asyncio.to_thread(self._put, outgoing)
        await self._keep(replace(self._memory, outgoing=None))
        if folder is not None:
            self.submit(folder)

    def _put(self, outgoing: Outgoing) -> RecordingFolder | None:
        """Into the spool, unless an earlier life has done so."""
        if self.chain.link_of(outgoing.id) is not None:
            return None
        folder = self.spool.get(outgoing.id)
        return folder or self.spool.create(statement(outgoing, self.targets(), self.clock()))


def bounded(gaps: tuple[Entry, ...], pbx: str) -> tuple[Entry, ...]:
    """As many gaps as they were; of more than `MOST_GAPS` of one PBX, the two that lie closest are one."""
    own = [gap for gap in gaps if gap.pbx == pbx]
    if len(own) <= MOST_GAPS:
        return gaps
    first, second = min(pairwise(own), key=lambda two: two[1].at - (two[0].until or two[1].at))
    return tuple(merged(first, second) if gap is first else gap for gap in gaps if gap is not second)


def merged(first: Entry, second: Entry) -> Entry:
    """Two gaps that are stated as one: longer than both, and it says that some of it was heard."""
    detail = (
        "nothing of this PBX was heard for most or some of this time: the connection was lost again and "
        "again, too often to state each time"
    )
    return replace(first, until=second.until, reason=second.reason, detail=detail)


def statement(outgoing: Outgoing, targets: tuple[str, ...], now: datetime) -> Recording:
    """As the spool and its delivery take it: a recording without sound, assembled already."""
    first = outgoing.entries[0]
    return Recording(
        id=outgoing.id,
        state=State.ASSEMBLED,
        decided_at=now,
        call=Call(pbx=first.pbx, channel="", direction=Direction.INTERNAL, caller=Party(), callee=Party()),
        setting=Chosen("statement", "", targets=targets),
        assembled=Assembled((), now, 0.0, exact=True),
        deliveries=tuple(Delivery(target) for target in targets),
        statement=outgoing.entries,
    )


def _id(entry: Entry) -> str:
    """The same for the same gap, whoever states it."""
    about = f"{entry.pbx} {entry.at.isoformat()} {entry.until.isoformat() if entry.until else ''}"
    unique = hashlib.sha256(about.encode()).hexdigest()[:8]
    return f"{entry.at:%Y%m%dT%H%M%S}{entry.at.microsecond // 1000:03}-{unique}-{entry.kind}"


def _write(state: Path, data: bytes) -> None:
    """Durable, but past the fault points of `durable.write_atomically`: those count a recording's steps."""
    new = state / f".{FILE}.new"
    durable.remove(new)
    durable.write_new(new, data, mode=0o600)
    durable.publish(new, state / FILE)
