"""A real Samba server on loopback, with accounts and a configuration of its own.

It knows nothing of the machine's Samba, and the machine's knows nothing of it: configuration, accounts,
databases, pipes and port are its own. Source of the options: smb.conf(5), smbd(8), pdbedit(8) of Samba 4.17.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from ..model.errors import ConfigError, TransientError
from . import debian
from .ports import HOST, Ports
from .processes import Process
from .programs import call, need, wait_until
from .progress import Progress, silent

SHARE = "archive"
"""The share of `folder`."""
DFS_SHARE = "namespace"
"""The share of `namespace`: a DFS root; a link `msdfs:host\\share` in it leads elsewhere."""

PASSWORD = "correct horse, battery: stäple"  # noqa: S105 - of an account that exists only here

PROGRAMS = {"smbd": "samba", "pdbedit": "samba"}

PATIENCE = 60.0
"""Seconds a process may take to end: it waits for its disk even when it is killed."""

_GLOBAL = {
    "workgroup": "LABORATORY",
    "netbios name": "LABSMB",
    "server role": "standalone server",
    "security": "user",
    "passdb backend": "tdbsam",
    "bind interfaces only": "yes",
    "disable netbios": "yes",
    "server min protocol": "SMB2_10",
    "server signing": "mandatory",
    "server smb encrypt": "required",
    "map to guest": "never",
    "usershare max shares": "0",
    "load printers": "no",
    "printing": "bsd",
    "printcap name": "/dev/null",
    "disable spoolss": "yes",
    "rpc start on demand helpers": "no",
    "host msdfs": "yes",
    "dns proxy": "no",
    "log level": "1",
    "max log size": "0",
    "unix extensions": "no",
}


@dataclass(slots=True)
class SambaServer:
    """smbd from `start` to `close`; between them it may be killed, frozen, stopped and started again.

    `home` holds its configuration, accounts and log, `home`/files what the share `archive` shows and
    `home`/namespace what the DFS root does. Clients log in as `user` with `password`. `settings` go into the
    global section and `share` into that of `archive`, over what stands there. With `disk` (such as `4m`) the
    share is a disk of that size, which only the server sees; that needs root. With `clock` (such as `-9y`,
    see faketime(1)) its clock is wrong by so much.
    """

    home: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    share: Mapping[str, str] = field(default_factory=dict)
    disk: str | None = None
    clock: str | None = None
    host: str = HOST
    progress: Progress = silent
    password: str = PASSWORD
    port: int = field(default=0, init=False)
    user: str = field(default_factory=lambda: pwd.getpwuid(os.getuid()).pw_name, init=False)
    _ports: Ports | None = field(default=None, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _link: Path | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.home = self.home.resolve()

    @property
    def folder(self) -> Path:
        """What the share `archive` shows; with `disk`, where that disk is mounted for the server alone."""
        return self.home / "files"

    @property
    def namespace(self) -> Path:
        """The DFS root."""
        return self.home / "namespace"

    @property
    def log(self) -> Path:
        return self.home / "smbd.log"

    @property
    def configuration(self) -> Path:
        """smb.conf; a change is used by the next `start`."""
        return self.home / "smb.conf"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start, or start again on the same port with the same accounts; returns when it answers."""
        if self.running:
            return self
        if self._ports is None:
            self._prepare()
        self.progress(f"starting smbd on {self.host}:{self.port}")
        with self.log.open("ab") as said:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        wait_until("an answer of smbd", self._answers_or_gone, limit=30)
        if self._process.poll() is not None:
            raise TransientError("lab.failed", f"smbd did not start: {self._end_of_log()}")
        return self

    def stop(self) -> None:
        """End the server; its sessions are cut."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the server and all its sessions, as a power cut would."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop answering without closing anything, until `thaw`."""
        for process in self._family():
            process.send(signal.SIGSTOP)

    def thaw(self) -> None:
        for process in self._family():
            process.send(signal.SIGCONT)

    def cut_sessions(self) -> None:
        """End every session's process; the server goes on and takes new ones."""
        for process in self._sessions():
            process.send(signal.SIGKILL)
            _ended(process)

    def mark_account(self, *words: str) -> None:
        """Change the account as `pdbedit` does, for example `-c [D]` to disable it."""
        call([need("pdbedit", "samba"), "-s", str(self.configuration), *words, "-u", self.user], limit=30)

    def let_passwords_expire(self, seconds: int) -> None:
        """From now on every password is too old after so many seconds."""
        words = ["-s", str(self.configuration), "-P", "maximum password age", "-C", str(seconds)]
        call([need("pdbedit", "samba"), *words], limit=30)

    def smbclient(self, command: str, *, limit: float = 120, options: Sequence[str] = ()) -> str:
        """What Samba's own client answers to a command such as `put here there`, encrypted by default."""
        debian.ensure({"smbclient": "smbclient"}, progress=self.progress)
        words = ["-s", str(self.configuration), "-p", str(self.port), "--client-protection=encrypt", *options]
        login = {"USER": self.user, "PASSWD": self.password}
        place = f"//{self.host}/{SHARE}"
        return call(
            [need("smbclient", "smbclient"), *words, place, "-c", command], limit=limit, env=login
        ).out

    def close(self) -> None:
        """Stop and give the port back; the files stay."""
        self.stop()
        if self._ports is not None:
            self._ports.close()
            self._ports = None
        if self._link is not None:
            shutil.rmtree(self._link.parent)
            self._link = None

    def write_configuration(self) -> None:
        """smb.conf from what this object says."""
        folders = {
            "private dir": "private", "lock directory": "lock", "state directory": "state",
            "cache directory": "cache", "pid directory": "pid", "ncalrpc dir": "ncalrpc",
            "binddns dir": "binddns",
        }  # fmt: skip
        for name in folders.values():
            (self.home / name).mkdir(parents=True, exist_ok=True)
        everything = {
            **_GLOBAL,
            "interfaces": f"{self.host}/8",
            "smb ports": str(self.port),
            "log file": str(self.log),
            **{key: str(self._short() / name) for key, name in folders.items()},
            **self.settings,
        }
        archive = {"path": str(self.folder), "read only": "no", "create mask": "0640", **self.share}
        roots = {"path": str(self.namespace), "read only": "no", "msdfs root": "yes"}
        sections = {"global": everything, SHARE: archive, DFS_SHARE: roots}
        lines = [
            line
            for name, values in sections.items()
            for line in (f"[{name}]", *(f"\t{key} = {value}" for key, value in values.items()))
        ]
        self.configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _short(self) -> Path:
        """`home` under a name short enough for the sockets in it: 107 bytes are the most (unix(7))."""
        if self._link is None:
            self._link = Path(tempfile.mkdtemp(prefix="ari-recorder-smb-")) / "home"
            self._link.symlink_to(self.home)
        return self._link

    def _prepare(self) -> None:
        wanted = PROGRAMS if self.clock is None else {**PROGRAMS, "faketime": "faketime"}
        debian.ensure(wanted, progress=self.progress)
        if self.disk is not None and os.geteuid() != 0:
            raise ConfigError("lab.missing", "A Samba server with a disk of its own must be run as root.")
        for folder in (self.folder, self.namespace):
            folder.mkdir(parents=True, exist_ok=True)
        self._ports = Ports()
        self.port = self._ports.one()
        self.write_configuration()
        twice = f"{self.password}\n{self.password}\n"
        words = ["-s", str(self.configuration), "-a", "-t", "-u", self.user]
        call([need("pdbedit", "samba"), *words], limit=30, text=twice)

    def _command(self) -> list[str]:
        words = ["--foreground", "--no-process-group", f"--configfile={self.configuration}"]
        smbd = [need("smbd", "samba"), *words]
        if self.clock is not None:
            smbd = [need("faketime", "faketime"), "-f", self.clock, *smbd]
        if self.disk is None:
            return smbd
        mount = f"mount -t tmpfs -o size={self.disk} none {shlex.quote(str(self.folder))}"
        return [
            "unshare", "--mount", "--propagation", "private", "sh", "-ec", f"{mount}; exec {shlex.join(smbd)}"
        ]  # fmt: skip

    def _answers_or_gone(self) -> bool:
        """A connection is taken by the kernel at once; only smbd closes one that sends rubbish."""
        if not self.running:
            return True
        try:
            with socket.create_connection((self.host, self.port), timeout=2) as connection:
                connection.sendall(b"\0\0\0\x04none")
                return connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return self._listening()

    def _listening(self) -> bool:
        """A reset says that somebody read the rubbish; a refusal that nobody listens yet."""
        try:
            socket.create_connection((self.host, self.port), timeout=2).close()
        except OSError:
            return False
        return True

    def _family(self) -> list[Process]:
        """The server first, then every process below it, parents before children."""
        if self._process is None or (server := Process.of(self._process.pid)) is None:
            return []
        family = [server]
        for process in family:
            family.extend(process.children())
        return family

    def _sessions(self) -> list[Process]:
        """The processes that hold a client's connection: those of the family with a socket of our port."""
        return [process for process in self._family()[1:] if _has_client(process, self.port)]

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self.thaw()
        try:
            # The server first, lest it start its helpers anew; then what it leaves.
            family = self._family()
            self._process.send_signal(number)
            for process in family[1:]:
                process.send(signal.SIGKILL)
        finally:
            self._process.wait(timeout=PATIENCE)
            self._process = None
        for process in family[1:]:
            _ended(process)

    def _end_of_log(self) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-10:])

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _ended(process: Process) -> None:
    wait_until("the end of a Samba process", lambda: not process.alive, limit=PATIENCE, every=0.005)


def _has_client(process: Process, port: int) -> bool:
    """Whether the process holds an established connection at this local port (proc(5), `net/tcp`)."""
    established = set()
    for line in Path(f"/proc/{process.pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        words = line.split()
        if words[3] == "01" and int(words[1].rpartition(":")[2], 16) == port:
            established.add(f"socket:[{words[9]}]")
    try:
        handles = list(Path(f"/proc/{process.pid}/fd").iterdir())
        return any(str(handle.readlink()) in established for handle in handles)
    except OSError:
        return False
