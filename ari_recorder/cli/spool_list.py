"""`ari-recorder spool list`: what waits, and what it waits for."""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer

from ..model.delivery import DeliveryState
from ..model.errors import RecorderError
from ..model.recording import Recording, State
from ..runtime.foundations import spools
from ..spool.folders import RecordingFolder
from ..spool.stuck import homeless
from ..spool.stuck import stuck as is_stuck
from .console import ConfigPath, Exit, Json, emit, errors_explained, machine, out, shown
from .spool_rows import document, owed, reasons, table

StateChoice = Annotated[State | None, typer.Option("--state", help="Only those in this state.")]
TargetName = Annotated[
    str | None, typer.Option("--target", help="Only those that this target has not confirmed yet.")
]
Stuck = Annotated[bool, typer.Option("--stuck", help="Only those that wait for a person.")]
Since = Annotated[datetime | None, typer.Option(help="Only those decided since then (local time).")]
Limit = Annotated[int, typer.Option(help="At most so many, the newest; 0 for all. With --json always all.")]


def list_recordings(
    state: StateChoice = None,
    target: TargetName = None,
    stuck: Stuck = False,
    since: Since = None,
    limit: Limit = 100,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """List the recordings in the spool, oldest first.

    Exit code 1 when one of those listed waits for a person, or cannot be read.
    """
    with errors_explained(json):
        settings = machine(config)
        spool = spools(settings)
        chosen = _Chosen(state, target, stuck, since.astimezone() if since is not None else None)
        folders = [folder for folder, found in spool.states() if chosen.may_be(found)]
        listing = _Listing(chosen, 0 if json else limit, settings.pbx)
        found = listing.of(folders)
    if json:
        damaged = {name: str(error) for name, error in listing.damaged.items()}
        emit({"recordings": [document(r) for r in found], "damaged": damaged})
    else:
        _print(found, listing)
    trouble = bool(listing.damaged) or any(is_stuck(recording) for recording in found)
    raise SystemExit(Exit.FINDINGS if trouble else Exit.OK)


class _Chosen:
    def __init__(self, state: State | None, target: str | None, stuck: bool, since: datetime | None) -> None:
        self._state = state
        self._target = target
        self._stuck = stuck
        self._since = since

    def may_be(self, state: State | None) -> bool:
        """By the first bytes of the journal."""
        return self._state in (None, state) or state is None

    def holds(self, recording: Recording) -> bool:
        owes = [d.target for d in owed(recording) if d.state is not DeliveryState.DELIVERED]
        return (
            self._state in (None, recording.state)
            and (self._target is None or self._target in owes)
            and (not self._stuck or is_stuck(recording))
            and (self._since is None or recording.decided_at >= self._since)
        )


class _Listing:
    """The newest `limit` of the chosen recordings; `left_out` says whether there are more that may be."""

    def __init__(self, chosen: _Chosen, limit: int, pbxs: Container[str]) -> None:
        self._chosen = chosen
        self._pbxs = pbxs
        self._limit = limit
        self.left_out = 0
        self.damaged: dict[str, RecorderError] = {}

    def of(self, folders: list[RecordingFolder]) -> list[Recording]:
        found: list[Recording] = []
        for read, recording in enumerate(self._newest_first(folders), 1):
            if recording is not None and self._chosen.holds(recording):
                found.append(recording)
            if self._limit and len(found) == self._limit:
                self.left_out = len(folders) - read
                break
        return found[::-1]

    def _newest_first(self, folders: list[RecordingFolder]) -> Iterator[Recording | None]:
        for folder in reversed(folders):
            try:
                yield homeless(folder.load(), self._pbxs)
            except RecorderError as error:
                if folder.path.exists():
                    self.damaged[folder.id] = error
                yield None


def _print(found: list[Recording], listing: _Listing) -> None:
    if found:
        out.print(table(found, datetime.now(UTC), ids=True))
    for line in reasons(found):
        out.print(line)
    if listing.left_out:
        out.print(f"[dim]{listing.left_out} older ones were not looked at; --limit 0 shows all.[/]")
    for name, error in listing.damaged.items():
        out.print(f"[red]✗[/] {shown(name)}: {shown(error)}")
    if not found and not listing.damaged:
        out.print("Nothing in the spool is so.")
