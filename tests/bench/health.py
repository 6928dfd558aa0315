"""How well the recorder kept up, read from what it wrote: metadata, log and polls. Times in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

SLOW_POLL = 0.020
"""A poll of rtp_statistics that took longer is of no use for alignment."""


@dataclass(slots=True)
class Health:
    """Of all recorded calls of a run."""

    rolling: list[float] = field(default_factory=list)
    """From the call's channel (2 to 10 ms after the INVITE) to both legs being recorded, Asterisk's clock."""
    noticed: list[float] = field(default_factory=list)
    """From the closing of a call's second file, Asterisk's clock, to the recorder's having journalled the
    end of the call: what its event loop and its disk are behind. Both clocks are this machine's."""
    sealed: list[float] = field(default_factory=list)
    """From the same moment to the seal; the calls end nearly at once, so most of it is waiting in line."""
    polls: list[float] = field(default_factory=list)
    """What each poll of rtp_statistics took, Asterisk's part included."""
    recordings: int = 0
    exact: int = 0
    """Recordings whose every sample is the one on the wire, as their metadata states."""
    seconds: list[float] = field(default_factory=list)
    """Length of each recording."""
    peak_bytes: int = 0
    """The most memory the recorder ever had resident."""

    @property
    def slow_polls(self) -> float:
        """Share of the polls that took over 20 ms."""
        return sum(took > SLOW_POLL for took in self.polls) / len(self.polls) if self.polls else 0.0

    def add_recording(self, metadata: Mapping[str, Any], ends: Mapping[str, datetime]) -> None:
        """One recording's metadata; `ends`: when the recorder was done with a call, by recording id."""
        segments = metadata["segments"]
        began = _latest(segments[0], "started_at")
        closed = _latest(segments[-1], "finished_at")
        created, sealed = metadata["call"]["created_at"], metadata["recording"]["sealed_at"]
        self.recordings += 1
        self.exact += metadata["assembly"]["exact"]
        self.seconds.append(metadata["assembly"]["seconds"])
        self.rolling.append((began - _moment(created)).total_seconds())
        self.sealed.append((_moment(sealed) - closed).total_seconds())
        if (end := ends.get(metadata["recording"]["id"])) is not None:
            self.noticed.append((end - closed).total_seconds())

    def add_polls(self, spool: Path) -> None:
        """The polls of every call that is being recorded now."""
        for path in spool.glob("[!.]*/rtp.jsonl"):
            whole = path.read_text(encoding="ascii").rpartition("\n")[0]
            lines = map(json.loads, whole.splitlines())
            self.polls += (line["took_ms"] / 1000 for line in lines if "record" not in line)


def ends_of_calls(lines: Iterable[Mapping[str, Any]]) -> dict[str, datetime]:
    """From the recorder's log: when it was done with each call, by recording id."""
    finished = (line for line in lines if line.get("action") == "recording.finished")
    return {line["recording"]: _moment(line["timestamp"]) for line in finished}


def _latest(segment: Mapping[str, Any], moment: str) -> datetime:
    return max(_moment(segment[side][moment]) for side in ("remote", "local"))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
