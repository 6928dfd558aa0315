"""The log of calls that were not recorded, and why (FEATURES R6): one JSON object a line, a file a month.

What it says of calls that may still run is remembered over a restart: without it, a call that was refused in
one life of the recorder would be found in the next, and recorded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path

import structlog

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


class Refusals:
    """Reads a few MiB when it is made. `add` and `holds` may be called from any thread."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "refusals"
        self._final = dict.fromkeys(islice(_newest(self._folder), REMEMBERED))

    def add(self, at: datetime, pbx: str, channel: str, reason: str, because: str) -> None:
        """Append; a full disk loses the line, never the call."""
        row = {"at": at.isoformat(timespec="milliseconds"), "pbx": pbx, "channel": channel,
               "reason": reason, "because": because}  # fmt: skip
        log.info(because, action="call.refused", pbx=pbx, channel=channel, reason=reason)
        if reason in FINAL:
            self._remember(pbx, channel)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            path = self._folder / f"{at:%Y-%m}.jsonl"
            with path.open("a", encoding="ascii") as stream:
                stream.write(json.dumps(row) + "\n")
        except OSError as error:
            log.error(str(error), action="refusal.not-logged", channel=channel)

    def holds(self, pbx: str, channel: str) -> bool:
        """The call was refused for good. Channel ids begin with the time and are never used again."""
        return (pbx, channel) in self._final

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
