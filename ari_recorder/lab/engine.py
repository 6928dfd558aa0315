"""The container engine: one that answers is used; else, as root on Debian, one is installed and started.

An engine started here serves every run of this machine that comes along, and the last of them stops it:
each run holds a shared lock on `USERS` while it needs the engine, and who can turn it into an exclusive one
is alone. So the engine is stopped if and only if a run started it, also when that run was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from ..model.errors import ConfigError, TransientError
from . import debian
from .processes import Process
from .programs import Finished, call, find, wait_until
from .progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Daemon:
    """Where a dockerd started here lives. Images stay in `data` for the next run, as is Docker's way."""

    home: Path = Path("/run/ari-recorder")
    socket: Path = Path("/var/run/docker.sock")
    data: Path | None = None
    """None: Docker's own folder, /var/lib/docker."""
    runtime: Path | None = None
    """None: Docker's own folder, /var/run/docker."""
    secluded: bool = False
    """In a network namespace of its own: without a bridge, dockerd would remove docker0 from another's."""

    @property
    def state(self) -> Path:
        return self.home / "dockerd.process"

    def argv(self, dockerd: str) -> list[str]:
        """Containers of the laboratory use the host's network: no bridge, no firewall rule is made."""
        argv = ["unshare", "--net", "--"] if self.secluded else []
        argv += [dockerd, f"--host=unix://{self.socket}", f"--pidfile={self.home / 'dockerd.pid'}"]
        argv += ["--bridge=none", "--iptables=false"]
        argv += [f"--data-root={self.data}"] if self.data else []
        return argv + ([f"--exec-root={self.runtime}"] if self.runtime else [])


@dataclass(slots=True)
class Engine:
    """An answering Docker engine, from `start` to `stop`."""

    progress: Progress = silent
    daemon: Daemon | None = None
    """Use (and if need be start) this dockerd only; None: whatever answers `docker info`."""
    _users: int | None = field(default=None, init=False)
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> Self:
        """Find an engine or start one; ConfigError `lab.missing` when neither is possible."""
        # Joined before asking: an engine that answers now may be about to be stopped by its last user.
        self._join()
        try:
            if not self.answering:
                self._start_one()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Leave the engine; it ends when a run of ours started it and no other one uses it."""
        if self._users is None:
            return
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._end_ours()
        except BlockingIOError:
            pass
        finally:
            os.close(self._users)
            self._users = None

    def docker(self, *words: str, limit: float = 60, check: bool = True, text: str | None = None) -> Finished:
        """One docker command; TransientError `lab.failed` when it fails or takes over `limit` seconds."""
        return call(self.command(*words), limit=limit, check=check, text=text)

    def command(self, *words: str) -> list[str]:
        """The argument vector of a docker command."""
        return [find("docker") or "docker", *self._host(), *words]

    def _host(self) -> list[str]:
        return ["--host", f"unix://{self.daemon.socket}"] if self.daemon else []

    @property
    def answering(self) -> bool:
        """A Docker engine answers this user."""
        if find("docker") is None:
            return False
        with contextlib.suppress(TransientError):
            asked = self.docker("info", "--format", "{{.ServerVersion}}", limit=20, check=False)
            return asked.status == 0 and bool(asked.out.strip())
        return False

    @property
    def _place(self) -> Daemon:
        return self.daemon or Daemon()

    def _join(self) -> None:
        """Count this run among the users. Who may not write there can neither start nor stop an engine."""
        try:
            self._place.home.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._users = os.open(self._place.home / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError:
            return
        fcntl.flock(self._users, fcntl.LOCK_SH)

    @contextlib.contextmanager
    def _one_starts(self) -> Iterator[None]:
        with (self._place.home / "start.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start_one(self) -> None:
        why = debian.obstacle()
        if why is not None:
            raise ConfigError(
                "lab.missing",
                f"No Docker engine answers, and none can be installed and started because {why}.",
                remedy="Start Docker and let this user use it, or run as root on Debian.",
            )
        with self._one_starts():
            if not self.answering:
                self._launch()

    def _launch(self) -> None:
        debian.ensure({"dockerd": "docker.io"}, progress=self.progress)
        debian.ensure({"docker": "docker-cli"}, progress=self.progress)
        if _apparmor():
            debian.ensure({"apparmor_parser": "apparmor"}, progress=self.progress)
        self.progress("starting dockerd")
        place = self._place
        place.socket.parent.mkdir(parents=True, exist_ok=True)
        log = place.home / "dockerd.log"
        with log.open("ab") as said:
            process = self._child = subprocess.Popen(
                place.argv(find("dockerd") or "dockerd"),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        ours = Process.of(process.pid)
        if ours is not None:
            place.state.write_text(f"{ours}\n", encoding="ascii")
        self._await(process, log)

    def _await(self, process: subprocess.Popen[bytes], log: Path) -> None:
        def answers_or_gone() -> bool:
            return self.answering or process.poll() is not None

        try:
            wait_until("an answer of dockerd", answers_or_gone, limit=90, every=0.2)
        except BaseException:
            self._end_ours()
            raise
        if process.poll() is not None:
            self._place.state.unlink(missing_ok=True)
            raise TransientError("lab.failed", f"dockerd did not start: {_end_of(log)}")

    def _end_ours(self) -> None:
        ours = self._ours()
        if ours is None:
            return
        self.progress("stopping dockerd")
        children = ours.children()
        ours.end(limit=40)
        if self._child is not None:
            self._child.wait(timeout=10)
        # containerd leaves with dockerd; it is only waited for, and pushed when it does not.
        for child in children:
            deadline = time.monotonic() + 10
            while child.alive and time.monotonic() < deadline:
                time.sleep(0.05)
            child.end(limit=10)
        self._place.state.unlink(missing_ok=True)
        # The one mount dockerd leaves behind.
        namespaces = (self._place.runtime or Path("/var/run/docker")) / "netns"
        for mount in namespaces.glob("*"):
            call(["umount", "--quiet", str(mount)], limit=10, check=False)

    def _ours(self) -> Process | None:
        """The dockerd that a run of ours started, while it runs."""
        try:
            process = Process.parse(self._place.state.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        return process if process is not None and process.runs_here else None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _apparmor() -> bool:
    """The kernel enforces AppArmor: without its parser Docker cannot start a container."""
    with contextlib.suppress(OSError):
        return Path("/sys/module/apparmor/parameters/enabled").read_text(encoding="ascii").startswith("Y")
    return False


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-10:])
