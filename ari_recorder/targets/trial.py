"""Trying a target: write, read back, compare, rename, delete; each step timed, each fault in plain words.

Used by the command line, and by whoever else wants to offer a test button: `run` does the work in a thread of
its own and tells of each step as it begins and ends.
"""

from __future__ import annotations

import hashlib
import queue
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from ..config import targets as config
from ..config.targets.limits import SLOWEST
from ..disk.digest import digest
from ..disk.mounts import mount_of
from ..model.errors import IntegrityError, PermanentError, RecorderError, TransientError
from .base import Target, part_name
from .incomplete import usable, why_unusable
from .register import make_target
from .steps import Step, watched
from .symptoms import CLOCK_OFF, SYMPTOMS, UNGUARDED, Symptom, symptom_of
from .vault import Vault

SIZE = 1 << 20
"""Bytes of the test file."""

PATIENCE = 60.0
"""Seconds without any step after which a target counts as frozen, however patient its settings are; over a
network the test file has its time besides, on the slowest line that may be."""

CLOCK_MAY_DIFFER = 120.0
"""Seconds between the target's clock and ours that are not worth a word."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was done."""

    step: Step
    seconds: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault or a warning, for a person."""

    symptom: str
    """A name of `symptoms.SYMPTOMS`, or `other`."""
    says: str
    sentence: str
    remedy: str
    code: str
    step: Step | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a trial. The target works when there is no fault; warnings do not hinder it."""

    target: str
    steps: tuple[Taken, ...] = ()
    fault: Trouble | None = None
    warnings: tuple[Trouble, ...] = ()

    @property
    def works(self) -> bool:
        return self.fault is None


class Watcher:
    """Told of a trial's progress, in the thread that called `run`; does nothing by itself."""

    def begins(self, step: Step) -> None:
        """A step is under way now."""

    def ends(self, taken: Taken) -> None:
        """A step was done."""


@dataclass(slots=True)
class _Timeline:
    """The steps so far. They only go forward: a second connection for the same file is no news."""

    tell: Callable[[Step | Taken], None]
    clock: Callable[[], float] = time.monotonic
    now: Step | None = None
    since: float = 0.0
    taken: list[Taken] = field(default_factory=list)

    def at(self, step: Step) -> None:
        if self.now is not None:
            if _ORDER[step] <= _ORDER[self.now]:
                return
            self.done()
        self.now, self.since = step, self.clock()
        self.tell(step)

    def done(self) -> None:
        if self.now is not None:
            self.taken.append(Taken(self.now, self.clock() - self.since))
            self.tell(self.taken[-1])


_ORDER = {step: place for place, step in enumerate(Step)}


def utc_now() -> datetime:
    return datetime.now(UTC)


def run(
    settings: config.Target,
    watcher: Watcher | None = None,
    vault: Vault | None = None,
    *,
    prepare: bool = False,
    own: Path | None = None,
    clock: Callable[[], datetime] = utc_now,
    patience: float | None = None,
) -> Report:
    """Try a target. Raises nothing: what is wrong stands in the report.

    `vault` keeps the logins of some kinds. `prepare` first makes, and where wanted marks, its root. `own` is
    a folder of the recorder's, see `unguarded`. A target that holds its thread for ever, as a frozen mount
    does, is left alone after `patience` seconds; the thread ends when the mount lets it.
    """
    if not usable(settings):
        return Report(settings.name, fault=_trouble(settings.name, why_unusable(settings), None))
    news: queue.SimpleQueue[Step | Taken | Report] = queue.SimpleQueue()
    timeline = _Timeline(news.put)

    def work() -> None:
        news.put(_try(partial(make_target, settings, vault), settings.name, timeline, prepare, clock))

    threading.Thread(target=work, name=f"trial-{settings.name}", daemon=True).start()
    watcher = watcher or Watcher()
    patience = _patience(settings) if patience is None else patience
    while True:
        try:
            told = news.get(timeout=patience)
        except queue.Empty:
            return Report(
                settings.name, tuple(timeline.taken), _trouble(settings.name, _frozen(settings), timeline.now)
            )
        match told:
            case Report():
                guard = unguarded(settings, own) if own is not None and told.works else ()
                return replace(told, warnings=(*told.warnings, *guard))
            case Taken():
                watcher.ends(told)
            case _:
                watcher.begins(told)


def _try(
    make: Callable[[], Target],
    name: str,
    timeline: _Timeline,
    prepare: bool,
    clock: Callable[[], datetime],
) -> Report:
    warnings: list[Trouble] = []
    try:
        target = make()
    except Exception as error:
        return Report(name, fault=_trouble(name, _explained(error), None))
    fault: Trouble | None = None
    try:
        with watched(timeline.at), TemporaryDirectory(prefix="ari-recorder-") as folder:
            timeline.at(Step.CONNECT)
            if prepare:
                target.prepare()
            _steps(target, Path(folder) / "test", timeline, warnings, clock)
            timeline.done()
    except Exception as error:
        fault = _trouble(name, _explained(error), timeline.now)
    finally:
        with suppress(Exception):
            target.close()
    return Report(name, tuple(timeline.taken), fault, tuple(warnings))


def _steps(
    target: Target, source: Path, at: _Timeline, warnings: list[Trouble], clock: Callable[[], datetime]
) -> None:
    content = secrets.token_bytes(SIZE)
    source.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    path = PurePosixPath(f"ari-recorder-test-{secrets.token_hex(8)}.tmp")
    target.stat(path)
    at.at(Step.WRITE)
    try:
        target.put(source, path, sha256=sha256, size=SIZE)
        at.at(Step.FETCH)
        _compare(target, path, sha256)
        _look_at_clock(target, path, warnings, clock())
        at.at(Step.DELETE)
        _delete(target, path, warnings)
    except RecorderError as error:
        if error.code != "target.unreachable":  # to knock at that door again would only take its time
            _clear(target, path, sha256)
        raise


def _compare(target: Target, path: PurePosixPath, sha256: str) -> None:
    with target.open(path) as stream:
        if digest(stream) != (sha256, SIZE):
            raise IntegrityError(
                "target.mismatch", f'What target "{target.name}" gave back for {path} is not what was sent.'
            )


def _delete(target: Target, path: PurePosixPath, warnings: list[Trouble]) -> None:
    deleted = target.delete(path)
    try:
        gone = target.stat(path) is None
    except TransientError as error:
        if not deleted or error.code != "target.locked":
            raise
        # Windows keeps a deleted file until the last one who has it open lets go.
        locked = SYMPTOMS["locked"]
        sentence = f"{path} is deleted, and goes when the program that has it open lets go of it."
        warnings.append(_warning(locked, sentence, locked.remedy, Step.DELETE))
        return
    if not deleted or not gone:
        raise PermanentError(
            "target.denied", f'{path} still stands in target "{target.name}" after it was deleted.'
        )


def _look_at_clock(target: Target, path: PurePosixPath, warnings: list[Trouble], now: datetime) -> None:
    found = target.stat(path)
    if found is None or found.modified_at is None:
        return
    seconds = (found.modified_at - now).total_seconds()
    if abs(seconds) > CLOCK_MAY_DIFFER:
        how = "ahead of" if seconds > 0 else "behind"
        sentence = f'The clock of target "{target.name}" is {_span(abs(seconds))} {how} this machine\'s.'
        warnings.append(_warning(CLOCK_OFF, sentence, CLOCK_OFF.remedy, Step.FETCH))


def unguarded(settings: config.Target, own: Path) -> tuple[Trouble, ...]:
    """A warning when a folder that works lies on a disk that may be missing one day, and nothing would tell.

    `own` is a folder of the recorder's: what lies on the same disk is there whenever the recorder is.
    """
    if not isinstance(settings, config.LocalTarget) or settings.mount or settings.marked:
        return ()
    folder = settings.folder
    if folder is None or (point := mount_of(folder).point) in (Path("/"), mount_of(own).point):
        return ()
    sentence = f'Target "{settings.name}" would fill the empty folder {folder} while {point} is not mounted.'
    remedy = f"Run ari-recorder target test --prepare {settings.name} after adding to it: marked = true"
    if folder.is_relative_to(point):
        remedy = f'Add to the target in the policy: mount = "{point}"'
    return (_warning(UNGUARDED, sentence, remedy),)


def _warning(symptom: Symptom, sentence: str, remedy: str, step: Step | None = None) -> Trouble:
    return Trouble(symptom.name, symptom.says, sentence, remedy, "", step)


def _clear(target: Target, path: PurePosixPath, sha256: str) -> None:
    """Leave nothing behind, where that can be; on another connection where the first one broke."""
    for name in (part_name(path.name, sha256), path.name):
        try:
            target.delete(PurePosixPath(name))
        except RecorderError as error:
            if error.code == "target.unreachable":
                return


def _patience(settings: config.Target) -> float:
    """Seconds. A server is given up by its own kind long before, but for a line that is slow."""
    return PATIENCE if isinstance(settings, config.LocalTarget) else PATIENCE + SIZE / SLOWEST


def _trouble(name: str, error: RecorderError, step: Step | None) -> Trouble:
    symptom = symptom_of(error, step)
    remedy = symptom.remedy.replace("`", "").replace("NAME", name)
    if symptom.named and error.remedy:
        remedy = error.remedy
    return Trouble(symptom.name, symptom.says, error.sentence, remedy, error.code, step)


def _explained(error: Exception) -> RecorderError:
    if isinstance(error, RecorderError):
        return error
    return TransientError(
        "target.fault",
        f"The trial failed unexpectedly ({type(error).__name__}: {error}).",
        remedy="Please report it.",
    )


def _frozen(settings: config.Target) -> TransientError:
    return TransientError(
        "target.unreachable",
        f'Target "{settings.name}" ({settings.place}) fell silent in the middle of work.',
    )


def _span(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
