"""The log of calls that were not recorded, and why (FEATURES R6): one JSON object a line, a file a month.

What it says of calls that may still run is remembered over a restart: without it, a call that was refused in
one life of the recorder would be found in the next, and recorded.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path

import structlog

from .conditions import Conditions, Severity
from .scribe import Scribe

KEY = "recorder:refusals"
"""Of the condition."""

log = structlog.get_logger()

FINAL = frozenset(
    {
        "forbidden", "exception", "feature-code", "setting-disabled", "unknown-setting",
        "not-announced", "announcement-failed", "not-answered",
    }
)  # fmt: skip
"""Reasons that hold for the whole call. With another one a later look may say otherwise: another user may
answer, or Asterisk record again."""
REMEMBERED = 10_000
"""Calls of the newest refusals; more cannot be running."""
TAIL = 4 << 20
"""Bytes at the end of a file that are read for them."""
WAITING = 10_000
"""Lines that wait while the disk hangs."""
PATIENCE = 0.2
"""Seconds that a call waits for its line: the usual disk has it in a tenth of that, so that a recorder that
is killed after it has refused a call knows so. No call waits longer for a slow one."""


class Refusals:
    """Reads a few MiB when it is made. `add` and `told` are called on the event loop and never block it."""

    def __init__(self, state: Path, conditions: Conditions | None = None, *, waiting: int = WAITING) -> None:
        self._folder = state / "refusals"
        self._conditions = conditions or Conditions()
        self._final = dict.fromkeys(islice(_newest(self._folder), REMEMBERED))
        self._scribe = Scribe("refusals", waiting)
        self._lost = 0
        self._newest: Future[None] | None = None
        """The last line that was taken: when it is written, nothing waits."""

    def add(self, at: datetime, pbx: str, channel: str, reason: str, because: str) -> Future[None] | None:
        """Have a line written; a full disk loses it, never the call. None when too many wait already."""
        row = {"at": at.isoformat(timespec="milliseconds"), "pbx": pbx, "channel": channel,
               "reason": reason, "because": because}  # fmt: skip
        log.info(because, action="call.refused", pbx=pbx, channel=channel, reason=reason)
        if reason in FINAL:
            self._remember(pbx, channel)
        written = self._scribe.put(partial(self._write, f"{at:%Y-%m}.jsonl", row))
        if written is None:
            self._tell_loss()
        else:
            self._newest = written
        return written

    async def told(self, at: datetime, pbx: str, channel: str, reason: str, because: str) -> None:
        """Add, and give the disk `PATIENCE` seconds."""
        written = self.add(at, pbx, channel, reason, because)
        if written is not None:
            await asyncio.wait({asyncio.wrap_future(written)}, timeout=PATIENCE)

    def close(self, seconds: float = 1.0) -> None:
        """Write what waits, for at most so long."""
        self._scribe.close(seconds)

    def holds(self, pbx: str, channel: str) -> bool:
        """The call was refused for good. Channel ids begin with the time and are never used again."""
        return (pbx, channel) in self._final

    def _write(self, file: str, row: dict[str, str]) -> None:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with (self._folder / file).open("a", encoding="ascii") as stream:
                stream.write(json.dumps(row) + "\n")
        except OSError as error:
            log.error(str(error), action="refusal.not-logged", channel=row["channel"])

    def _tell_loss(self) -> None:
        if not self._lost:
            self._await_end(asyncio.get_running_loop())
        self._lost += 1
        sentence = (
            "The disk of the state folder does not take the log of refusals: calls that were not recorded "
            f"({self._lost} so far) stand in the recorder's own log only, with the action call.refused."
        )
        remedy = "Look at that disk (dmesg) and at its mount; it goes on by itself when the disk answers."
        self._conditions.begin(KEY, "recorder.refusals", sentence, remedy, Severity.WARNING)

    def _await_end(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loss is over when everything that was taken is written."""

        def written(_newest: Future[None]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
                loop.call_soon_threadsafe(look)

        def look() -> None:
            if self._newest is not None and not self._newest.done():
                self._await_end(loop)
                return
            self._lost = 0
            self._conditions.end(KEY)

        if self._newest is not None:
            self._newest.add_done_callback(written)

    def _remember(self, pbx: str, channel: str) -> None:
        self._final[pbx, channel] = None
        if len(self._final) > 2 * REMEMBERED:
            for old in list(islice(self._final, REMEMBERED)):
                self._final.pop(old, None)


def _newest(folder: Path) -> Iterator[tuple[str, str]]:
    """PBX and channel of the final refusals in the two newest files, the newest first."""
    for path in sorted(folder.glob("*.jsonl"), reverse=True)[:2]:
        with suppress(OSError), path.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
            lines = stream.read(TAIL).splitlines()
            for line in reversed(lines):
                with suppress(ValueError, KeyError, TypeError):
                    row = json.loads(line)
                    if row["reason"] in FINAL:
                        yield str(row["pbx"]), str(row["channel"])
