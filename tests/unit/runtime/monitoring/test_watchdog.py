"""Signs of life: what systemd is told, when, and when not; and what stands wrong with the recorder itself."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ari_recorder.evidence.keys import Keys, ensure_keys
from ari_recorder.runtime.conditions import Conditions, Severity
from ari_recorder.runtime.monitoring.standing import CERTIFICATE, CLOCK, FRESH, INTERRUPTED, SOON, Standing
from ari_recorder.runtime.monitoring.systemd import ServiceManager
from ari_recorder.runtime.monitoring.watchdog import KEY, WINDOW, Watchdog
from ari_recorder.runtime.presence import Presence

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@contextmanager
def systemd(name: str) -> Iterator[socket.socket]:
    """The far end of $NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        listening.setblocking(False)
        yield listening


def heard(listening: socket.socket) -> list[str]:
    found = []
    with suppress(BlockingIOError):
        while True:
            found.append(listening.recv(65536).decode())
    return found


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (
        str(tmp_path / "notify")
        if request.param == "path"
        else f"@ari-recorder-{os.getpid()}-{tmp_path.name}"
    )


def test_messages_arrive_also_on_an_abstract_socket(address: str) -> None:
    with systemd(address) as listening:
        manager = ServiceManager({"NOTIFY_SOCKET": address})
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        manager.status("one\nline \ud800")
        manager.status("one\nline \ud800")
        manager.ready()
        manager.reloading()
        manager.stopping()
        status, ready, reloading, stopping = heard(listening)
    assert status == "STATUS=one line ?"
    assert ready == "READY=1"
    assert stopping == "STOPPING=1"
    word, _, since = reloading.partition("\n")
    assert word == "RELOADING=1"
    assert since.startswith("MONOTONIC_USEC=")
    assert before <= int(since.partition("=")[2]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    manager.ready()  # nobody listens any more: no error


def test_without_systemd_nothing_is_said() -> None:
    for environment in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}):
        manager = ServiceManager(environment)
        assert not manager.listens
        manager.ready()
        assert manager.watchdog is None


def test_a_systemd_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with systemd(address):
        manager = ServiceManager({"NOTIFY_SOCKET": address})
        began = time.monotonic()
        for _ in range(5000):  # its queue is full long before
            manager.alive()
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("environment", "limit"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdogs_time(environment: dict[str, str], limit: float | None) -> None:
    assert ServiceManager({"NOTIFY_SOCKET": "/run/x", **environment}).watchdog == limit


class Clock:
    """Time that passes while the watchdog sleeps, and `late` seconds more."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.late = 0.0
        self.left = 0.0

    async def sleep(self, seconds: float) -> None:
        if self.left <= 0:
            raise asyncio.CancelledError
        self.at += seconds + self.late
        self.left -= seconds + self.late
        self.late = 0.0


class Watched:
    """A watchdog that systemd gives 20 s, on a clock of its own."""

    def __init__(self, address: str) -> None:
        self.clock = Clock()
        self.conditions = Conditions()
        environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000000"}
        self.watchdog = Watchdog(
            self.conditions, ServiceManager(environment), at=lambda: self.clock.at,
            sleep=self.clock.sleep,
        )  # fmt: skip

    async def live(self, seconds: float, late: float = 0.0) -> None:
        self.clock.left, self.clock.late = seconds, late
        with suppress(asyncio.CancelledError):
            await self.watchdog.run()


async def test_signs_of_life_come_in_time_as_long_as_the_loop_turns(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with systemd(address) as listening:
        watched = Watched(address)
        await watched.live(60)
        assert 10 <= len(heard(listening)) <= 13  # every quarter of 20 s
        assert heard(listening) == []


async def test_a_late_loop_is_a_condition_for_a_minute() -> None:
    watched = Watched("/none")
    await watched.live(5, late=0.4)
    assert watched.conditions.active() == ()
    assert 0.39 < watched.watchdog.lag < 0.41
    await watched.live(5, late=2.5)
    (slow,) = watched.conditions.active()
    assert (slow.key, slow.code, slow.severity) == (KEY, "recorder.slow", Severity.WARNING)
    assert "2.5 s" in slow.sentence
    await watched.live(WINDOW + 2)
    assert watched.conditions.active() == ()
    assert watched.watchdog.lag < 0.001


# -- standing --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    place = tmp_path_factory.mktemp("keys")
    return ensure_keys(place / "key", place / "crt", place / "pass", "recorder")


class Stands:
    def __init__(self, keys: Keys, before: Presence | None = None) -> None:
        self.now = NOW
        self.synchronised: bool | None = True
        self.conditions = Conditions()
        self.standing = Standing(
            self.conditions, keys.certificate_pem, before, clock=lambda: self.now,
            synchronised=lambda: self.synchronised,
        )  # fmt: skip

    def at(self, now: datetime) -> list[tuple[str, str, str]]:
        self.now = now
        self.standing.look()
        return [(one.key, one.code, one.severity.value) for one in self.conditions.active()]


def test_a_certificate_is_told_before_and_after_it_expires(keys: Keys) -> None:
    stands = Stands(keys)
    ends = stands.standing.expires
    assert stands.at(ends - SOON - timedelta(seconds=1)) == []
    assert stands.at(ends - SOON) == [(CERTIFICATE, "seal.expiring", "warning")]
    assert stands.at(ends) == [(CERTIFICATE, "seal.expired", "warning")]
    assert stands.at(ends - timedelta(days=40)) == []


def test_a_clock_is_told_when_nothing_keeps_it_for_long(keys: Keys) -> None:
    stands = Stands(keys)
    stands.synchronised = False
    assert stands.at(NOW) == []
    assert stands.at(NOW + timedelta(minutes=9)) == []
    assert stands.at(NOW + timedelta(minutes=10)) == [(CLOCK, "recorder.clock", "warning")]
    stands.synchronised = None  # it cannot be asked
    assert stands.at(NOW + timedelta(minutes=11)) == []


def test_a_recorder_that_was_killed_says_so_for_a_while(keys: Keys) -> None:
    beat = NOW - timedelta(minutes=3)
    killed = Presence(1, "0.1.0", beat, beat, "r1")
    stands = Stands(keys, killed)
    (said,) = stands.conditions.active()
    assert (said.key, said.code) == (INTERRUPTED, "recorder.interrupted")
    assert "from 2026-11-22 11:57:00 to 2026-11-22 12:00:00 UTC" in said.sentence
    assert stands.at(NOW + FRESH - timedelta(seconds=1)) != []
    assert stands.at(NOW + FRESH) == []
    stopped = Presence(1, "0.1.0", beat, beat, "r1", ended_at=beat)
    assert Stands(keys, stopped).conditions.active() == ()
    assert Stands(keys).conditions.active() == ()
