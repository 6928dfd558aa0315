"""Processes by identity: a number alone may belong to somebody else by tomorrow.

Source of the facts: proc(5), `/proc/<pid>/stat` fields 3 (state), 4 (parent) and 22 (start time in ticks).
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..model.errors import TransientError
from .programs import wait_until


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told from all others by its number, its start time and the namespace it lives in."""

    pid: int
    started: int
    space: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The running process of that number; None when there is none (a zombie is none)."""
        fields = _stat(pid)
        if fields is None or fields[0] in "ZX":
            return None
        return cls(pid, int(fields[19]), _space())

    @classmethod
    def current(cls) -> Process:
        me = cls.of(os.getpid())
        assert me is not None  # noqa: S101 - it asks
        return me

    @classmethod
    def parse(cls, text: str) -> Process | None:
        """The reverse of `str`; None for anything else."""
        pid, _, rest = text.strip().partition(".")
        started, _, space = rest.partition(".")
        if not (pid.isdecimal() and started.isdecimal() and space):
            return None
        return cls(int(pid), int(started), space)

    def __str__(self) -> str:
        return f"{self.pid}.{self.started}.{self.space}"

    @property
    def runs_here(self) -> bool:
        """Running, and within reach of this process's signals."""
        return self.space == _space() and Process.of(self.pid) == self

    @property
    def alive(self) -> bool:
        """Still running. A process of another namespace or another boot is not this one's to judge: alive."""
        return self.space != _space() or Process.of(self.pid) == self

    @property
    def gone(self) -> bool:
        """Ended, and its parent has taken notice."""
        fields = _stat(self.pid)
        return fields is None or int(fields[19]) != self.started

    def children(self) -> tuple[Process, ...]:
        """Its direct children, at this moment."""
        numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
        born = (number for number in numbers if (fields := _stat(number)) and int(fields[1]) == self.pid)
        return tuple(child for number in born if (child := Process.of(number)))

    def send(self, number: signal.Signals) -> None:
        """Signal exactly this process; nothing happens when it has ended."""
        if self.runs_here:
            with suppress(ProcessLookupError):  # it ended in this very moment
                os.kill(self.pid, number)

    def end(self, *, limit: float) -> None:
        """SIGTERM, and SIGKILL after `limit` seconds; returns when the process is gone."""
        self.send(signal.SIGTERM)
        try:
            wait_until(f"the end of process {self.pid}", lambda: not self.alive, limit=limit)
        except TransientError:
            self.send(signal.SIGKILL)
            wait_until(f"the end of process {self.pid}", lambda: not self.alive, limit=10)


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(") ")[2].split()


def _space() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip().replace("-", "")
    namespace = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    return f"{boot[:16]}.{namespace}"
