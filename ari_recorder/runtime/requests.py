"""How a command asks the running recorder for something: one small file a request, one an answer.

`<state>/requests/<id>.request.json` is written by a command (`ask`), durably; the recorder (`Requests`) finds
it, works on it, and keeps `<id>.answer.json` up to date until it is done. Who may write into the state folder
may ask: the user of the recorder and root. What a crash interrupts is begun again by the next
start, so whatever answers one must be able to find its work half done.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import structlog

from ..disk import durable
from ..disk.faults import fault_point
from ..model import document
from ..model.errors import RecorderError

FOLDER = "requests"
"""In the state folder."""
LOOK = 0.5
"""Seconds between two looks into the folder."""
KEPT = timedelta(hours=1)
"""So long an answer that nobody has fetched stays."""

_REQUEST, _ANSWER = ".request.json", ".answer.json"

T = TypeVar("T")

log = structlog.get_logger()


class Outcome(StrEnum):
    WORKING = "working"
    DONE = "done"
    REFUSED = "refused"
    """Nothing was done, or not all of it; `code`, `sentence` and `remedy` say why."""


@dataclass(frozen=True, slots=True)
class Request:
    """`kind` names who is to answer, such as `spool.move`; `words` are its arguments."""

    id: str
    kind: str
    words: tuple[str, ...]
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """The recorder's last word on a request. `done` of `total` is a count of things, for a progress bar."""

    outcome: Outcome
    sentence: str = ""
    remedy: str = ""
    code: str | None = None
    done: int = 0
    total: int = 0
    at: datetime | None = None


Tell = Callable[[Answer], Awaitable[None]]
Handler = Callable[[Request, Tell], Awaitable[Answer]]
"""Works on a request, may tell of its progress, returns the last answer. A RecorderError is one, too."""


# -- the command's side: blocks --------------------------------------------------------------------------


def ask(state: Path, kind: str, *words: str) -> Request:
    """Put a request before the recorder whose state folder this is; OSError."""
    now = datetime.now(UTC)
    request = Request(f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}", kind, words, now)
    folder = state / FOLDER
    _make(folder, state)
    path = folder / (request.id + _REQUEST)
    durable.write_atomically(path, document.dump(request).encode())
    _give(path, state)
    return request


def answer(state: Path, request: Request) -> Answer | None:
    """What the recorder has answered so far; None when it has not looked yet."""
    return _read(Answer, state / FOLDER / (request.id + _ANSWER))


def forget(state: Path, request: Request) -> None:
    """Take the request back, or clear its answer away once it was read."""
    for end in (_REQUEST, _ANSWER):
        (state / FOLDER / (request.id + end)).unlink(missing_ok=True)


# -- the recorder's side ---------------------------------------------------------------------------------


class Requests:
    """Answers what is asked, each request in a task of its own. `handlers` by kind; others are refused."""

    def __init__(self, state: Path, handlers: Mapping[str, Handler]) -> None:
        self._state = state
        self._folder = state / FOLDER
        self._handlers = handlers
        self._working: set[str] = set()
        self._served: set[str] = set()
        """Answered, but perhaps still seen by a look that had begun before, or not to be removed."""

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                there = await asyncio.to_thread(self._look)
                self._served.intersection_update(request.id for request in there)
                for request in there:
                    if request.id not in self._working | self._served:
                        self._working.add(request.id)
                        tasks.create_task(self._serve(request), name=f"request-{request.id}")
                await asyncio.sleep(LOOK)

    async def _serve(self, request: Request) -> None:
        log.info("Asked", action="request.begin", request=request.id, kind=request.kind, words=request.words)

        async def tell(word: Answer) -> None:
            await asyncio.to_thread(self._write, request, word)

        try:
            last = await self._handled(request, tell)
            await tell(last)
        finally:
            self._working.discard(request.id)
            self._served.add(request.id)
        log.info(last.sentence, action="request.end", request=request.id, outcome=last.outcome.value)

    async def _handled(self, request: Request, tell: Tell) -> Answer:
        handler = self._handlers.get(request.kind)
        if handler is None:
            return Answer(Outcome.REFUSED, f'This recorder does not know how to do "{request.kind}".')
        try:
            return await handler(request, tell)
        except RecorderError as error:
            return Answer(Outcome.REFUSED, error.sentence, error.remedy, error.code)
        except Exception as error:
            log.exception("A request could not be answered", action="request.defect", request=request.id)
            return Answer(Outcome.REFUSED, f"It failed unexpectedly ({error}).", "The log says more.")

    def _look(self) -> list[Request]:
        """Requests that wait for an answer; what has been answered long ago is cleared away."""
        try:
            paths = sorted(self._folder.iterdir())
            return [found for path in paths if (found := self._waiting(path)) is not None]
        except OSError:  # none yet, root has only just made it, or the disk fails: no reason to end
            return []

    def _waiting(self, path: Path) -> Request | None:
        if path.name.endswith(_ANSWER):
            self._clear(path)
            return None
        if path.name.startswith("."):
            self._sweep(path)
            return None
        if not path.name.endswith(_REQUEST):
            return None
        request = _read(Request, path)
        # The id becomes a file's name: it is believed only where it is this file's own.
        return request if request is not None and path.name == request.id + _REQUEST else None

    def _clear(self, path: Path) -> None:
        word = _read(Answer, path)
        old = word is not None and word.at is not None and datetime.now(UTC) - word.at > KEPT
        if old and word is not None and word.outcome is not Outcome.WORKING:
            with suppress(OSError):  # another time; it must hold up no request
                path.unlink(missing_ok=True)

    def _sweep(self, path: Path) -> None:
        """What a command that was killed while it asked has left half written."""
        with suppress(OSError):
            if datetime.now(UTC) - datetime.fromtimestamp(path.stat().st_mtime, UTC) > KEPT:
                path.unlink()

    def _write(self, request: Request, word: Answer) -> None:
        """An answer that cannot be written is no reason to stop; the last one also ends the request."""
        name = self._folder / request.id
        try:
            word = replace(word, at=datetime.now(UTC))
            durable.write_atomically(name.with_name(name.name + _ANSWER), document.dump(word).encode())
        except OSError as error:
            log.warning(str(error), action="request.unanswered", request=request.id)
        fault_point("request.answered")
        if word.outcome is not Outcome.WORKING:
            with suppress(OSError):
                name.with_name(name.name + _REQUEST).unlink(missing_ok=True)


def _read(kind: type[T], path: Path) -> T | None:
    """None for what is not there, or is not what it should be: no file can hold up the others."""
    try:
        return document.load(kind, path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _make(folder: Path, state: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    _give(folder, state)


def _give(path: Path, state: Path) -> None:
    """What root asks for must be readable by the recorder's own user."""
    owner = state.stat()
    if os.geteuid() == 0 and path.stat().st_uid != owner.st_uid:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
