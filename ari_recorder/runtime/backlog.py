"""What an earlier life left in the spool: what was running is found at once, the rest is only sorted.

20 000 recordings may wait. Before a PBX is connected only those matter whose calls may still run, so only
they are read; the others are told by the first bytes of their journals and read when their turn comes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..model.errors import RecorderError
from ..model.recording import Recording, State
from ..spool.folders import RecordingFolder, Spool
from ..spool.stuck import RUNNING

TO_COMPLETE = frozenset({State.CAPTURED, State.ASSEMBLED, State.REFUSED})
MOST_FAILED = 100
"""Failed recordings that are read, to say what is wrong with them."""


@dataclass(slots=True)
class Backlog:
    """Folders in the order of their ids."""

    running: list[Recording] = field(default_factory=list)
    to_complete: list[RecordingFolder] = field(default_factory=list)
    to_deliver: list[RecordingFolder] = field(default_factory=list)
    failed: list[Recording] = field(default_factory=list)
    """At most `MOST_FAILED`."""
    refused: list[Recording] = field(default_factory=list)
    """Whose legs are still to be cleared away; there are never many."""
    damaged: list[tuple[RecordingFolder, RecorderError]] = field(default_factory=list)

    def sort_in(self, folder: RecordingFolder, state: State | None) -> None:
        """Put one folder where its next step is; `state` is None where only reading it whole can tell."""
        to_tell = state is State.FAILED and len(self.failed) < MOST_FAILED
        if state is None or state in RUNNING or state is State.REFUSED or to_tell:
            self._read(folder)
        elif state in TO_COMPLETE:
            self.to_complete.append(folder)
        elif state is not State.FAILED:
            self.to_deliver.append(folder)

    def _read(self, folder: RecordingFolder) -> None:
        try:
            recording = folder.load()
        except RecorderError as error:
            if folder.path.exists():
                self.damaged.append((folder, error))
            return
        if recording.state in RUNNING:
            self.running.append(recording)
        elif recording.state is State.FAILED:
            self.failed.append(recording)
        elif recording.state is State.REFUSED:
            self.refused.append(recording)
            self.to_complete.append(folder)
        else:
            self.sort_in(folder, recording.state)


def survey(spool: Spool) -> Backlog:
    """The whole spool in one pass. Blocks; 20 000 recordings take about half a second."""
    found = Backlog()
    for folder, state in spool.states():
        found.sort_in(folder, state)
    return found
