"""The spool as the event loop sees it: saving in threads, and never in two places at once."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import structlog

from ..model.errors import RecorderError
from ..model.recording import Recording
from ..spool.folders import Spool

log = structlog.get_logger()

WRITERS = 16
"""Threads that wait for the disk: as many calls can be journalled at once."""


def _nothing() -> None:
    """An errand that shows that a thread is free."""


class Journal:
    """Saves recordings durably while their calls run."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="journal")

    async def save(self, recording: Recording) -> bool:
        """Durable when it returns True. A failure is logged and False: the call goes on regardless."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._writers, self._save, recording)
        except RecorderError as error:
            log.error(str(error), action="journal.failed", recording=recording.id, code=error.code)
            return False
        return True

    def keep_poll(self, recording_id: str, sample: dict[str, Any]) -> None:
        """Append one poll of `rtp_statistics` (ALIGNMENT.md); losing one to a crash is no harm."""
        self._writers.submit(self._append, recording_id, sample)

    def ask(self) -> Future[None]:
        """Done when one of the threads had time for it: never, when all of them hang on a disk."""
        return self._writers.submit(_nothing)

    def close(self) -> None:
        self._writers.shutdown(wait=True)

    def _save(self, recording: Recording) -> None:
        folder = self._spool.get(recording.id)
        if folder is None:
            self._spool.create(recording)
        else:
            folder.save(recording)

    def _append(self, recording_id: str, sample: dict[str, Any]) -> None:
        folder = self._spool.get(recording_id)
        if folder is None:
            return
        try:
            with folder.rtp.open("a", encoding="ascii") as stream:
                stream.write(json.dumps(sample) + "\n")
        except OSError as error:
            log.warning(str(error), action="journal.poll-lost", recording=recording_id)
