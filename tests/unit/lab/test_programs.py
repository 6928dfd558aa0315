from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ari_recorder.lab import checkout
from ari_recorder.lab.processes import Process
from ari_recorder.lab.programs import call, follow, wait_until
from ari_recorder.lab.progress import silent
from ari_recorder.model.errors import ConfigError, TransientError


def test_a_call_gives_status_and_words() -> None:
    done = call(["sh", "-c", "cat; echo no >&2; exit 3"], limit=10, check=False, text="yes")
    assert (done.status, done.out, done.err) == (3, "yes", "no\n")


def test_a_failure_carries_the_end_of_what_was_said() -> None:
    with pytest.raises(TransientError, match="the reason") as failed:
        call(["sh", "-c", "echo the reason >&2; exit 1"], limit=10)
    assert failed.value.code == "lab.failed"


def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(TransientError, match=r"more than 0\.2 s"):
        call([sys.executable, "-c", "import time; time.sleep(60)"], limit=0.2)
    with pytest.raises(TransientError, match=r"more than 0\.2 s"):
        follow([sys.executable, "-c", "import time; time.sleep(60)"], limit=0.2, progress=silent)


def test_what_cannot_start_is_missing() -> None:
    with pytest.raises(ConfigError, match="cannot be started") as refusal:
        call(["/no/such/program"], limit=1)
    assert refusal.value.code == "lab.missing"


def test_a_long_program_is_followed_line_by_line() -> None:
    lines: list[str] = []
    follow(["sh", "-c", "echo one; echo two >&2"], limit=10, progress=lines.append)
    assert lines == ["one", "two"]
    with pytest.raises(TransientError, match="two"):
        follow(["sh", "-c", "echo one; echo two; exit 1"], limit=10, progress=lines.append)


def test_waiting_ends_with_the_answer_or_the_deadline() -> None:
    answers = iter([None, 0, "", "here"])
    assert wait_until("an answer", lambda: next(answers), limit=5, every=0.001) == "here"
    with pytest.raises(TransientError, match=r"a miracle did not come within 0\.01 s"):
        wait_until("a miracle", lambda: None, limit=0.01, every=0.001)


def test_an_interrupted_program_may_clean_up_and_leaves_no_child(tmp_path: Path) -> None:
    script = "trap 'echo cleaned > note; exit' TERM; sleep 300 & echo $!; wait"
    program = f"""
from ari_recorder.lab.programs import follow
from ari_recorder.lab.signals import answered, leave

with answered(leave):
    follow(["sh", "-c", {script!r}], limit=60, progress=lambda line: print(line, flush=True))
"""
    environment = {**os.environ, "PYTHONPATH": str(checkout.root())}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
    ) as run:
        assert run.stdout is not None
        grandchild = int(run.stdout.readline())
        run.send_signal(signal.SIGTERM)
        assert run.wait(timeout=30) == 128 + signal.SIGTERM
    assert (tmp_path / "note").read_text() == "cleaned\n"
    wait_until("the end of the grandchild", lambda: Process.of(grandchild) is None, limit=10)
