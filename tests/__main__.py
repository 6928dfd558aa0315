"""`make test`: every test, the quick ones in the shadow of those that hold real calls.

Calls go in real time: they want the processor at once when they want it, and mostly wait. So the rest runs
beside them at a priority that gets only what they leave (SCHED_IDLE, sched(7)). What it says stands behind
what they say, for two reports in one are none.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

LIVE = ("tests/integration", "tests/crash", "tests/soak")
"""Real calls, one test after the other."""

PYTEST = (sys.executable, "-m", "pytest")
PATIENCE = 600
"""Seconds for a quick test: calls may keep it waiting."""
HERE = Path(__file__).parent
GRACE = 60.0
"""Seconds that a half gets to clear up when it is told to stop."""


def quick() -> list[str]:
    """Every other folder with tests: none can be forgotten."""
    folders = {test.relative_to(HERE).parts[0] for test in HERE.rglob("test_*.py")}
    return sorted({f"tests/{folder}" for folder in folders} - set(LIVE))


def main() -> int:
    with tempfile.TemporaryFile() as said, _Halves(said) as halves:
        live = halves.live.wait()
        print(f"\n{', '.join(quick())}, meanwhile:", flush=True)  # noqa: T201
        rest = halves.follow()
    return live or rest


class _Halves:
    """Both at work; whatever ends this process ends them, too."""

    def __init__(self, said: IO[bytes]) -> None:
        self._said = said

    def __enter__(self) -> _Halves:
        self.quick = subprocess.Popen(
            [*PYTEST, "-n", "2", "--dist", "worksteal", f"--timeout={PATIENCE}", *quick()],
            stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said, preexec_fn=_modest,
        )  # fmt: skip
        self.live = subprocess.Popen([*PYTEST, *LIVE], stdin=subprocess.DEVNULL)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        for half in (self.live, self.quick):
            if half.poll() is None:
                half.send_signal(signal.SIGINT)
        for half in (self.live, self.quick):
            try:
                half.wait(GRACE)
            except subprocess.TimeoutExpired:
                half.kill()
                half.wait()

    def follow(self) -> int:
        """Show what the quick half says until its end; its exit status."""
        shown = 0
        while True:
            status = self.quick.poll()
            self._said.flush()
            more = os.pread(self._said.fileno(), 1 << 20, shown)
            shown += len(more)
            sys.stdout.buffer.write(more)
            sys.stdout.flush()
            if not more and status is not None:
                return status
            if not more:
                time.sleep(0.2)

    def _pass_on(self, number: int, _frame: object) -> None:
        for half in (self.live, self.quick):
            if half.poll() is None:
                half.send_signal(signal.SIGINT)


def _modest() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


if __name__ == "__main__":
    os.chdir(HERE.parent)
    sys.exit(main())
