"""Debian's packages: what is missing is installed, by root on Debian only, and nothing is started by it."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..model.errors import ConfigError, TransientError
from .programs import call, find, follow
from .progress import Progress, silent

APT = ("-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=300", "--yes", "--quiet")
QUIET_APT = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none"}
POLICY = Path("/usr/sbin/policy-rc.d")
LOCK = Path("/run/ari-recorder-apt.lock")


TOOLS = {
    "sipp": "sip-tester",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "sftp": "openssh-client",
    "openssl": "openssl",
    "sox": "sox",
}
"""What the demo and the tests start, besides the engine: program → Debian's package."""


def obstacle() -> str | None:
    """Why packages cannot be installed here, as half a sentence; None when they can."""
    if not Path("/etc/debian_version").exists() or find("apt-get") is None:
        return "this is not Debian"
    return None if os.geteuid() == 0 else "this is not root"


def ensure(programs: dict[str, str], *, progress: Progress = silent) -> None:
    """Install the packages of those programs (program → package) that cannot be found.

    ConfigError `lab.missing` where packages cannot be installed.
    """
    missing = sorted({package for program, package in programs.items() if find(program) is None})
    if missing:
        install(missing, progress=progress)


def install(packages: Sequence[str], *, progress: Progress = silent) -> None:
    """Install packages, with the machine's own mirrors; the package lists are fetched only when needed."""
    why = obstacle()
    if why is not None:
        raise ConfigError(
            "lab.missing",
            f"{', '.join(packages)} must be installed, but {why}.",
            remedy="Run as root on Debian, or install these packages (or what they hold) yourself.",
        )
    progress(f"installing Debian's packages {' '.join(packages)}")
    with _alone(), _nothing_started():
        command = [find("apt-get") or "apt-get", *APT, "install", "--no-install-recommends", *packages]
        try:
            follow(command, limit=1200, progress=silent, env=QUIET_APT)
        except TransientError:
            # No package lists yet, or stale ones.
            progress("fetching the package lists")
            follow([command[0], *APT, "update"], limit=600, progress=silent, env=QUIET_APT)
            follow(command, limit=1200, progress=silent, env=QUIET_APT)


def version_of(package: str) -> str | None:
    """The installed version; None when it is not installed."""
    asked = call(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package], limit=30, check=False)
    status, _, version = asked.out.partition(" ")
    return version if asked.status == 0 and status == "installed" else None


@contextmanager
def _alone() -> Iterator[None]:
    """One installation at a time, so that the policy below is nobody else's."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _nothing_started() -> Iterator[None]:
    """Keep packages from starting services (Debian Policy 9.3.3.1): exit status 101 says "not allowed"."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    POLICY.chmod(POLICY.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
