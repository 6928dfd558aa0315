"""The log of calls that were not recorded, and why (FEATURES R6): one JSON object a line, a file a month."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import structlog

log = structlog.get_logger()


class Refusals:
    def __init__(self, state: Path) -> None:
        self._folder = state / "refusals"

    def add(self, at: datetime, pbx: str, channel: str, reason: str, because: str) -> None:
        """Append; a full disk loses the line, never the call."""
        row = {"at": at.isoformat(timespec="milliseconds"), "pbx": pbx, "channel": channel,
               "reason": reason, "because": because}  # fmt: skip
        log.info(because, action="call.refused", pbx=pbx, channel=channel, reason=reason)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            path = self._folder / f"{at:%Y-%m}.jsonl"
            with path.open("a", encoding="ascii") as stream:
                stream.write(json.dumps(row) + "\n")
        except OSError as error:
            log.error(str(error), action="refusal.not-logged", channel=channel)
