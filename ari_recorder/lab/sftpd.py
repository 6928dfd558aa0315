"""A real OpenSSH server on loopback, for one folder, with keys made for the occasion.

Only key login, as the user who runs it: a password would be that of an account of this machine.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from ..model.errors import TransientError
from . import debian
from .ports import HOST, Ports
from .processes import Process
from .programs import call, find, need, wait_until
from .progress import Progress, silent

_CONFIGURATION = """\
ListenAddress {host}
Port {port}
HostKey "{home}/host_key"
AuthorizedKeysFile "{tokens_home}/authorized_keys"
PidFile none
AllowUsers {user}
PermitRootLogin prohibit-password
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM {pam}
UseDNS no
X11Forwarding no
AllowTcpForwarding no
PrintMotd no
MaxStartups 100
LogLevel VERBOSE
Subsystem sftp internal-sftp
ForceCommand internal-sftp -d {tokens_folder}
"""

PATIENCE = 60.0
"""Seconds a process may take to end: it waits for its disk even when it is killed."""


@dataclass(slots=True)
class SftpServer:
    """sshd from `start` to `close`; between them it may be killed, frozen, stopped and started again.

    `home` holds its keys, configuration and log, `folder` (default `home`/files) is what clients see when
    they log in: relative paths start there. `host`, `port`, `user` and `client_key` are what a client needs.
    """

    home: Path
    folder: Path = Path()
    progress: Progress = silent
    host: str = field(default=HOST, init=False)
    port: int = field(default=0, init=False)
    user: str = field(default_factory=lambda: pwd.getpwuid(os.getuid()).pw_name, init=False)
    _ports: Ports | None = field(default=None, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _link: Path | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.home = self.home.resolve()
        self.folder = self.home / "files" if self.folder == Path() else self.folder.resolve()

    @property
    def client_key(self) -> Path:
        """The private key (ed25519, OpenSSH format, no passphrase) that may log in."""
        return self.home / "client_key"

    @property
    def host_key(self) -> str:
        """The host's public key as `type base64`."""
        return " ".join((self.home / "host_key.pub").read_text(encoding="ascii").split()[:2])

    @property
    def host_key_line(self) -> str:
        """The line for a known_hosts file."""
        return f"[{self.host}]:{self.port} {self.host_key}"

    @property
    def log(self) -> Path:
        return self.home / "sshd.log"

    def start(self) -> Self:
        """Start, or start again on the same port with the same keys; returns when a client is greeted."""
        if self.running:
            return self
        if self._ports is None:
            self._prepare()
        self.progress(f"starting sshd on {self.host}:{self.port}")
        command = [need("sshd", "openssh-server"), "-D", "-e", "-f", str(self.home / "sshd_config")]
        with self.log.open("ab") as said:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        wait_until("a greeting of sshd", self._greets_or_gone, limit=15)
        if self._process.poll() is not None:
            raise TransientError("lab.failed", f"sshd did not start: {self._end_of_log()}")
        return self

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the server in an orderly way; its sessions are cut."""
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

    def close(self) -> None:
        """Stop and give the port back; the files stay."""
        self.stop()
        if self._ports is not None:
            self._ports.close()
            self._ports = None
        if self._link is not None:
            shutil.rmtree(self._link.parent)
            self._link = None

    def _without_spaces(self) -> Path:
        """`folder` under a name that internal-sftp, which knows no quotes, takes as one word."""
        if not any(character.isspace() for character in str(self.folder)):
            return self.folder
        self._link = Path(tempfile.mkdtemp(prefix="ari-recorder-sftp-")) / "files"
        self._link.symlink_to(self.folder)
        return self._link

    def _prepare(self) -> None:
        debian.ensure({"sshd": "openssh-server", "ssh-keygen": "openssh-client"}, progress=self.progress)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.home.mkdir(parents=True, exist_ok=True)
        for name in ("host_key", "client_key"):
            if not (self.home / name).exists():
                words = [
                    "-q",
                    "-t",
                    "ed25519",
                    "-N",
                    "",
                    "-C",
                    "ari-recorder-lab",
                    "-f",
                    str(self.home / name),
                ]
                call([find("ssh-keygen") or "ssh-keygen", *words], limit=30)
        public = (self.home / "client_key.pub").read_text(encoding="ascii")
        (self.home / "authorized_keys").write_text(public, encoding="ascii")
        if os.geteuid() == 0:
            # Debian's sshd gives up privileges in here and does not start without it.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._ports = Ports()
        self.port = self._ports.one()
        (self.home / "sshd_config").write_text(
            _CONFIGURATION.format(
                host=self.host,
                port=self.port,
                home=self.home,
                tokens_home=_literally(self.home),
                tokens_folder=_literally(self._without_spaces()),
                user=self.user,
                pam="yes" if _locked(self.user) else "no",
            ),
            encoding="utf-8",
        )

    def _greets_or_gone(self) -> bool:
        if not self.running:
            return True
        try:
            with socket.create_connection((self.host, self.port), timeout=2) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _family(self) -> list[Process]:
        """The server first, then every process of its sessions, parents before children."""
        if self._process is None or (server := Process.of(self._process.pid)) is None:
            return []
        family = [server]
        for process in family:
            family.extend(process.children())
        return family

    def _signal(self, number: signal.Signals) -> None:
        """Innermost first: each is reaped by its parent, and no orphan is left to whoever is process 1."""
        if self._process is None:
            return
        self.thaw()
        try:
            while sessions := self._family()[1:]:
                _cut(sessions[-1])
        finally:
            self._process.send_signal(number)
            self._process.wait(timeout=PATIENCE)
            self._process = None

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


def _cut(session: Process) -> None:
    """SIGKILL, because internal-sftp inherits sshd's handler of SIGTERM and so outlives it."""
    session.send(signal.SIGKILL)
    wait_until("the end of an SFTP session", lambda: session.gone, limit=PATIENCE, every=0.005)


def _literally(path: Path) -> str:
    """A path where sshd_config(5) expands tokens such as %h."""
    return str(path).replace("%", "%%")


def _locked(user: str) -> bool:
    """The account's password is locked: sshd then refuses even keys, unless PAM decides (sshd(8))."""
    passwd = find("passwd")
    if os.geteuid() != 0 or passwd is None:
        return False
    fields = call([passwd, "--status", user], limit=10, check=False).out.split()
    return len(fields) > 1 and fields[1] in {"L", "LK"}
