from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from ari_recorder.lab.processes import Process


@pytest.fixture
def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def test_a_process_survives_being_written_down() -> None:
    me = Process.current()
    assert me.pid == os.getpid()
    assert Process.parse(f"{me}\n") == me
    assert me.alive
    assert not me.gone


@pytest.mark.parametrize("text", ["", "12", "12.34", "x.y.z", "12.34.", "../../etc/passwd"])
def test_anything_else_is_no_process(text: str) -> None:
    assert Process.parse(text) is None


def test_the_same_number_of_another_time_is_another_process(sleeper: subprocess.Popen[bytes]) -> None:
    real = Process.of(sleeper.pid)
    assert real is not None
    stranger = replace(real, started=real.started - 1)
    assert not stranger.alive
    stranger.send(signal.SIGKILL)
    assert sleeper.poll() is None
    real.end(limit=5)
    assert sleeper.wait(timeout=5) == -signal.SIGTERM
    assert real.gone


def test_another_machine_s_process_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    real = Process.of(sleeper.pid)
    assert real is not None
    foreign = replace(real, space="0123456789abcdef.1")
    assert foreign.alive
    foreign.send(signal.SIGKILL)
    assert sleeper.poll() is None
    sleeper.kill()
    sleeper.wait(timeout=5)


def test_what_does_not_listen_is_killed() -> None:
    program = (
        "import signal,sys,time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        process = Process.of(deaf.pid)
        assert process is not None
        process.end(limit=0.1)
        assert deaf.wait(timeout=5) == -signal.SIGKILL


def test_children_are_found(sleeper: subprocess.Popen[bytes]) -> None:
    children = Process.current().children()
    sleeper.kill()
    assert sleeper.pid in {child.pid for child in children}
    sleeper.wait(timeout=5)
