"""Whose audio the followed party hears: another party's, or music while it is on hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from .commands import Command
from .ledger import Ledger
from .microphone import Microphone


class Source:
    """On a build with Debian's defect a change of the source loses frames, and a fresh pair is the remedy."""

    def __init__(self, ledger: Ledger, microphone: Microphone) -> None:
        self._ledger = ledger
        self._microphone = microphone
        self.heard: str | None = None
        """The channel that is heard."""
        self.held = False

    def changed(self, at: datetime, what: str, members: Iterable[str]) -> list[Command]:
        if not self._ledger.world.reorders_lost:
            return []
        remedy = f"remedy for Asterisk's translator: {what}"
        return self._microphone.retake("source", at, remedy, self.guarded(members))

    def guarded(self, members: Iterable[str]) -> str | None:
        """On which of the bridge's other members a guard stands while the snoops are taken anew, if one must
        (`microphone`); never on a Local channel, which Asterisk would then not optimise away."""
        channels = self._ledger.world.channels
        others = (m for m in members if m in channels and channels[m].technology != "Local")
        return next(others, None) if self.held else None
