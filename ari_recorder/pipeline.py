"""READ FIRST: the steps of one recording, from the last sample of its call to the archive.

    call event → decision → capture → assembly → seal → spool → delivery
    asterisk/    rules/     capture/  audio/     evidence/ spool/ targets/

Up to the end of the call, `runtime/pbx/link.py` leads events through `capture/`. From then on a recording is
a folder in the spool whose state says which step is next. Every step may be repeated after a crash: it
either finds its work done or does it again with the same result, and only then is the new state journalled.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from .asterisk.absent_legs import AbsentLegs
from .asterisk.legs import LegStore, collect, discard
from .audio.assembly import assemble
from .audio.legs import leg_file
from .disk import durable
from .disk.faults import fault_point
from .evidence.chain import Chain
from .evidence.keys import Keys
from .evidence.seal import seal
from .model.errors import ConfigError
from .model.recording import ADOPTED, Recording, State
from .spool.folders import RecordingFolder
from .targets.paths import base_name


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Blocking: run it in a thread."""

    keys: Keys
    chain: Chain
    recordings: Mapping[str, Path | LegStore]
    """Where each PBX's legs are: its recording folder, as the recorder sees it, or another way to them."""
    undeletable: Callable[[str, tuple[str, ...]], None] = lambda _pbx, _names: None
    """Told of the PBX and the names of legs that this process cannot delete: Asterisk can."""

    def advance(self, folder: RecordingFolder, *, may_begin: Callable[[], bool] = lambda: True) -> Recording:
        """Take a recording as far as it goes by itself: captured → assembled → sealed.

        `may_begin` is asked before each step.
        """
        recording = folder.load()
        while may_begin() and (step := self._steps.get(recording.state)):
            recording = step(recording, folder)
            folder.save(recording)
        return recording

    def _legs_of(self, recording: Recording) -> Path | LegStore:
        pbx = recording.call.pbx
        if pbx not in self.recordings and any(note.what == ADOPTED for note in recording.notes):
            return AbsentLegs(pbx)
        if pbx not in self.recordings:
            raise ConfigError(
                "config.reference",
                f'The recording belongs to the PBX "{pbx}", which is no longer configured.',
                remedy=f"Put [pbx.{pbx}] back until its recordings are done.",
            )
        return self.recordings[pbx]

    @property
    def _steps(self) -> Mapping[State, Callable[[Recording, RecordingFolder], Recording]]:
        return {State.CAPTURED: self._assemble, State.ASSEMBLED: self._seal}

    def _assemble(self, recording: Recording, folder: RecordingFolder) -> Recording:
        folder.demand_room(max(0, _needed(recording) - _lying_in(folder)))
        recording = collect(recording, self._legs_of(recording), folder.legs, leg_file, folder.save)
        fault_point("legs.copied")
        folder.save(recording)
        assembled = assemble(recording, folder.legs, folder.path, base_name(recording))
        fault_point("assembly.done")
        return replace(recording, assembled=assembled).moved(State.ASSEMBLED)

    def _seal(self, recording: Recording, folder: RecordingFolder) -> Recording:
        name = base_name(recording)
        sealed = seal(recording, folder.path, name, self.keys, self.chain, now=datetime.now(UTC))
        fault_point("seal.done")
        self.discard(recording)
        shutil.rmtree(folder.legs, ignore_errors=True)
        fault_point("seal.cleared")
        return replace(recording, sealed=sealed).moved(State.SEALED)

    def discard(self, recording: Recording) -> None:
        """No audio stays on the PBX: of a call that is sealed here, or of one that was refused."""
        if not recording.segments:
            return
        left = discard(recording, self._legs_of(recording))
        if left:
            self.undeletable(recording.call.pbx, left)


def _lying_in(folder: RecordingFolder) -> int:
    """Bytes of that which an earlier try has made already, and this one takes as it is or writes anew."""
    with durable.explained(f"Looking into {folder.path}"):
        made = (*folder.legs.glob("*"), *folder.path.glob(".*.part"))
        return sum(path.stat().st_size for path in made)


def _needed(recording: Recording) -> int:
    """Bytes that both legs and the assembled file will take at most, as far as the call's length is known."""
    call = recording.call
    if call.created_at is None or call.ended_at is None:
        return 0
    seconds = (call.ended_at - call.created_at).total_seconds()
    rate = max((segment.rate for segment in recording.segments), default=0)
    return max(0, round(seconds * rate * 8))
