"""Tells people what is wrong: conditions become mails and webhooks, one book and one task for each outlet.

Nothing here can hold up the recorder: sending happens in threads or on sockets with time limits, an outlet
that fails is tried again with pauses, and what is owed to it is bounded (`book.py`). Nor does the disk that
keeps what was told hold up anybody: one that hangs is what people are to be told of.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from ...config.alerts import AlertSettings, MailOutlet, WebhookOutlet
from ...disk.durable import write_atomically
from ...disk.faults import fault_point
from ...model import document
from ...model.errors import RecorderError, TransientError
from ...spool.lane import in_thread
from ..conditions import Change, Condition, Conditions, Severity
from .book import Book, Memory, Terms
from .mail import MailTeller
from .matters import Matter, matters
from .message import Identity, Message
from .webhook import WebhookTeller

FILE = "alerts.json"
"""In the state folder: what was told."""
FORMAT = "ari-recorder/alerts/1"
OWN = "alerts:"
"""Keys of conditions about an outlet itself; that outlet is not told of it."""

PAUSES = (10.0, 30.0, 60.0, 300.0, 900.0)
"""Seconds before a message that could not be sent is tried again; the last one for ever."""
MANY = 1000
"""Conditions from which on even news wait for `REFRESH`: 20 000 take some 50 ms of the event loop."""
CLOSING = 1.0
"""Seconds that a note under way gets to end when the recorder stops."""
REFRESH = 30.0
"""Seconds after which sentences are read again although nothing began, changed or ended."""

log = structlog.get_logger()


class Teller(Protocol):
    """A way to tell. `send` raises RecorderError when a message did not arrive, or may not have."""

    name: str

    @property
    def place(self) -> str:
        """Where messages go, in words that hold no secret."""
        ...

    async def send(self, message: Message) -> None: ...


@dataclass(frozen=True, slots=True)
class Told:
    """The document in `alerts.json`."""

    format: str
    outlets: tuple[Memory, ...]


def make_teller(settings: MailOutlet | WebhookOutlet) -> Teller:
    return MailTeller(settings) if isinstance(settings, MailOutlet) else WebhookTeller(settings)


def read_told(folder: Path) -> dict[str, Memory]:
    """What earlier lives told, by outlet. A file that is damaged counts as none: people are told twice."""
    try:
        told = document.load(Told, (folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning(f"{folder / FILE} cannot be read: {error}", action="alert.memory")
        return {}
    return {memory.outlet: memory for memory in told.outlets} if told.format == FORMAT else {}


class _Outlet:
    """One teller, its book, and its patience."""

    def __init__(self, teller: Teller, book: Book) -> None:
        self.teller = teller
        self.book = book
        self.key = OWN + teller.name
        self.failures = 0
        self.not_before = 0.0


class Alerts:
    """All outlets of one recorder. To be used on the event loop."""

    def __init__(
        self,
        settings: AlertSettings,
        conditions: Conditions,
        state: Path,
        identity: Identity,
        *,
        pauses: tuple[float, ...] = PAUSES,
        at: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._conditions = conditions
        self._state = state
        self._identity = identity
        self._pauses = pauses
        self._at = at
        self._matters: dict[str, Matter] = {}
        self._looked: float | None = None
        self._news = True
        self._writing: asyncio.Task[None] | None = None
        told = read_told(state) if settings.outlets else {}
        self._outlets = [self._outlet(one, told) for one in settings.outlets]
        self._written = self._marks()
        conditions.listen(self._heard)

    @property
    def tick(self) -> float:
        """Seconds between two looks."""
        return min(2.0, max(0.1, min(self._settings.hold_off, self._settings.settle) / 5))

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for outlet in self._outlets:
                    tasks.create_task(self._serve(outlet), name=f"alerts-{outlet.teller.name}")
                while self._outlets:
                    self._look()
                    self._remember()
                    await asyncio.sleep(self.tick)
        finally:
            if self._writing is not None:
                await asyncio.wait({self._writing}, timeout=CLOSING)

    def _outlet(self, settings: MailOutlet | WebhookOutlet, told: dict[str, Memory]) -> _Outlet:
        terms = Terms(
            self._settings.hold_off,
            self._settings.settle,
            self._settings.remind_every * 3600,
            Severity(settings.severity.value),
        )
        memory = told.get(settings.name) or Memory(settings.name)
        return _Outlet(make_teller(settings), Book(terms, memory))

    def _heard(self, _change: Change, _condition: Condition) -> None:
        self._news = True

    def _look(self) -> None:
        """There may be thousands of conditions: they are gone through when there is news, and not often."""
        at, now = self._at(), datetime.now(UTC)
        active = self._conditions.active()
        rest = 0.0 if self._news and len(active) < MANY else REFRESH
        if self._looked is None or at - self._looked >= rest:
            self._looked, self._news = at, False
            self._matters = matters(active, self._settings.ignore)
        for outlet in self._outlets:
            others = self._matters
            if outlet.key in others:
                others = {key: matter for key, matter in others.items() if key != outlet.key}
            outlet.book.see(others, now, at)

    async def _serve(self, outlet: _Outlet) -> None:
        while True:
            await asyncio.sleep(self.tick)
            try:
                await self._tell(outlet)
            except Exception:  # a defect of ours must not end alerts for good
                log.exception("An alert could not be made", action="alert.defect", outlet=outlet.teller.name)
                outlet.not_before = self._at() + self._pauses[-1]

    async def _tell(self, outlet: _Outlet) -> None:
        if self._at() < outlet.not_before:
            return
        items = outlet.book.due(datetime.now(UTC), self._at())
        if not items:
            return
        message = Message(self._identity, items, datetime.now(UTC))
        try:
            await outlet.teller.send(message)
        except RecorderError as error:
            self._failed(outlet, error)
            return
        fault_point("alert.sent")
        outlet.failures = 0
        outlet.book.tell(items, datetime.now(UTC), self._at())
        log.info(message.subject, action="alert.sent", outlet=outlet.teller.name, items=len(items))
        self._conditions.end(outlet.key)
        self._remember()

    def _failed(self, outlet: _Outlet, error: RecorderError) -> None:
        pause = self._pauses[min(outlet.failures, len(self._pauses) - 1)]
        if isinstance(error, TransientError) and error.retry_after is not None:
            pause = max(pause, error.retry_after)
        outlet.failures += 1
        outlet.not_before = self._at() + pause
        log.warning(
            str(error), action="alert.failed", outlet=outlet.teller.name, code=error.code, seconds=pause
        )
        self._conditions.begin_with(outlet.key, error, Severity.WARNING)

    def _marks(self) -> tuple[object, ...]:
        return tuple(outlet.book.mark for outlet in self._outlets)

    def _remember(self) -> None:
        """Have written down what was told, so that the next life knows it; while that hangs, nothing waits
        for it, and the next look tries again."""
        marks = self._marks()
        if marks == self._written or (self._writing is not None and not self._writing.done()):
            return
        told = Told(FORMAT, tuple(outlet.book.memory() for outlet in self._outlets))
        data = document.dump(told).encode("utf-8", "backslashreplace")
        # Also where it fails: a full disk is tried again at the next news, not every second.
        self._written = marks
        self._writing = asyncio.create_task(self._write(data), name="alerts-memory")

    async def _write(self, data: bytes) -> None:
        try:
            await in_thread(partial(write_atomically, self._state / FILE, data), "alerts-memory")
        except OSError as error:
            log.warning(f"What was told cannot be kept: {error}", action="alert.memory")
