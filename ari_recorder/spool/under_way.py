"""What is being put into targets now, in whatever lane, and which of it stands still."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..targets.base import Target
from ..targets.progress import Progress, followed

PATIENCE = 600.0
"""Seconds without a byte after which a target does not answer. Longer than any target's own time limit, and
than the slowest disk takes to sync what was written to it."""


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    recording: str
    target: Target
    progress: Progress


class UnderWay:
    """For several threads at once."""

    def __init__(self, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic) -> None:
        self.patience = patience
        self._clock = clock
        self._uploads: set[Upload] = set()
        self._guard = threading.Lock()

    @contextmanager
    def putting(self, recording_id: str, target: Target) -> Iterator[None]:
        """As long as the calling thread is inside the target."""
        upload = Upload(recording_id, target, Progress(self._clock))
        with self._guard:
            self._uploads.add(upload)
        try:
            with followed(upload.progress):
                yield
        finally:
            with self._guard:
                self._uploads.discard(upload)

    def hung(self) -> list[Upload]:
        """What has not moved for too long. It may still go on one day, or never."""
        with self._guard:
            return [upload for upload in self._uploads if upload.progress.still >= self.patience]
