"""What becomes of a call that cannot be recorded, as its setting says (FEATURES C12).

A failure is told once when it comes and once when it is over. `hang-up` ends the call: with a prompt where
the call waits in the gate, at once where it does not.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from ..model.recording import OnFailure
from . import events as ev
from .commands import Alarm, AllClear, Command, HangUp, Play, Save
from .gate import Gate
from .ledger import Ledger
from .microphone import ENDED, LATE, Microphone
from .outcome import EXHAUSTED

BEGIN_PATIENCE = 4.0
"""Seconds after which a recording that does not run counts as failed; usual is 30 ms."""
PROMPT_PATIENCE = 3.0
"""Seconds beyond its length that the prompt may take before the call is ended all the same."""
NOT_KEPT_UP = "capture.no-recording"
JOURNAL_AGAIN = 5.0
"""Seconds between two attempts to journal a recording that could not be."""
AGAIN = 1.0
"""Seconds after which the order to end the call is given again."""


class Failure(StrEnum):
    """Stable words, also the values of ARI_RECORDER_FAILURE."""

    JOURNAL = "journal"
    """The recorder's spool is full, unusable or does not answer."""
    NOT_BEGUN = "not-begun"
    """Asterisk did not begin to record."""
    BROKEN = "broken"
    """Asterisk began to record and ends each attempt at once, as with a full disk."""


class Failures:
    """What is wrong with one recording now, and what the policy makes of it."""

    def __init__(self, ledger: Ledger, gate: Gate, microphone: Microphone) -> None:
        self._ledger = ledger
        self._gate = gate
        self._microphone = microphone
        self._standing: set[Failure] = set()
        self.ending = False
        """The call is being ended."""

    @property
    def strict(self) -> bool:
        """The call must not take place unrecorded."""
        return self._ledger.recording.setting.on_failure is OnFailure.HANG_UP

    @property
    def standing(self) -> bool:
        return bool(self._standing)

    def happened(self, at: datetime, what: Failure, why: str, code: str) -> list[Command]:
        """`why`: a sentence. `code`: a key of `model.errors.CODES`. Nothing when it is known already."""
        if what in self._standing:
            return []
        self._standing.add(what)
        self._gate.failure = what
        self._ledger.note(at, "failure", f"{what}: {why}")
        recording = self._ledger.recording
        alarm = Alarm(recording.call.channel, recording, what, why, code)
        journal = what is Failure.JOURNAL
        again = self._ledger.wake("journal", JOURNAL_AGAIN) if journal else self._ledger.save()
        return [again, alarm, *self._end_call()]

    def journal_again(self) -> list[Command]:
        """The timer `journal`: whether the spool can be written again shows only by writing."""
        if Failure.JOURNAL not in self._standing:
            return []
        return [self._ledger.save(), self._ledger.wake("journal", JOURNAL_AGAIN)]

    def over(self, at: datetime, *what: Failure) -> list[Command]:
        """It works again, as a recording that runs or a journal that was written shows."""
        ended = self._standing.intersection(what)
        if not ended:
            return []
        self._standing -= ended
        self._gate.failure = min(self._standing, default="")
        self._ledger.note(at, "recovered", ", ".join(sorted(ended)))
        cleared = [] if self._standing else [self.all_clear()]
        return [self._ledger.save(), *cleared]

    def of_microphone(self, at: datetime) -> list[Command]:
        """What Asterisk cannot do."""
        if self._microphone.broken:
            return self.happened(at, Failure.BROKEN, ENDED, NOT_KEPT_UP)
        if not self._microphone.exhausted:
            return []
        what = Failure.BROKEN if self._microphone.rolled else Failure.NOT_BEGUN
        return self.happened(at, what, self._microphone.trouble or EXHAUSTED, NOT_KEPT_UP)

    def begin_overdue(self, at: datetime) -> list[Command]:
        if self._microphone.rolled:
            return []
        return self.happened(at, Failure.NOT_BEGUN, self._microphone.trouble or LATE, NOT_KEPT_UP)

    def mended(self, at: datetime) -> list[Command]:
        """What a running pair shows to be over. `at`: the recorder's clock."""
        begun = self.over(at, Failure.NOT_BEGUN) if self._microphone.rolling else []
        return [*begun, *(self.over(at, Failure.BROKEN) if self._microphone.lasts(at) else [])]

    def all_clear(self) -> Command:
        return AllClear(self._ledger.recording.call.channel, self._ledger.recording)

    def handle(self, event: ev.Event) -> list[Command] | None:
        """What follows from an event about the journal or the end of the call; None for any other."""
        match event:
            case ev.CommandFailed(command=Save()):
                return self.happened(event.at, Failure.JOURNAL, event.sentence, event.code)
            case ev.CommandFailed(command=HangUp()):
                return [self._ledger.wake("failure", AGAIN)]
            case ev.CommandFailed(command=Play(playback=name)) if name == self._playback:
                return self.hang_up()
            case ev.PlaybackFinished(playback=name) if name == self._playback:
                return self.hang_up()
            case ev.PlaybackStarted(playback=name) if name == self._playback:
                return []
            case ev.Journalled(at=at):
                return self.over(at, Failure.JOURNAL)
        return None

    def hang_up(self) -> list[Command]:
        """The prompt was heard, took too long or cannot be played, or Asterisk did not obey before."""
        return [HangUp(self._ledger.recording.call.channel)] if self.ending else []

    @property
    def _playback(self) -> str:
        return f"{self._ledger.recording.id}.failure"

    def _end_call(self) -> list[Command]:
        if not self.strict or self.ending:
            return []
        self.ending = self._gate.closed = True
        setting = self._ledger.recording.setting
        prompt = self._ledger.world.prompts.get(setting.failure_announcement or "")
        if prompt is None or not self._gate.holds_call:
            return self.hang_up()
        # It waits for an announcement that is being played.
        before = self._ledger.world.prompts.get(setting.announcement or "") if self._gate.playing else None
        seconds = prompt.seconds + (before.seconds if before is not None else 0) + PROMPT_PATIENCE
        play = Play(self._ledger.recording.call.channel, self._playback, prompt.media)
        return [play, self._ledger.wake("failure", seconds)]
