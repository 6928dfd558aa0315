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
from .signals import uninterrupted

APT = ("-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=300", "--yes", "--quiet")
QUIET_APT = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none"}
POLICY = Path("/usr/sbin/policy-rc.d")
OUR_POLICY = "#!/bin/sh\n# Made while ari-recorder's packages are installed: nothing is started.\nexit 101\n"
LOCK = Path("/run/ari-recorder-apt.lock")


TOOLS = {
    "sipp": "sip-tester",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "sftp": "openssh-client",
    "openssl": "openssl",
    "sox": "sox",
    "systemd-analyze": "systemd",
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
    try:
        with _alone():
            _fetch(packages, progress)
            # Cut short, it would leave half-configured packages behind.
            with uninterrupted(), _nothing_started():
                _apt("install", "--no-install-recommends", *packages)
    except TransientError as error:
        for line in error.sentence.splitlines()[-8:]:
            progress(line)
        raise TransientError(
            "lab.failed",
            f"Debian's packages {' '.join(packages)} could not be installed.",
            remedy="Try `apt-get update` and `apt-get install` by hand: does this machine reach its mirror?",
        ) from error


def _fetch(packages: Sequence[str], progress: Progress) -> None:
    words = ("install", "--no-install-recommends", "--download-only", *packages)
    try:
        _apt(*words)
    except TransientError:
        # No package lists yet, or stale ones.
        progress("fetching the package lists")
        _apt("update")
        _apt(*words)


def _apt(*words: str) -> None:
    follow([find("apt-get") or "apt-get", *APT, *words], limit=1200, progress=silent, env=QUIET_APT)


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


def remove_policy() -> None:
    """What an installation that was killed would leave behind: no package could start a service any more."""
    if os.geteuid() == 0 and _is_ours(POLICY):
        with _alone():
            POLICY.unlink(missing_ok=True)


def _is_ours(policy: Path) -> bool:
    return policy.is_file() and policy.read_text(encoding="utf-8", errors="replace") == OUR_POLICY


@contextmanager
def _nothing_started() -> Iterator[None]:
    """Keep packages from starting services (Debian Policy 9.3.3.1): exit status 101 says "not allowed"."""
    if POLICY.exists() and not _is_ours(POLICY):
        yield
        return
    # One of ours that is there already was left behind by a run that was killed.
    POLICY.write_text(OUR_POLICY, encoding="ascii")
    POLICY.chmod(POLICY.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
