"""One command inside the laboratory: the engine is there before it starts and gone, if ours, after it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from . import images, pbx
from .engine import Engine
from .progress import Progress, silent
from .signals import answered, leave

PR_SET_CHILD_SUBREAPER = 36
"""prctl(2): orphans below this process become its children, not those of process 1."""


def prepare(engine: Engine, names: Sequence[str], progress: Progress) -> None:
    """Remove what killed runs left behind, and have the images ready."""
    for name in pbx.sweep(engine):
        progress(f"removed {name}, left behind by a run that was killed")
    for name in names:
        progress(f"image {images.ensure(engine, name, progress=progress)} is ready")


def run(command: Sequence[str], names: Sequence[str], progress: Progress) -> int:
    """Run `command` with the engine and images at hand; its exit status, 128 + n when signal n ended it.

    Signals to this process are the command's to answer: it has its own process group, so that it is not
    hit twice by one Ctrl-C, and ends in its own order.
    """
    _adopt_orphans()
    engine = Engine(progress=progress)
    with answered(leave):
        try:
            engine.start()
            prepare(engine, names, progress)
            return _supervised(command)
        finally:
            # Quietly: the command's own last words stay the last ones.
            engine.progress = silent
            with answered(signal.SIG_IGN):
                engine.stop()
                _reap()


def _supervised(command: Sequence[str]) -> int:
    early: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if child is None:
            early.append(number)
        elif child.poll() is None:
            os.kill(child.pid, number)

    with answered(pass_on):
        sys.stdout.flush()
        child = subprocess.Popen(list(command), stdin=subprocess.DEVNULL, process_group=0)
        for number in early:
            os.kill(child.pid, number)
        status = _await(child)
    return status if status >= 0 else 128 - status


def _await(child: subprocess.Popen[bytes]) -> int:
    """The child's exit status, -n for signal n. Orphans are reaped as they end: somebody may wait for it."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child.pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return child.returncode


def _adopt_orphans() -> None:
    """Where process 1 does not reap (containers), orphans would stay as zombies for ever."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap() -> None:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
