"""What becomes of a recording once its call is over."""

from __future__ import annotations

from ..model.recording import Recording, Start, State

EXHAUSTED = "Asterisk could not keep up a recording"
"""The reason of a recording that was given up while its call went on: the next recorder tries again."""

NO_AUDIO = "Asterisk gave no audio before the call ended"

LATE_REFUSALS = {
    "not-announced": "The announcement is required, and the call went on without it.",
    "announcement-failed": "The announcement is required, and could not be played to its end.",
    "not-answered": "The setting keeps calls from the answer on, and nobody answered.",
}
"""Reasons for which a recording that had begun is discarded, as sentences."""


def outcome(
    recording: Recording, verdict: State | None, *, captured: bool, unannounced: bool, unseen: bool
) -> tuple[State, str | None]:
    """The last state that the call decides, and its reason.

    `verdict`: REFUSED or FAILED where that was decided while the call ran. `captured`: Asterisk was told to
    record. `unannounced`: the announcement that is a condition was not heard. `unseen`: whether the call was
    answered may have escaped the recorder; then what was captured is kept.
    """
    if verdict is State.REFUSED:
        return State.REFUSED, recording.reason
    if unannounced:
        return State.REFUSED, "not-announced"
    unanswered = recording.call.answered_at is None and not unseen
    nothing = not captured or (unanswered and recording.setting.start is Start.ANSWER)
    if nothing and unanswered and verdict is None:
        return State.REFUSED, "not-answered"
    if nothing:
        return State.FAILED, recording.reason or _failure(recording) or NO_AUDIO
    return State.CAPTURED, None


def _failure(recording: Recording) -> str | None:
    """What was told last to be wrong with it (`capture/failure.py`)."""
    return next((note.detail for note in reversed(recording.notes) if note.what == "failure"), None)
