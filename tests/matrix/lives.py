"""Lives of a process, each ended by SIGKILL at one moment: `python -m tests.matrix.lives` is their parent.

The parent has imported everything and forks for each life, so that one costs hundredths of a second: every
passing of every fault point can be a moment of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from ari_recorder.disk import faults

ROOT = Path(__file__).parents[2]
LONGEST = 60
"""Seconds that a life may last."""


@dataclass(frozen=True)
class Life:
    """How a life ended, and how often it passed each fault point; nothing is known of one that was killed."""

    killed: bool
    passed: dict[str, int]
    error: str


class Parent:
    """The process that forks."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def live(self, scene: str, folder: Path, moment: str = "") -> Life:
        """One life of `scenes.SCENES[scene]` in a folder, killed at `moment` (`point:n`) if it gets there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([scene, str(folder), moment]), file=self._process.stdin, flush=True)
        status, passed, error = json.loads(self._process.stdout.readline())
        assert status in (0, -signal.SIGKILL), f"{scene} {moment}: status {status}\n{error}"
        return Life(status != 0, passed, error)


@contextmanager
def parent() -> Iterator[Parent]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.matrix.lives"],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != faults.FAULT_VARIABLE} | {"TZ": "UTC"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Parent(process)
    finally:
        process.communicate(timeout=30)  # it ends with its input


def _child(scene: str, folder: Path, moment: str, out: int) -> None:
    from .scenes import SCENES

    deadly = faults._killer(moment) if moment else faults._nothing
    passed: Counter[str] = Counter()

    def hook(name: str) -> None:
        passed[name] += 1
        deadly(name)

    faults.hook = hook
    status, error = 0, ""
    try:
        signal.alarm(LONGEST)
        SCENES[scene](folder)
    except BaseException:
        status, error = 1, traceback.format_exc()
    os.write(out, json.dumps([passed, error]).encode())
    os._exit(status)


def _forked(scene: str, folder: Path, moment: str) -> tuple[int, object, str]:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        _child(scene, folder, moment, write)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        text = told.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    passed, error = json.loads(text) if text else ({}, "")
    return status, passed, error


def main() -> None:
    from . import scenes  # noqa: F401 - what every life would else have to import by itself

    # Here, in the process of the lives: the tests' own must go on logging.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a life prints is no answer
    for line in sys.stdin:
        scene, folder, moment = json.loads(line)
        print(json.dumps(_forked(scene, Path(folder), moment)), file=answers, flush=True)


if __name__ == "__main__":
    main()
