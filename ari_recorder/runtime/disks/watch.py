"""Watches the disks that recordings need: tells when they will be full, and looks after the spool folders.

Every few seconds, each disk in a thread of its own, for it may hang: how much is free, how fast that goes,
whether a spool folder has failed or is back. What was found becomes conditions (`disk:spool`,
`disk:second-spool`, `disk:pbx-NAME`, `disk:target-NAME`) and a report for `status`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from ...config.disk import DiskSettings
from ...config.targets import LocalTarget
from ...disk.forecast import IN_SPOOL, ON_PBX, Rate, forecast
from ...disk.space import Space, space
from ...model.errors import RecorderError, TransientError
from ...model.recording import Recording, State
from ...rules.policy import Policy
from ...spool.folders import RecordingFolder
from ...spool.place import Place
from ...spool.places import Spools
from ...spool.waits import leave_out
from ..backlog import Backlog
from ..conditions import Conditions
from ..foundations import Foundations
from . import report as disk_report
from .questions import PATIENCE, Questions
from .report import DiskLine, DiskReport
from .verdict import Verdict, failed, judge, silent, size

EVERY = 5.0
"""Seconds between two looks."""

HANGS = "it does not answer"
"""What is said of a disk that holds whoever touches it."""

PBX, TARGET = "pbx-", "target-"
"""How the keys of their disks begin."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder to be watched. `key` as in `DiskLine`."""

    key: str
    name: str
    """As a sentence calls it: "the spool"."""
    folder: Path
    place: Place | None = None
    """For spool folders."""

    @property
    def about(self) -> str:
        """What is asked and measured: a target's folder may be changed, and is another disk then."""
        return f"{self.key}:{self.folder}"

    @property
    def condition(self) -> str:
        return f"disk:{self.key}"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a disk says of itself."""

    facts: Space | None = None
    error: RecorderError | None = None
    """Why a spool folder is out of use; there are no facts then."""
    failure: str | None = None
    """What it gives instead of facts."""
    device: int | None = None
    volatile: bool = False
    back: Backlog | None = None
    """Recordings of a spool folder that is in use again."""


@dataclass(frozen=True, slots=True)
class _Seen:
    disk: Disk
    line: DiskLine
    error: RecorderError | None = None
    """Why a spool folder is out of use."""
    silent: bool = False


class DiskWatch:
    """`pbxs` are the recording folders that the recorder sees, `running` says how many recordings run on each
    PBX, `targets` gives local folders of targets; `back` is told of recordings whose spool folder is back.
    A spool folder that does not answer is left out until it does.
    """

    def __init__(
        self,
        spools: Spools,
        settings: DiskSettings,
        state: Path,
        conditions: Conditions,
        *,
        pbxs: Mapping[str, Path],
        running: Callable[[], Mapping[str, int]],
        targets: Callable[[], Mapping[str, Path]],
        back: Callable[[Backlog], None],
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        self._spools = spools
        self._settings = settings
        self._state = state
        self._conditions = conditions
        self._pbxs = pbxs
        self._running = running
        self._targets = targets
        self._back = back
        self._clock = clock
        self._questions = Questions(patience)
        self._rates: dict[str, Rate] = {}
        self._silent: set[Place] = set()
        """Spool folders that were left out here because they did not answer."""
        self._room: dict[str, Space | None] = {}
        """What Asterisk's recording folders had when last measured, by PBX."""
        self._told: set[str] = set()

    @classmethod
    def of(
        cls,
        base: Foundations,
        conditions: Conditions,
        running: Callable[[], Mapping[str, int]],
        policy: Callable[[], Policy],
        back: Callable[[Backlog], None],
    ) -> DiskWatch:
        """The watch of a recorder."""
        machine = base.machine
        seen = {name: pbx.recording_folder for name, pbx in machine.pbx.items()}
        return cls(
            base.spool,
            machine.disk,
            machine.recorder.state,
            conditions,
            pbxs={name: folder for name, folder in seen.items() if folder is not None},
            running=running,
            targets=lambda: {
                t.name: Path(t.folder) for t in policy().targets if isinstance(t, LocalTarget) and t.folder
            },
            back=back,
        )

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # recording does not depend on it
                log.exception("The disks could not be looked at", action="disk.defect")
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Once: measure, judge, tell."""
        running = dict(self._running())
        disks = list(self._disks())
        answers = await asyncio.gather(*map(self._asked, disks))
        there = [
            (disk, answer) for disk, answer in zip(disks, answers, strict=True) if answer is not _NOWHERE
        ]
        await self._settle()
        known = _known(there, running)
        seen = [self._seen(disk, answer, known) for disk, answer in there]
        for one in seen:
            self._judge(one)
        self._end_others({one.disk.condition for one in seen})
        await self._report(seen)

    async def _asked(self, disk: Disk) -> _Answer | None:
        """None when it does not answer."""
        try:
            answer = await self._questions.ask(disk.about, partial(self._answer, disk))
        except TimeoutError:
            self._leave_out(disk.place)
            return None
        if disk.place in self._silent:
            # Its answer is old: whether it is in use again, and what comes back with it, the next look tells.
            self._silent.remove(disk.place)
            disk.place.answers()
            return None
        if disk.key.startswith(PBX):
            self._room[disk.key.removeprefix(PBX)] = answer.facts
        if answer.back is not None:
            log.info("A spool folder is back", action="disk.spool-back", folder=str(disk.folder))
            self._back(answer.back)
        return answer

    def _leave_out(self, place: Place | None) -> None:
        """Whoever reads or delivers from there would wait as well."""
        if place is not None and not place.hangs:
            leave_out(place)
            self._silent.add(place)

    async def _settle(self) -> None:
        """A folder that hangs holds this up, and is told of as such."""
        with suppress(TimeoutError):
            if (back := await self._questions.ask("moves", self._settled)) is not None:
                self._back(back)

    async def _report(self, seen: list[_Seen]) -> None:
        report = DiskReport(
            datetime.now(UTC), tuple(one.line for one in seen), self._spools.ledger.placement.begin_in
        )
        try:
            await self._questions.ask("report", partial(disk_report.write, self._state, report))
        except OSError as error:  # TimeoutError is one
            log.warning(str(error) or "The state folder does not answer", action="disk.not-reported")

    def demand_room(self, recording: Recording) -> None:
        """TransientError `capture.disk-full` when Asterisk had no room for a new recording at the last look.
        From any thread; no disk is touched, for it may hang.

        Without, its legs would be torn somewhere, and nobody could say where before the call is over.
        """
        folder, facts = self._pbxs.get(recording.call.pbx), self._room.get(recording.call.pbx)
        if folder is None or facts is None or recording.state is not State.DECIDED:
            return
        floor = facts.floor(self._settings.stop_bytes)
        if facts.free < floor:
            raise TransientError(
                "capture.disk-full",
                f"{size(facts.free)} are free in Asterisk's recording folder {folder}, and {size(floor)} "
                "have to be.",
                remedy="Free space on that disk; the recorder clears its own raw files once it can seal.",
            )

    # -- telling -----------------------------------------------------------------------------------------

    def _judge(self, seen: _Seen) -> None:
        key = seen.disk.condition
        known = self._conditions.get(key)
        verdict: Verdict | None
        if seen.silent:
            verdict = silent(seen.disk.name, seen.line.folder, seen.line.error or HANGS)
        elif seen.error is not None:
            others = any(place.ready for place in self._spools.places)
            verdict = failed(seen.error, seen.disk.name, others)
        else:
            before = known.severity if known is not None else None
            verdict = judge(seen.line, seen.disk.name, self._settings, before)
        if verdict is None:
            self._conditions.end(key)
        else:
            self._conditions.begin(key, verdict.code, verdict.sentence, verdict.remedy, verdict.severity)

    def _end_others(self, keys: set[str]) -> None:
        """Of folders that are no longer watched, for they were left or are not configured any more."""
        for key in self._told - keys:
            self._conditions.end(key)
        self._told = keys

    # -- measuring ---------------------------------------------------------------------------------------

    def _disks(self) -> Iterator[Disk]:
        names = {"primary": ("spool", "the spool"), "second": ("second-spool", "the second spool")}
        for place in list(self._spools.places):
            if str(place.root) not in self._spools.ledger.placement.left:
                key, name = names.get(place.name, (f"spool-{place.name}", "the spool"))
                yield Disk(key, name, place.root, place)
        for pbx, folder in self._pbxs.items():
            yield Disk(f"{PBX}{pbx}", f'the recordings of PBX "{pbx}"', folder)
        for target, folder in self._targets().items():
            yield Disk(f"{TARGET}{target}", f'the target "{target}"', folder)

    def _answer(self, disk: Disk) -> _Answer:
        """In the disk's own thread; of a spool folder also whether it has failed or is back."""
        place, back = disk.place, None
        try:
            if place is None and not disk.folder.is_dir():
                return _NOWHERE
            if place is not None:
                back = _sorted(self._spools.look_at(place))
                if not place.ready and place.error is not None:
                    return _Answer(error=place.error, back=back)
            facts, device = space(disk.folder), disk.folder.stat().st_dev
        except (OSError, RecorderError) as error:
            said = error.strerror if isinstance(error, OSError) else None
            return _Answer(failure=said or str(error), back=back)
        return _Answer(facts, device=device, volatile=place is not None and place.volatile, back=back)

    def _settled(self) -> Backlog | None:
        return _sorted(self._spools.settle())

    def _seen(self, disk: Disk, answer: _Answer | None, known: Mapping[int | None, float]) -> _Seen:
        line = DiskLine(disk.key, str(disk.folder))
        if answer is not None and answer.error is not None:
            return _Seen(disk, replace(line, error=answer.error.sentence), answer.error)
        if answer is None or (facts := answer.facts) is None:
            failure = HANGS if answer is None else answer.failure
            return _Seen(disk, replace(line, error=failure), silent=True)
        rate = self._rates.get(disk.about, Rate()).seen(self._clock(), facts.free)
        self._rates[disk.about] = rate
        floor = 0 if disk.key.startswith(TARGET) else facts.floor(self._settings.stop_bytes)
        found = forecast(
            rate,
            free=facts.free,
            total=facts.total,
            floor=floor,
            known=known.get(answer.device, 0.0),
        )
        line = replace(
            line,
            free=facts.free,
            total=facts.total,
            files_free=facts.files_free,
            stop_at_free=floor,
            rate=round(max(0.0, found.rate), 1),
            hours=None if found.hours is None else round(found.hours, 2),
            volatile=answer.volatile,
        )
        return _Seen(disk, line)


_NOWHERE = _Answer()
"""There is no such folder here: legs come through ARI, or a target's disk is not mounted."""


def _sorted(folders: list[RecordingFolder]) -> Backlog | None:
    if not folders:
        return None
    found = Backlog()
    for folder in folders:
        found.sort_in(folder, None)
    return found


def _known(there: list[tuple[Disk, _Answer | None]], running: Mapping[str, int]) -> dict[int | None, float]:
    """Bytes a second by device that the running recordings are known to need."""
    known: dict[int | None, float] = {}
    spool = next((disk for disk, _ in there if disk.place is not None and disk.place.ready), None)
    for disk, answer in there:
        if answer is None:
            continue
        need = ON_PBX * running.get(disk.key.removeprefix(PBX), 0) if disk.key.startswith(PBX) else 0
        need += IN_SPOOL * sum(running.values()) if disk is spool else 0
        known[answer.device] = known.get(answer.device, 0.0) + need
    return known
