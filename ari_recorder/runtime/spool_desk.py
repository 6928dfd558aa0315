"""What the commands of `ari-recorder spool` ask of the running recorder, for the spool is its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from ..disk.faults import fault_point
from ..model.errors import RecorderError
from ..model.recording import State
from ..spool.folders import RecordingFolder, Spool
from ..spool.selection import Selection, read_words
from ..spool.stuck import due_now
from .backlog import TO_COMPLETE, Backlog
from .completion import Completion
from .deliveries import Deliveries
from .requests import Answer, Handler, Outcome, Request, Tell

RETRY, ADOPT = "spool.retry", "spool.adopt"
"""Kinds of requests."""

WAITS = TO_COMPLETE | {State.FAILED}
"""States in which nothing waits in a lane of a target."""


class SpoolDesk:
    """`handlers` answer the requests. To be used on the event loop."""

    def __init__(self, spool: Spool, completion: Completion, deliveries: Deliveries) -> None:
        self._spool = spool
        self._completion = completion
        self._deliveries = deliveries

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {RETRY: self._retry, ADOPT: self._adopt}

    async def _retry(self, request: Request, tell: Tell) -> Answer:  # noqa: ARG002
        """Everything chosen is due now. Asked twice, it is done twice, which is no harm."""
        chosen = read_words(request.words)
        again, lost = await asyncio.to_thread(self._set_going, chosen)
        for folder in again:
            self._completion.submit(folder)
        count = len(again)
        ids = None if chosen.recordings is None else frozenset(chosen.recordings)
        for mended in await asyncio.to_thread(self._found, ids or ()):
            self._deliveries.submit(mended)  # perhaps mended by hand: known to no lane so far
        count += self._deliveries.retry(ids, chosen.targets)
        fault_point("retry.applied")
        if lost:
            return Answer(Outcome.REFUSED, lost[0].sentence, lost[0].remedy, lost[0].code)
        return Answer(Outcome.DONE, _tried(count))

    def _set_going(self, chosen: Selection) -> tuple[list[RecordingFolder], list[RecorderError]]:
        """What has to go through the pipeline again, its journal changed first. Blocks."""
        again, errors = [], []
        for folder, state in chosen.states(self._spool):
            if chosen.targets is not None or state not in WAITS:
                continue
            try:
                if folder.update(due_now).state in TO_COMPLETE:
                    again.append(folder)
            except RecorderError as error:
                errors.append(error)
        return again, errors

    def _found(self, ids: Iterable[str]) -> list[RecordingFolder]:
        """Blocks: a disk may hang."""
        return [folder for own in ids if (folder := self._spool.get(own)) is not None]

    async def _adopt(self, request: Request, tell: Tell) -> Answer:  # noqa: ARG002
        """Take up recordings that were put into the spool; those that are known already take no harm."""
        folders = await asyncio.to_thread(self._found, request.words)
        found = await asyncio.to_thread(_sorted, folders)
        hand_over(found, self._completion.submit, self._deliveries.submit)
        for folder, error in found.damaged:
            self._deliveries.damaged(folder, error)
        return Answer(Outcome.DONE, f"{len(folders)} recording(s) taken up.")


def hand_over(
    found: Backlog,
    complete: Callable[[RecordingFolder], None],
    deliver: Callable[[RecordingFolder], None],
) -> None:
    """Let everything that waits go on where it stopped."""
    for folder in found.to_complete:
        complete(folder)
    for folder in found.to_deliver:
        deliver(folder)


def _sorted(folders: Iterable[RecordingFolder]) -> Backlog:
    found = Backlog()
    for folder in folders:
        found.sort_in(folder, None)
    return found


def _tried(count: int) -> str:
    return f"{count} {'step is' if count == 1 else 'steps are'} tried again now." if count else (
        "Nothing waits that could be tried again."
    )  # fmt: skip
