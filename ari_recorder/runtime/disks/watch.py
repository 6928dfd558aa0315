"""Watches the disks that recordings need: tells when they will be full, and looks after the spool folders.

Every few seconds, in a thread, for a disk may hang: how much is free, how fast that goes, whether a spool
folder has failed or is back. What was found becomes conditions (`disk:spool`, `disk:second-spool`,
`disk:pbx-NAME`, `disk:target-NAME`) and a report for `status`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from ...config.disk import DiskSettings
from ...config.targets import LocalTarget
from ...disk.forecast import IN_SPOOL, ON_PBX, Rate, forecast
from ...disk.space import space
from ...model.errors import RecorderError, TransientError
from ...model.recording import Recording, State
from ...rules.policy import Policy
from ...spool.folders import RecordingFolder
from ...spool.place import Place
from ...spool.places import Spools
from ..backlog import Backlog
from ..conditions import Conditions
from ..foundations import Foundations
from . import report as disk_report
from .report import DiskLine, DiskReport
from .verdict import Verdict, failed, judge, size

EVERY = 5.0
"""Seconds between two looks."""

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
    def condition(self) -> str:
        return f"disk:{self.key}"


@dataclass(frozen=True, slots=True)
class _Seen:
    disk: Disk
    line: DiskLine
    error: RecorderError | None


class DiskWatch:
    """`pbxs` are the recording folders that the recorder sees, `running` says how many recordings run on each
    PBX, `targets` gives local folders of targets (it is called in a thread); `back` is told of recordings
    whose spool folder is back.
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
        self._rates: dict[str, Rate] = {}
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
        back = await asyncio.to_thread(self._spools.look_again)
        seen = await asyncio.to_thread(self._measured, running)
        for one in seen:
            self._judge(one)
        self._end_others({one.disk.condition for one in seen})
        if back:
            log.info("A spool folder is back", action="disk.spool-back", recordings=len(back))
            self._back(await asyncio.to_thread(_sorted, back))
        report = DiskReport(
            datetime.now(UTC), tuple(one.line for one in seen), self._spools.ledger.placement.begin_in
        )
        try:
            await asyncio.to_thread(disk_report.write, self._state, report)
        except OSError as error:
            log.warning(str(error), action="disk.not-reported")

    def demand_room(self, recording: Recording) -> None:
        """TransientError `capture.disk-full` when Asterisk has no room for a new recording. Blocks.

        Without, its legs would be torn somewhere, and nobody could say where before the call is over.
        """
        folder = self._pbxs.get(recording.call.pbx)
        if folder is None or recording.state is not State.DECIDED or not folder.is_dir():
            return
        facts = space(folder)
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
        if seen.error is not None:
            others = any(place.ready for place in self._spools.places)
            verdict: Verdict | None = failed(seen.error, seen.disk.name, others)
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

    # -- measuring, in a thread --------------------------------------------------------------------------

    def _disks(self) -> Iterator[Disk]:
        names = {"primary": ("spool", "the spool"), "second": ("second-spool", "the second spool")}
        for place in list(self._spools.places):
            if str(place.root) not in self._spools.ledger.placement.left:
                key, name = names.get(place.name, (f"spool-{place.name}", "the spool"))
                yield Disk(key, name, place.root, place)
        for pbx, folder in self._pbxs.items():
            if folder.is_dir():
                yield Disk(f"{PBX}{pbx}", f'the recordings of PBX "{pbx}"', folder)
        for target, folder in self._targets().items():
            if folder.is_dir():
                yield Disk(f"{TARGET}{target}", f'the target "{target}"', folder)

    def _measured(self, running: Mapping[str, int]) -> list[_Seen]:
        disks = list(self._disks())
        known = _known(disks, running)
        return [self._seen(disk, known.get(_device(disk.folder), 0.0)) for disk in disks]

    def _seen(self, disk: Disk, known: float) -> _Seen:
        line = DiskLine(disk.key, str(disk.folder))
        error = disk.place.error if disk.place is not None and not disk.place.ready else None
        if error is None:
            try:
                facts = space(disk.folder)
            except RecorderError as unknown:
                error = unknown
        if error is not None:
            return _Seen(disk, replace(line, error=error.sentence), error)
        rate = self._rates.get(disk.key, Rate()).seen(self._clock(), facts.free)
        self._rates[disk.key] = rate
        floor = 0 if disk.key.startswith(TARGET) else facts.floor(self._settings.stop_bytes)
        found = forecast(rate, free=facts.free, total=facts.total, floor=floor, known=known)
        line = replace(
            line,
            free=facts.free,
            total=facts.total,
            files_free=facts.files_free,
            stop_at_free=floor,
            rate=round(max(0.0, found.rate), 1),
            hours=None if found.hours is None else round(found.hours, 2),
            volatile=disk.place is not None and disk.place.volatile,
        )
        return _Seen(disk, line, None)


def _sorted(folders: list[RecordingFolder]) -> Backlog:
    found = Backlog()
    for folder in folders:
        found.sort_in(folder, None)
    return found


def _known(disks: list[Disk], running: Mapping[str, int]) -> dict[int | None, float]:
    """Bytes a second by disk that the running recordings are known to need."""
    known: dict[int | None, float] = {}
    spool = next((disk for disk in disks if disk.place is not None and disk.place.ready), None)
    for disk in disks:
        need = ON_PBX * running.get(disk.key.removeprefix(PBX), 0) if disk.key.startswith(PBX) else 0
        need += IN_SPOOL * sum(running.values()) if disk is spool else 0
        known[_device(disk.folder)] = known.get(_device(disk.folder), 0.0) + need
    return known


def _device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:
        return None
