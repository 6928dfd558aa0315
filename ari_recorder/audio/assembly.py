"""Carry out the plan: legs in, sealed-to-be WAV out, in constant memory and always the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..disk import durable
from ..disk.faults import fault_point
from ..model.call import Side
from ..model.recording import Assembled, AudioFile, Coding, Note, Recording, Sides
from .align import align
from .g711 import OFF_GRID, Marked, Samples, law
from .legs import BLOCK, Legs
from .plan import Format, Piece, Plan
from .stretches import Stretches
from .wav import LIMIT, WavWriter

MOST_OFF_GRID_NOTES = 20
"""For each side; more stretches than this are told as fewer, longer ones."""

Progress = Callable[[float], None]


def assemble(
    recording: Recording,
    legs: Path,
    out: Path,
    name: str,
    *,
    progress: Progress | None = None,
    limit: int = LIMIT,
) -> Assembled:
    """Write the recording's WAV file or files into `out` and say what they are.

    `legs` holds `<segment.number>-remote.sln` and `…-local.sln`: 16-bit little-endian at the segment's
    rate. Written are `<name>.wav` (stereo: remote left, local right; or one side) or `<name>_remote.wav`
    and `<name>_local.wav`, each complete and durable before it gets its name. The same recording always
    gives the same bytes. `progress` hears the finished share, 0 to 1; `limit` is where RF64 begins.

    RecorderError `audio.leg` (a leg cannot be read) or `capture.no-legs` (there is none); PermanentError
    `audio.too-long`; TransientError `spool.full` or `spool.unusable`.
    """
    if Path(name).name != name:
        raise ValueError(f"{name!r} is not a base name")
    source = Legs(recording, legs)
    plan = align(recording, source.sizes, source.sounding)
    with durable.explained(f"Assembling {name}"):
        outputs = _write(plan, source, _files(recording.setting.sides, name), out, progress, limit)
    notes = [note for output in outputs for encoder in output.encoders for note in encoder.notes(plan)]
    return Assembled(
        files=tuple(output.described(plan) for output in outputs),
        begins_at=plan.begins_at,
        seconds=plan.frames / plan.format.rate,
        exact=plan.exact and all(e.exact for output in outputs for e in output.encoders),
        edits=tuple(sorted([*plan.notes, *notes], key=lambda note: note.at)),
    )


def _files(sides: Sides, name: str) -> dict[str, tuple[Side, ...]]:
    if sides is Sides.SEPARATE:
        return {f"{name}_{side}.wav": (side,) for side in (Side.REMOTE, Side.LOCAL)}
    if sides is Sides.STEREO:
        return {f"{name}.wav": (Side.REMOTE, Side.LOCAL)}
    return {f"{name}.wav": (Side(sides.value),)}


class _Encoder:
    """One channel: samples to the file's coding, remembering which of them the coding cannot hold."""

    def __init__(self, side: Side, form: Format) -> None:
        self.side, self.form = side, form
        self.law = None if form.coding is Coding.PCM16 else law(form.coding)
        self.off_grid = Stretches(near=form.rate)
        self._marked: Marked = np.empty(BLOCK, dtype=np.uint16)

    @property
    def exact(self) -> bool:
        return not self.off_grid.count

    def encode(self, samples: Samples, at: int) -> Samples | Marked:
        """The samples as they are written, the code in the low byte; `at` is the first one's place."""
        if self.law is None:
            return samples
        marked = self.law.mark(samples, out=self._marked[: len(samples)])
        if marked.max() >= OFF_GRID:
            self.off_grid.add(np.flatnonzero(marked >= OFF_GRID), at)
        return marked

    def notes(self, plan: Plan) -> Iterator[Note]:
        """Where samples were not the coding's own; what the plan converted is told there already."""
        for first, end in self.off_grid.at_most(MOST_OFF_GRID_NOTES):
            if not any(start <= first and end <= stop for start, stop in _converted(plan, self.side)):
                detail = (
                    f"{self.side}: sound that did not come as {self.form}, as when the PBX makes or mixes "
                    "it; it stands as Asterisk encodes it"
                )
                yield Note(plan.time(first), "off-grid", detail, plan.time(end))


def _converted(plan: Plan, side: Side) -> list[tuple[int, int]]:
    parts = next(track.parts for track in plan.tracks if track.side is side)
    return [(p.at, p.at + p.length) for p in parts if isinstance(p, Piece) and p.converted]


@dataclass(slots=True)
class _Output:
    """One file under way: its writer stands on a temporary name."""

    name: str
    writer: WavWriter
    encoders: list[_Encoder]

    def write(self, blocks: dict[Side, Samples], at: int) -> None:
        count = len(next(iter(blocks.values())))
        kind = "<i2" if self.writer.coding is Coding.PCM16 else np.uint8
        frames = np.empty((count, len(self.encoders)), dtype=kind)
        for channel, encoder in enumerate(self.encoders):
            np.copyto(frames[:, channel], encoder.encode(blocks[encoder.side], at), casting="unsafe")
        self.writer.write(frames.data)

    def described(self, plan: Plan) -> AudioFile:
        return AudioFile(
            name=self.name,
            channels=tuple(encoder.side for encoder in self.encoders),
            coding=plan.format.coding,
            rate=plan.format.rate,
            samples=plan.frames,
            bytes=self.writer.bytes,
            sha256=self.writer.sha256,
        )


def _write(
    plan: Plan,
    source: Legs,
    files: dict[str, tuple[Side, ...]],
    out: Path,
    progress: Progress | None,
    limit: int,
) -> list[_Output]:
    form = plan.format
    temporary = {name: out / f".{name}.part" for name in files}
    try:
        with ExitStack() as stack:
            outputs = [
                _Output(
                    name,
                    stack.enter_context(
                        WavWriter(
                            temporary[name], form.coding, form.rate, len(sides), plan.frames, limit=limit
                        )
                    ),
                    [_Encoder(side, form) for side in sides],
                )
                for name, sides in files.items()
            ]
            _stream(plan, source, outputs, progress)
        for name, path in temporary.items():
            durable.rename(path, out / name)
        durable.sync_folder(out)
    finally:
        for path in temporary.values():
            durable.remove(path)
    return outputs


def _stream(plan: Plan, source: Legs, outputs: list[_Output], progress: Progress | None) -> None:
    sides = [track.side for track in plan.tracks]
    at = 0
    for blocks in zip(*(source.blocks(track, plan.format.rate) for track in plan.tracks), strict=True):
        for output in outputs:
            output.write(dict(zip(sides, blocks, strict=True)), at)
        at += len(blocks[0])
        fault_point("assembly.block")
        if progress is not None:
            progress(at / plan.frames)
    if progress is not None and not plan.frames:
        progress(1.0)
