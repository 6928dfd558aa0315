"""Who waits for which spool folder's disk, so that one that hangs is left out and holds up nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from ..model.errors import TransientError
from .place import Place

OPENING = 20.0
"""Seconds that a folder may take to open at start; a disk that sleeps wakes up in some ten."""

log = structlog.get_logger(__name__)


class Waits:
    """Threads that wait for a disk now. May be used from any thread."""

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}

    @contextmanager
    def at(self, place: Place) -> Iterator[None]:
        """This thread may have to wait for the folder's disk as long as this lasts."""
        thread = threading.get_ident()
        before = self._places.get(thread)
        self._places[thread] = place
        try:
            yield
        finally:
            if before is None:
                del self._places[thread]
            else:
                self._places[thread] = before

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """This thread may have to wait for a disk that is no spool folder's as long as this lasts."""
        thread = threading.get_ident()
        before = self._places.pop(thread, None)
        try:
            yield
        finally:
            if before is not None:
                self._places[thread] = before

    def leave_out(self, thread: int) -> Place | None:
        """That thread waits too long: the folder whose disk it waits for is not touched any more, until that
        folder's `answers()` is called. None where it waits for something else."""
        place = self._places.get(thread)
        if place is not None:
            leave_out(place)
        return place


def leave_out(place: Place) -> None:
    """It is not touched any more, until its `answers()` is called."""
    if not place.hangs:
        log.error("A spool folder's disk hangs", action="spool.hangs", folder=str(place.root))
        place.hang(hanging(place))


def open_in_time(place: Place, opening: Callable[[Place], None]) -> None:
    """Open a folder in a thread that nobody waits for longer than `OPENING` seconds: then it hangs, until it
    has answered. Raises what `opening` raises."""
    ended = threading.Event()
    failures: list[BaseException] = []

    def body() -> None:
        try:
            opening(place)
        except BaseException as error:
            failures.append(error)
        ended.set()
        if place.hangs:
            place.answers()

    threading.Thread(target=body, name=f"open-{place.name}", daemon=True).start()
    if not ended.wait(OPENING):
        place.hang(hanging(place))
        if ended.is_set():  # in this very moment, and it may have passed its last look
            place.answers()
    if failures:
        raise failures[0]


def hanging(place: Place) -> TransientError:
    return TransientError(
        "spool.unusable",
        f"The disk of the spool folder {place.root} does not answer.",
        remedy="Look at the disk (dmesg) and at its mount. What it holds goes on by itself when it answers.",
    )
