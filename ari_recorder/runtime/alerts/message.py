"""The words of an alert: subject, text and document, with nothing in them that forges a line or a header."""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ... import __version__
from ..conditions import Severity
from .book import Item, What

SCHEMA = "ari-recorder/alert/1"
"""Version of the webhook's document."""

HEADINGS = {
    What.BEGAN: "New",
    What.CHANGED: "Changed",
    What.LASTS: "Still wrong",
    What.ENDED: "Over",
    What.PASSED: "Was wrong meanwhile, and is over",
}
MOST_SHOWN = 20
"""Items under one heading; nobody reads more."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which recorder is talking."""

    name: str
    """The common name of its seal: who answers for the recordings."""
    host: str
    version: str = __version__

    @staticmethod
    def here(name: str) -> Identity:
        return Identity(name, socket.gethostname())


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one outlet."""

    identity: Identity
    items: tuple[Item, ...]
    at: datetime
    test: bool = False

    @property
    def id(self) -> str:
        """The same for the same news: a message that is sent once more can be known by it."""
        news = [(i.what.value, i.matter.key, i.matter.code, i.matter.since.isoformat(),
                 i.until.isoformat() if i.until else "") for i in self.items]  # fmt: skip
        seed = self.at.isoformat() if self.test or any(i.what is What.LASTS for i in self.items) else ""
        return hashlib.sha256(json.dumps([self.identity.host, news, seed]).encode()).hexdigest()[:32]

    @property
    def subject(self) -> str:
        """One line, without control characters, at most 160 characters long."""
        head = f"[{self.identity.name} on {self.identity.host}]"
        return visible(f"{head} {self._gist()}", 160)

    def _gist(self) -> str:
        if self.test:
            return "Test: alerts from this recorder arrive here"
        if len(self.items) == 1:
            (item,) = self.items
            over = item.what in (What.ENDED, What.PASSED)
            word = "OVER" if over else item.matter.severity.value.upper()
            return f"{word}: {item.matter.sentence}"
        counts = {what: sum(i.what is what for i in self.items) for what in HEADINGS}
        told = ", ".join(f"{n} {HEADINGS[what].split(',')[0].lower()}" for what, n in counts.items() if n)
        wrong = [i.matter.severity for i in self.items if i.what not in (What.ENDED, What.PASSED)]
        worst = max(wrong, key=lambda one: one.weight, default=None)
        return f"{worst.value.upper() if worst else 'OVER'}: {told}"

    @property
    def text(self) -> str:
        """For people, lines of plain text."""
        if self.test:
            lines = ["This is a test. When something goes wrong, you will be told here.", ""]
        else:
            lines = [line for what in HEADINGS for line in self._section(what)]
        who = f"ari-recorder {self.identity.version} on {self.identity.host} ({self.identity.name})"
        lines += [f"{visible(who)}, {_time(self.at)}", "What is wrong now: ari-recorder status"]
        return "\n".join(lines) + "\n"

    def _section(self, what: What) -> list[str]:
        items = [item for item in self.items if item.what is what]
        if not items:
            return []
        lines = [HEADINGS[what], ""]
        for item in items[:MOST_SHOWN]:
            lines += [*_paragraph(item), ""]
        if len(items) > MOST_SHOWN:
            lines += [f"  … and {len(items) - MOST_SHOWN} more", ""]
        return lines

    def document(self) -> dict[str, Any]:
        """For machines, of schema `SCHEMA`."""
        return {
            "schema": SCHEMA,
            "id": self.id,
            "sent_at": _stamp(self.at),
            "test": self.test,
            "recorder": {"name": self.identity.name, "host": self.identity.host,
                         "version": self.identity.version},
            "subject": self.subject,
            "events": [_event(item) for item in self.items],
        }  # fmt: skip


def visible(text: str, longest: int = 2000) -> str:
    """Text from outside as one harmless line: a caller's name may hold line breaks, terminal codes, marks
    that turn the writing round, or halves of characters."""
    clean = "".join(c if c.isprintable() else "�" for c in text[: longest + 1])
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def _paragraph(item: Item) -> list[str]:
    matter = item.matter
    since = f"since {_time(matter.since)}"
    if item.until is not None:
        since = f"from {_time(matter.since)} to {_time(item.until)}"
    lines = [f"  {visible(matter.sentence)}"]
    if matter.remedy and item.until is None:
        lines.append(f"  → {visible(matter.remedy)}")
    if item.times > 1:
        lines.append(f"  It came {item.times} times.")
    lines.append(f"  {_word(matter.severity)}, {since}, {visible(matter.key)} [{matter.code}]")
    return lines


def _word(severity: Severity) -> str:
    return severity.value.capitalize()


def _event(item: Item) -> dict[str, Any]:
    matter = item.matter
    return {
        "what": item.what.value, "key": matter.key, "code": matter.code, "severity": matter.severity.value,
        "sentence": matter.sentence, "remedy": matter.remedy, "since": _stamp(matter.since),
        "until": _stamp(item.until) if item.until else None, "times": item.times, "count": matter.count,
    }  # fmt: skip


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
