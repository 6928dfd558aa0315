"""A dockerd of our own: started when none answers, shared, and stopped by the last who used it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ari_recorder.lab import debian
from ari_recorder.lab.engine import Daemon, Engine
from ari_recorder.lab.processes import Process

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        os.geteuid() != 0, reason="only root may start a dockerd; others use one that answers"
    ),
]


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A second dockerd beside the machine's own; its folders' names are short, as sockets need it."""
    home = Path(tempfile.mkdtemp(prefix="lab-"))
    yield Daemon(home=home, socket=home / "s", data=home / "data", runtime=home / "run", secluded=True)
    shutil.rmtree(home)


def noted(daemon: Daemon) -> Process:
    process = Process.parse(daemon.state.read_text())
    assert process is not None
    return process


def test_it_leaves_the_network_of_another_dockerd_alone(daemon: Daemon) -> None:
    """dockerd without a bridge removes docker0, so the second one must not even see it."""
    with Engine(daemon=daemon):
        there = Path(f"/proc/{noted(daemon).pid}/ns/net").readlink()
    assert there != Path("/proc/self/ns/net").readlink()


def test_it_is_started_used_and_gone_with_its_children(daemon: Daemon) -> None:
    with Engine(daemon=daemon) as engine:
        dockerd = noted(daemon)
        children = dockerd.children()
        assert engine.answering
        assert children, "containerd is a child of dockerd"
    assert not dockerd.alive
    assert not any(child.alive for child in children)
    assert not daemon.state.exists()
    assert not Engine(daemon=daemon).answering


def test_the_last_user_stops_it(daemon: Daemon) -> None:
    first, second = Engine(daemon=daemon).start(), Engine(daemon=daemon).start()
    dockerd = noted(daemon)
    first.stop()
    assert second.answering
    second.stop()
    assert not dockerd.alive


def test_the_engine_of_a_killed_run_is_stopped_by_the_next(daemon: Daemon) -> None:
    killed = Engine(daemon=daemon).start()
    dockerd = noted(daemon)
    assert killed._users is not None
    os.close(killed._users)  # what the kernel does for a process that is killed
    with Engine(daemon=daemon) as following:
        assert following.answering
        assert noted(daemon) == dockerd
    assert not dockerd.alive


def test_a_package_is_installed_or_known() -> None:
    if debian.obstacle() is not None:
        pytest.skip("not Debian")
    debian.ensure({"apt-get": "apt"})
    assert debian.version_of("apt") is not None
    assert debian.version_of("no-such-package-at-all") is None
