"""`lab run`: the command's status is ours, its signals are passed on, the engine is left in any case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ari_recorder.lab import checkout

PROGRAM = """
import sys
from pathlib import Path
from ari_recorder.lab import engine, supervise
from ari_recorder.lab.progress import silent

class Recorded(engine.Engine):
    def start(self):
        print("engine started", flush=True)
        return self
    def stop(self):
        print("engine stopped", flush=True)

supervise.Engine = Recorded
supervise.prepare = lambda engine, names, progress: None
sys.exit(supervise.run(sys.argv[1:], (), silent))
"""


def supervised(words: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words], stdout=subprocess.PIPE, text=True, cwd=checkout.root()
    )


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_the_status_is_the_commands(script: str, status: int) -> None:
    with supervised(["sh", "-c", f"echo command; {script}"]) as run:
        out, _ = run.communicate(timeout=30)
    assert run.returncode == status
    assert out.split("\n") == ["engine started", "command", "engine stopped", ""]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_the_commands_to_answer(number: signal.Signals) -> None:
    script = "trap 'echo command told; exit 5' INT TERM; echo ready; while :; do sleep 0.05; done"
    with supervised(["sh", "-c", script]) as run:
        assert run.stdout is not None
        assert [run.stdout.readline() for _ in range(2)] == ["engine started\n", "ready\n"]
        run.send_signal(number)
        out, _ = run.communicate(timeout=30)
    assert run.returncode == 5
    assert out == "command told\nengine stopped\n"


def test_orphans_of_the_command_leave_no_zombie(tmp_path: Path) -> None:
    """The grandchild is orphaned, ends, and is reaped by the supervisor and nobody else."""
    note = tmp_path / "orphan"
    with supervised(["sh", "-c", f"(sh -c 'echo $$ > {note}; exit 0' &) ; sleep 0.2"]) as run:
        run.communicate(timeout=30)
    orphan = int(note.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(orphan, 0)


def test_orphans_are_reaped_while_the_command_runs(tmp_path: Path) -> None:
    """Whoever killed a process that is nobody's child any more may wait until it is gone."""
    note = tmp_path / "orphan"
    look = (
        "while kill -0 $(cat {note}) 2>/dev/null; do i=$((i+1)); [ $i -gt 200 ] && exit 9; sleep 0.05; done"
    )
    orphan = (
        "(sh -c 'echo $$ > {note}; exec sleep 0.3' &) ; while [ ! -s {note} ]; do sleep 0.05; done; i=0; "
    )
    with supervised(["sh", "-c", (orphan + look).format(note=note)]) as run:
        run.communicate(timeout=30)
    assert run.returncode == 0
