"""What processes have cost so far, as the kernel counts it: CPU time and memory.

Source of the facts: proc(5). utime and stime of `/proc/<pid>/stat` (fields 14 and 15) count all threads of a
process, ended ones included, and their sum is taken from the scheduler's nanoseconds, not from timer ticks
(kernel/sched/cputime.c, `cputime_adjust`), so that only the last tick of 10 ms is rounded off.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ari_recorder.model.errors import TransientError

TICKS = os.sysconf("SC_CLK_TCK")
"""Ticks in a second."""

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Stat:
    """What counts of one line of `/proc/<pid>/stat`."""

    pid: int
    parent: int
    ticks: int
    """CPU time of the process and of those of its children that have ended."""

    @classmethod
    def parse(cls, text: str) -> Stat:
        """ValueError when it is no such line. A program's name may hold blanks and parentheses."""
        number, _, rest = text.partition(" (")
        fields = rest.rpartition(") ")[2].split()
        if len(fields) < 15:
            raise ValueError(f"not a line of /proc/<pid>/stat: {text!r}")
        return cls(int(number), int(fields[1]), sum(int(ticks) for ticks in fields[11:15]))


def peak_bytes(status: str) -> int:
    """The most memory a process ever had resident: VmHWM of its `/proc/<pid>/status`.

    ValueError when the text does not tell (kernel threads and zombies have none).
    """
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            number, unit = value.split()
            if unit == "kB":
                return int(number) * 1024
    raise ValueError("a process without VmHWM")


def busy_ticks(stat: str) -> int:
    """Ticks in which the machine's CPUs did anything, from the text of `/proc/stat`.

    ValueError when the text does not tell. Time stolen by other guests of the host counts as busy.
    """
    for line in stat.splitlines():
        words = line.split()
        if words and words[0] == "cpu" and len(words) >= 9:
            user, nice, system, _idle, _iowait, irq, softirq, steal = (int(word) for word in words[1:9])
            return user + nice + system + irq + softirq + steal
    raise ValueError("a /proc/stat without CPUs")


def family(root: int, stats: Iterable[Stat]) -> list[Stat]:
    """The process `root` and everything below it; empty when it is not among `stats`."""
    known = {stat.pid: stat for stat in stats}
    below: dict[int, list[int]] = {}
    for stat in known.values():
        below.setdefault(stat.parent, []).append(stat.pid)
    found, waiting = [], [root] if root in known else []
    while waiting:
        pid = waiting.pop()
        found.append(known[pid])
        waiting += below.get(pid, [])
    return found


def cpu_seconds(root: int, *, proc: Path = PROC) -> float:
    """CPU seconds of the process `root` and its descendants, living and ended.

    TransientError `lab.failed` when the process has ended: what it cost is no longer known.
    """
    found = family(root, _stats(proc))
    if not found:
        raise TransientError("lab.failed", f"Process {root} ended while its cost was measured.")
    return sum(stat.ticks for stat in found) / TICKS


def machine_seconds(*, proc: Path = PROC) -> float:
    """CPU seconds that this machine's cores have worked since it was started."""
    return busy_ticks((proc / "stat").read_text(encoding="ascii")) / TICKS


def peak_memory(pid: int, *, proc: Path = PROC) -> int:
    """Bytes of memory the process had resident at most; it must be running."""
    return peak_bytes((proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace"))


def _stats(proc: Path) -> Iterator[Stat]:
    for entry in proc.iterdir():
        if entry.name.isdecimal():
            try:
                yield Stat.parse((entry / "stat").read_text(encoding="utf-8", errors="replace"))
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended between the listing and the reading
