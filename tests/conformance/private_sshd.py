"""OpenSSH with an account and a disk that exist for this server only.

It lives in a mount namespace of its own, where /etc/passwd and /etc/shadow know one more user and /mnt is the
folder to be served or a disk of a few megabytes. The machine itself sees nothing of it. Needs root.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from ari_recorder.lab.ports import HOST, Ports
from ari_recorder.lab.processes import Process
from ari_recorder.lab.programs import need, wait_until

USER = "recorder-test"
NUMBER = 61234
PASSWORD = "correct horse, battery: stäple"
SEEN = "/mnt"
"""Where the server sees its folder."""

_CONFIGURATION = """\
ListenAddress {host}
Port {port}
HostKey {home}/host_key
AuthorizedKeysFile none
PidFile none
AllowUsers {user}
PasswordAuthentication {password}
KbdInteractiveAuthentication {keyboard}
PubkeyAuthentication no
StrictModes no
UsePAM {keyboard}
UseDNS no
MaxStartups 100
Subsystem sftp internal-sftp
ForceCommand internal-sftp -d {seen}
"""

_PAM = """\
auth required pam_unix.so
account required pam_permit.so
session required pam_permit.so
"""


@dataclass
class PrivateSshd:
    """`disk` is the size of a disk of its own (such as `2m`); without it the server's folder is `folder`.
    With `keyboard` it asks for the password by keyboard-interactive only, as many appliances do."""

    home: Path
    disk: str | None = None
    keyboard: bool = False
    port: int = field(default=0, init=False)
    _ports: Ports = field(default_factory=Ports, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def folder(self) -> Path:
        return self.home / "files"

    @property
    def known_hosts(self) -> Path:
        return self.home / "known_hosts"

    def start(self) -> Self:
        if os.geteuid() != 0:
            pytest.fail("This test makes an account in a mount namespace of its own: it must run as root.")
        self._write()
        mount = (
            f"mount -t tmpfs -o size={self.disk},mode=777 none {SEEN}"
            if self.disk
            else f"mount --bind {shlex.quote(str(self.folder))} {SEEN}"
        )
        home = shlex.quote(str(self.home))
        script = (
            f"set -e; mount --bind {home}/passwd /etc/passwd; mount --bind {home}/shadow /etc/shadow; "
            f"{f'mount --bind {home}/pam /etc/pam.d/sshd; ' if self.keyboard else ''}{mount}; "
            f"exec {need('sshd', 'openssh-server')} -D -e -f {home}/sshd_config"
        )
        with (self.home / "sshd.log").open("ab") as said:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        wait_until("a greeting of sshd", self._greets_or_gone, limit=15)
        assert self._process.poll() is None, (self.home / "sshd.log").read_text()
        return self

    def _write(self) -> None:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.folder.mkdir(parents=True)
        shutil.chown(self.folder, NUMBER, NUMBER)
        self.port = self._ports.one()
        key = str(self.home / "host_key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        public = " ".join((self.home / "host_key.pub").read_text().split()[:2])
        self.known_hosts.write_text(f"[{HOST}]:{self.port} {public}\n")
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD.encode(), check=True, capture_output=True
        ).stdout.decode()
        passwd = Path("/etc/passwd").read_text() + f"{USER}:x:{NUMBER}:{NUMBER}::{SEEN}:/bin/sh\n"
        (self.home / "passwd").write_text(passwd)
        (self.home / "shadow").write_text(f"{USER}:{hashed.strip()}:19000:0:99999:7:::\n")
        (self.home / "shadow").chmod(0o600)
        (self.home / "pam").write_text(_PAM)
        password, keyboard = ("no", "yes") if self.keyboard else ("yes", "no")
        text = _CONFIGURATION.format(
            host=HOST, port=self.port, home=self.home, user=USER, seen=SEEN,
            password=password, keyboard=keyboard,
        )  # fmt: skip
        (self.home / "sshd_config").write_text(text)

    def _greets_or_gone(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            return True
        try:
            with socket.create_connection((HOST, self.port), timeout=2) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def close(self) -> None:
        if self._process is not None and (server := Process.of(self._process.pid)) is not None:
            family = [server]
            for process in family:
                family.extend(process.children())
            for process in reversed(family):
                process.send(signal.SIGKILL)
            self._process.wait(timeout=10)
        self._ports.close()

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
