"""What is in a spool, for people: everything is counted, and what is worth showing is read. Blocks.

20 000 recordings may wait, so most of them are only told by the first bytes of their journals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field

from ..model.errors import RecorderError
from ..model.recording import Recording, State
from .folders import JOURNAL, RecordingFolder, Spool
from .stuck import RUNNING, homeless, stuck

WAITING = frozenset({State.SEALED, State.DELIVERING})
MOST = 100
"""Recordings that are read, those being recorded not counted."""

_BLOCKED = b'"state": "blocked"'


@dataclass(slots=True)
class Inventory:
    counts: Counter[State] = field(default_factory=Counter)
    recordings: list[Recording] = field(default_factory=list)
    """By id: all that are being recorded, then what a person has to act for, then the newest."""
    left_out: int = 0
    """Recordings that are only counted."""
    stuck: int = 0
    """How many wait for a person, also among those left out."""
    damaged: dict[str, RecorderError] = field(default_factory=dict)


def inventory(spool: Spool, pbxs: Container[str], most: int = MOST) -> Inventory:
    """Everything in a spool. `pbxs`: the configured ones."""
    found = Inventory()
    running: list[RecordingFolder] = []
    trouble: list[RecordingFolder] = []
    others: list[RecordingFolder] = []
    for folder, state in spool.states():
        if state is not None:
            found.counts[state] += 1
        if state in RUNNING:
            running.append(folder)
        elif state in (None, State.FAILED) or (state in WAITING and blocked(folder)):
            trouble.append(folder)
        else:
            others.append(folder)
    chosen = [*running, *trouble[::-1][:most], *others[::-1][: max(0, most - len(trouble))]]
    read = (homeless(recording, pbxs) for recording in _read(chosen, found))
    found.recordings = sorted(read, key=lambda recording: recording.id)
    shown = sum(stuck(recording) for recording in found.recordings)
    found.stuck = shown + max(0, len(trouble) - most)
    found.left_out = len(running) + len(trouble) + len(others) - len(chosen)
    return found


def blocked(folder: RecordingFolder) -> bool:
    """Whether a delivery of a recording is blocked, from the bytes of its journal as we write them: text from
    outside stands there with its quotation marks escaped."""
    try:
        return _BLOCKED in (folder.path / JOURNAL).read_bytes()
    except OSError:
        return False


def _read(folders: Iterable[RecordingFolder], found: Inventory) -> Iterator[Recording]:
    for folder in folders:
        try:
            yield folder.load()
        except RecorderError as error:
            if folder.path.exists():
                found.damaged[folder.id] = error
