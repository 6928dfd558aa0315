"""One attempt to bring one recording to one target. Blocks; runs in a thread of its own."""

from __future__ import annotations

import random as chance
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import structlog

from ..disk.digest import digest_of
from ..disk.faults import fault_point
from ..model.delivery import Delivery, DeliveryState, Receipt
from ..model.errors import IntegrityError, RecorderError, TransientError
from ..model.evidence import Sealed, SealedFile
from ..model.recording import Recording, State
from ..targets import paths
from ..targets.base import Target
from ..targets.pace import Pace, paced
from .folders import RecordingFolder
from .retry import Pauses, Verdict, decide
from .under_way import UnderWay

log = structlog.get_logger(__name__)

DELIVERABLE = frozenset({State.SEALED, State.DELIVERING})


def utc_now() -> datetime:
    return datetime.now(UTC)


def no_certificate(_sha256: str) -> Path | None:
    return None


@dataclass(frozen=True, slots=True)
class Terms:
    """What every attempt needs besides the recording: injected, so that tests can turn the clock."""

    certificate: Callable[[str], Path | None] = no_certificate
    """The sealing certificate's file by `Sealed.certificate_sha256`; None when there is none to deliver."""
    clock: Callable[[], datetime] = utc_now
    random: Callable[[], float] = chance.random
    pauses: Pauses = field(default_factory=Pauses)
    under_way: UnderWay = field(default_factory=UnderWay)
    abandoned: threading.Event = field(default_factory=threading.Event)
    """Set when the process no longer answers for its spool: an attempt may then write nothing more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`recording` as journalled after the attempt; None when its folder is gone."""

    recording: Recording | None
    error: RecorderError | None = None
    verdict: Verdict | None = None


class AbandonedError(Exception):
    """The delivery was closed while this attempt was under way; nothing more may be written."""


class Attempt:
    def __init__(
        self,
        folder: RecordingFolder,
        target: Target,
        terms: Terms,
        *,
        target_failures: int = 0,
        certified: set[str] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._folder = folder
        self._target = target
        self._terms = terms
        self._target_failures = target_failures
        self._certified = set() if certified is None else certified
        self._pace = pace
        self._receipts: dict[str, Receipt] = {}
        self._log = log.bind(recording=folder.id, target=target.name)

    def run(self) -> Outcome:
        """Deliver what is missing, journal the result, and remove the folder when it was the last."""
        with self._folder.held():
            return self._run()

    def _run(self) -> Outcome:
        fault_point("delivery.begin")
        try:
            recording = self._folder.load()
        except RecorderError as error:
            if not self._folder.path.exists():
                return Outcome(None)
            return self._outcome_unwritten(error, None)
        if recording.state not in DELIVERABLE or recording.sealed is None:
            return Outcome(recording)
        try:
            with paced(self._pace):
                recording = self._deliver(recording, recording.sealed)
        except AbandonedError:
            raise
        except RecorderError as error:
            return self._failed(error, recording)
        except Exception as error:  # a target may break its contract; the recording must not suffer
            self._log.exception("The target failed unexpectedly", action="delivery.fault")
            return self._failed(_unknown(error), recording)
        if recording.state is State.DELIVERED:
            discard(self._folder)
        return Outcome(recording)

    def _deliver(self, recording: Recording, sealed: Sealed) -> Recording:
        recording = self._begun(recording)
        delivery = self._delivery(recording)
        if delivery.state is not DeliveryState.DELIVERED:
            place = PurePosixPath(delivery.folder or ".")
            self._receipts = {PurePosixPath(receipt.path).name: receipt for receipt in delivery.receipts}
            self._certify(sealed.certificate_sha256)
            for file in sealed.files:
                if file.name not in self._receipts:
                    self._receipts[file.name] = self._put(file, place / file.name)
            fault_point("delivery.confirmed")
            recording = self._update(self._delivered)
            self._log.info("Delivered", action="delivery.done", folder=delivery.folder)
            fault_point("delivery.journalled")
        return recording

    def _begun(self, recording: Recording) -> Recording:
        """The recording with its delivery begun: the folder in the target is fixed before all else."""
        delivery = recording.delivery(self._target.name)
        if recording.state is State.DELIVERING and delivery is not None and delivery.folder is not None:
            return recording
        place = str(paths.folder(self._target.path_template, recording))
        recording = self._update(lambda now: _with(_delivering(now), self._delivery(now), folder=place))
        self._log.info("Delivery begins", action="delivery.begin", folder=place)
        fault_point("delivery.folder")
        return recording

    def _certify(self, sha256: str) -> None:
        """Put the certificate into the target's root, so that an archive can be checked by itself."""
        if sha256 in self._certified:
            return
        if (file := self._terms.certificate(sha256)) is not None:
            content, size = digest_of(file)
            name = paths.certificate_name(sha256)
            with self._terms.under_way.putting(self._folder.id, self._target):
                self._target.put(file, PurePosixPath(name), sha256=content, size=size)
        self._certified.add(sha256)

    def _put(self, file: SealedFile, path: PurePosixPath) -> Receipt:
        source = self._folder.path / file.name
        with self._terms.under_way.putting(self._folder.id, self._target):
            receipt = self._target.put(source, path, sha256=file.sha256, size=file.bytes)
        if (receipt.bytes, receipt.sha256) != (file.bytes, file.sha256):
            raise IntegrityError("target.mismatch", f"The receipt for {path} is for something else.")
        self._log.info("File confirmed", action="delivery.file", path=receipt.path, bytes=receipt.bytes)
        fault_point("delivery.file")
        return receipt

    def _delivered(self, now: Recording) -> Recording:
        now = _with(
            now,
            self._delivery(now),
            state=DeliveryState.DELIVERED,
            attempts=self._delivery(now).attempts + 1,
            receipts=tuple(self._receipts.values()),
            next_try_at=None,
            error_code=None,
            error=None,
        )
        return now.moved(State.DELIVERED) if complete(now) else now

    def _failed(self, error: RecorderError, recording: Recording) -> Outcome:
        attempts = self._delivery(recording).attempts + 1
        verdict = self._decide(error, attempts)

        def change(now: Recording) -> Recording:
            if self._delivery(now).state is DeliveryState.DELIVERED:
                return now  # another attempt was faster: what is confirmed stays so
            return _with(
                now,
                self._delivery(now),
                state=verdict.state,
                attempts=attempts,
                receipts=tuple(self._receipts.values()),
                next_try_at=verdict.next_try_at,
                error_code=error.code,
                error=str(error),
            )

        self._log.warning(
            error.sentence,
            action="delivery.blocked" if verdict.state is DeliveryState.BLOCKED else "delivery.failed",
            code=error.code,
            attempts=attempts,
            next_try_at=verdict.next_try_at.isoformat(),
        )
        try:
            return Outcome(self._update(change), error, verdict)
        except RecorderError as unwritten:
            return self._outcome_unwritten(unwritten, recording)

    def _outcome_unwritten(self, error: RecorderError, recording: Recording | None) -> Outcome:
        """The spool itself fails: the attempt is remembered in memory only."""
        self._log.error(error.sentence, action="delivery.journal", code=error.code)
        attempts = 1 if recording is None else self._delivery(recording).attempts + 1
        return Outcome(recording, error, self._decide(error, attempts))

    def _decide(self, error: RecorderError, attempts: int) -> Verdict:
        return decide(
            error,
            attempts=attempts,
            target_failures=self._target_failures + 1,
            now=self._terms.clock(),
            random=self._terms.random,
            pauses=self._terms.pauses,
        )

    def _delivery(self, recording: Recording) -> Delivery:
        return recording.delivery(self._target.name) or Delivery(target=self._target.name)

    def _update(self, change: Callable[[Recording], Recording]) -> Recording:
        if self._terms.abandoned.is_set():
            raise AbandonedError
        return self._folder.update(change)


def discard(folder: RecordingFolder) -> None:
    """Remove the local copy of a recording that every target has confirmed; the next start tries again."""
    fault_point("delivery.complete")
    try:
        folder.remove()
    except RecorderError as error:
        log.error(error.sentence, action="spool.remove", recording=folder.id, code=error.code)
        return
    log.info("Local copy removed", action="spool.removed", recording=folder.id)


def complete(recording: Recording) -> bool:
    """Whether every target that the recording's setting names has confirmed it."""
    wanted = set(recording.setting.targets)
    done = {d.target for d in recording.deliveries if d.state is DeliveryState.DELIVERED}
    return bool(wanted) and wanted <= done


def blocked_without_target(recording: Recording, name: str, error: RecorderError) -> Recording:
    """The recording with its delivery to a target that the policy no longer has marked as blocked."""
    delivery = recording.delivery(name) or Delivery(target=name)
    if delivery.state is DeliveryState.DELIVERED:
        return recording
    return _with(
        _delivering(recording),
        delivery,
        state=DeliveryState.BLOCKED,
        next_try_at=None,
        error_code=error.code,
        error=str(error),
    )


def _delivering(recording: Recording) -> Recording:
    return recording.moved(State.DELIVERING) if recording.state is State.SEALED else recording


def _with(recording: Recording, delivery: Delivery, **changes: object) -> Recording:
    """The recording with one delivery changed, or added at the end."""
    changed = replace(delivery, **changes)  # type: ignore[arg-type]
    if recording.delivery(delivery.target) is None:
        return replace(recording, deliveries=(*recording.deliveries, changed))
    deliveries = (changed if d.target == delivery.target else d for d in recording.deliveries)
    return replace(recording, deliveries=tuple(deliveries))


def _unknown(error: Exception) -> TransientError:
    return TransientError(
        "target.fault",
        f"The delivery failed unexpectedly ({type(error).__name__}: {error}).",
        remedy="Please report it, with the log.",
    )
