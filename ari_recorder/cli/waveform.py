"""Both sides of a recording as two lines of blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

BLOCKS = " ▁▂▃▄▅▆▇█"
NAMES = ("left", "right")
COLOURS = ("cyan", "magenta")


def draw(path: Path, *, width: int) -> list[str]:
    """One line a channel, loud is high, and a time line below; markup of rich."""
    with soundfile.SoundFile(str(path)) as file:
        seconds = file.frames / file.samplerate
        step = max(1, -(-file.frames // width))
        peaks = [np.abs(block).max(axis=0) for block in file.blocks(step, dtype="float32", always_2d=True)]
    lines = []
    for number in range(len(peaks[0]) if peaks else 0):
        levels = [BLOCKS[min(8, int(8.99 * float(peak[number]) ** 0.5))] for peak in peaks]
        lines.append(f"{NAMES[number]:>6}  [{COLOURS[number]}]{''.join(levels)}[/]")
    end = f"{seconds:.1f} s"
    lines.append(f"{'':>6}  [dim]0{end:>{max(2, len(peaks) - 1)}}[/]")
    return lines
