"""What a program leaves behind when it has ended: processes below it, containers it made."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ari_recorder.lab.engine import Engine
from ari_recorder.lab.pbx import OWNER, RUN
from ari_recorder.lab.processes import Process
from ari_recorder.lab.supervise import PR_SET_CHILD_SUBREAPER

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended, and what it left."""

    status: int
    out: str
    err: str
    processes: tuple[str, ...]
    """Command lines of what it started and did not end."""
    containers: tuple[str, ...]


def followed(command: Sequence[str], *, engine: Engine, limit: float, columns: int = 100) -> Ended:
    """Run a program to its end, at most `limit` seconds, and look for what still runs of it.

    Orphans become children of this process meanwhile (prctl(2)), so that none of the program's is missed
    and nobody else's is taken for one, however busy the machine is. Whatever is left is ended then.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = set(Process.current().children())
    environment = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "TTY_COMPATIBLE")}
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        # Not pipes: who is left behind holds them open.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            program = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment | {"COLUMNS": str(columns)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            in_time = _ends(program, limit)
            said, complained = (_read(each) for each in (out, err))
        assert in_time, f"It took over {limit:g} s. {said}{complained}"
        left = [child for child in Process.current().children() if child not in before]
        told = tuple(_command_line(child) for child in left)
        for child in left:
            child.end(limit=5)
            os.waitpid(child.pid, 0)
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    return Ended(program.returncode, said, complained, told, _containers(engine, program.pid))


def python(*words: str) -> list[str]:
    """The command line of this checkout's `ari-recorder`."""
    return [sys.executable, "-m", "ari_recorder", *words]


def _ends(program: subprocess.Popen[bytes], limit: float) -> bool:
    """Whether it ended in time; it has ended in any case."""
    try:
        program.wait(limit)
    except subprocess.TimeoutExpired:
        program.terminate()  # it clears its stage away
        program.wait(60)
        return False
    return True


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _command_line(process: Process) -> str:
    return Path(f"/proc/{process.pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()


def _containers(engine: Engine, pid: int) -> tuple[str, ...]:
    form = f'{{{{.Names}}}} {{{{.Label "{OWNER}"}}}}'
    listed = engine.docker("ps", "--all", "--filter", f"label={RUN}", "--format", form).out
    owned = (line.split(" ") for line in listed.splitlines())
    return tuple(name for name, owner in owned if owner.startswith(f"{pid}."))
