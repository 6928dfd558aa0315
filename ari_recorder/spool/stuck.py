"""Recordings that do not go on by themselves: how the journal says so, and how a person sets them going."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from datetime import UTC, datetime

from ..model.delivery import DeliveryState
from ..model.errors import ConfigError, RecorderError
from ..model.recording import Note, Recording, State
from .folders import RecordingFolder

STUCK = "stuck"
"""The note of a recording that is captured and cannot be sealed, without `until` as long as that lasts."""
UNSEALED = frozenset({State.CAPTURED, State.ASSEMBLED})
RUNNING = frozenset({State.DECIDED, State.CAPTURING})


def noted_stuck(recording: Recording, *, error: RecorderError) -> Recording:
    """The recording with the note that it cannot be sealed, and why."""
    if recording.state not in UNSEALED or trouble(recording) == str(error):
        return recording
    return _ended(recording).noted(Note(datetime.now(UTC), STUCK, str(error)))


def freed(folder: RecordingFolder, recording: Recording) -> Recording:
    """The recording after a step that worked, and in its journal: what it was stuck with is over."""
    return folder.update(_ended) if any(_open(note) for note in recording.notes) else recording


def homeless(recording: Recording, pbxs: Container[str]) -> Recording:
    """The recording as it is shown to people: stuck when its call ran on a PBX that is none of `pbxs`, the
    configured ones. That is nowhere written down, for it is over as soon as the PBX is configured again."""
    if recording.state not in RUNNING or recording.call.pbx in pbxs:
        return recording
    return recording.noted(Note(datetime.now(UTC), STUCK, str(no_pbx(recording.call.pbx))))


def no_pbx(pbx: str) -> ConfigError:
    return ConfigError(
        "capture.no-pbx",
        f'Recordings wait for the PBX "{pbx}", which is not in the configuration any more.',
        remedy=f"Put [pbx.{pbx}] back under this name and restart the recorder: they end when it is reached. "
        'Of a PBX that is gone for good its "recordings" folder will do: they end as cut off there, after '
        '"salvage_after".',
    )


def trouble(recording: Recording) -> str | None:
    """Why a recording is captured and cannot be sealed, or cannot end; None when nothing holds it."""
    if recording.state is State.FAILED:
        return recording.reason
    if recording.state not in UNSEALED | RUNNING:
        return None
    return next((note.detail for note in reversed(recording.notes) if _open(note)), None)


def stuck(recording: Recording) -> bool:
    """Whether a person has to act."""
    blocked = any(d.state is DeliveryState.BLOCKED for d in recording.deliveries)
    return blocked or trouble(recording) is not None or recording.state is State.FAILED


def due_now(recording: Recording, targets: frozenset[str] | None = None) -> Recording:
    """The recording with everything that waits for a later try due at once: failed legs are assembled again,
    deliveries to these targets (None: all) made. A recording that needs nothing is returned as it is.
    """
    if recording.state is State.FAILED and targets is None and recording.segments:
        return recording.moved(State.CAPTURED)
    deliveries = tuple(
        replace(one, state=DeliveryState.WAITING, next_try_at=None)
        if one.state is not DeliveryState.DELIVERED and (targets is None or one.target in targets)
        else one
        for one in recording.deliveries
    )
    return replace(recording, deliveries=deliveries) if deliveries != recording.deliveries else recording


def _open(note: Note) -> bool:
    return note.what == STUCK and note.until is None


def _ended(recording: Recording) -> Recording:
    now = datetime.now(UTC)
    notes = tuple(replace(note, until=now) if _open(note) else note for note in recording.notes)
    return replace(recording, notes=notes) if notes != recording.notes else recording
