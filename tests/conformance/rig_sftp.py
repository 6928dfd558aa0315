"""OpenSSH: as the user who runs the tests, by key; and in a namespace of its own, by password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from ari_recorder.config import targets as config
from ari_recorder.lab.ports import HOST
from ari_recorder.lab.programs import call
from ari_recorder.lab.sftpd import SftpServer
from ari_recorder.targets.base import Target
from ari_recorder.targets.register import make_target

from .private_sshd import PASSWORD, USER, PrivateSshd
from .rig import Rig


def sftp_settings(server: SftpServer, hosts_file: Path, **changes: object) -> config.SftpTarget:
    """Settings that work with a server; `changes` spoil or vary them. None takes a key away."""
    hosts_file.write_text(server.host_key_line + "\n", encoding="utf-8")
    values: dict[str, object] = {
        "kind": "sftp",
        "name": "archive",
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "key_file": server.client_key,
        "known_hosts": hosts_file,
        "folder": str(server.folder / "root"),
        "timeout": 10.0,
        **changes,
    }
    return config.SftpTarget.model_validate({k: v for k, v in values.items() if v is not None})


def password_settings(server: PrivateSshd, **changes: object) -> config.SftpTarget:
    values: dict[str, object] = {
        "kind": "sftp",
        "name": "archive",
        "host": HOST,
        "port": server.port,
        "user": USER,
        "password": PASSWORD,
        "known_hosts": server.known_hosts,
        "folder": ".",
        **changes,
    }
    return config.SftpTarget.model_validate({k: v for k, v in values.items() if v is not None})


def host_fingerprint(server: SftpServer | PrivateSshd) -> str:
    """`SHA256:…` of the server's Ed25519 key, by ssh-keygen."""
    return _fingerprint(server.home / "host_key.pub")


@cache
def _fingerprint(key: Path) -> str:
    return call(["ssh-keygen", "-lf", str(key)], limit=30).out.split()[1]


class SftpRig(Rig):
    kind = "sftp"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = SftpServer(folder / "sftp")

    def start(self) -> None:
        again = self.server.port != 0
        self.server.start()
        if again:
            return
        self.root = self.server.folder / "root"
        self.port = self.server.port
        self.target = self.make()
        self.target.prepare()

    def settings(self, **changes: object) -> config.Target:
        # By its fingerprint the server is known at every port.
        pinned = {"known_hosts": None, "fingerprint": host_fingerprint(self.server)}
        return sftp_settings(self.server, self.folder / "known_hosts", **(pinned | changes))

    def kill(self) -> None:
        self.server.kill()

    def freeze(self) -> None:
        self.server.freeze()

    def thaw(self) -> None:
        self.server.thaw()

    def wrong_login(self) -> Target:
        return self.make(user="nobody-of-that-name")

    @contextmanager
    def denied(self) -> Iterator[Target]:
        with PrivateSshd(self.folder / "private") as server:
            server.folder.chmod(0o555)
            yield self.kept(make_target(password_settings(server)))

    @contextmanager
    def full(self) -> Iterator[Target]:
        with PrivateSshd(self.folder / "private", disk="2m") as server:
            yield self.kept(make_target(password_settings(server)))

    def close(self) -> None:
        super().close()
        self.server.close()
