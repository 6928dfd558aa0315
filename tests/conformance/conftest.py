"""The rigs: one real place for each kind of target. A new kind adds its rig here and to `KINDS`."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from ari_recorder.config import targets as config
from ari_recorder.lab.ports import HOST
from ari_recorder.lab.sftpd import SftpServer
from ari_recorder.targets.base import Target
from ari_recorder.targets.register import make_target

from .private_sshd import PASSWORD, USER, PrivateSshd

KINDS = ("local", "sftp")


@dataclass
class Rig:
    """A target and, for judging it, the very folder it writes to."""

    kind: str
    target: Target
    root: Path


@dataclass(frozen=True)
class Sample:
    """A file to be sent, and what is promised of it."""

    path: Path
    sha256: str
    size: int


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


def local_settings(folder: Path) -> config.LocalTarget:
    return config.LocalTarget(kind="local", name="archive", folder=folder)


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """Every kind of target, one after the other, on an empty folder."""
    if request.param == "local":
        root = tmp_path / "archive"
        target = make_target(local_settings(root))
    else:
        server: SftpServer = request.getfixturevalue("sftp_server")
        root = server.folder / "root"
        target = make_target(sftp_settings(server, tmp_path / "known_hosts"))
    target.prepare()
    yield Rig(request.param, target, root)
    target.close()


@pytest.fixture
def sample(tmp_path: Path) -> Callable[..., Sample]:
    """Makes files to be sent."""

    def make(content: bytes, name: str = "sample") -> Sample:
        folder = tmp_path / "sources"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}-{len(list(folder.iterdir()))}"
        path.write_bytes(content)
        return Sample(path, hashlib.sha256(content).hexdigest(), len(content))

    return make


@contextmanager
def _unprivileged() -> Iterator[None]:
    """As an ordinary user, for permissions mean nothing to root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture(params=KINDS)
def denied(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Target, Callable[[], AbstractContextManager[None]]]]:
    """A target whose folder may be read but not written, and as whom it is to be used."""
    if request.param == "sftp":
        with PrivateSshd(tmp_path / "private") as server:
            server.folder.chmod(0o555)
            target = make_target(password_settings(server))
            yield target, nullcontext
            target.close()
        return
    root = tmp_path / "archive"
    root.mkdir(mode=0o555)
    for parent in root.parents:  # pytest's own folders are closed to the user that is about to look in
        if parent.is_relative_to(tmp_path.parent.parent):
            parent.chmod(0o755)
    yield make_target(local_settings(root)), _unprivileged


@pytest.fixture
def small_local_disk(tmp_path: Path) -> Callable[[], list[str]]:
    """Runs `on_small_disk.py` where a disk of 2 MiB is mounted for that process only; gives its lines."""

    def run() -> list[str]:
        if os.geteuid() != 0:
            pytest.fail("This test mounts a small disk in a namespace of its own: it must run as root.")
        mount = (
            f"mount -t tmpfs -o size=2m none /mnt && exec {sys.executable} -m tests.conformance.on_small_disk"
        )
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=Path(__file__).parents[2],
        )
        return done.stdout.splitlines()

    return run
