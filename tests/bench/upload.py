"""Delivery's throughput beside each protocol's usual client, to the same real server in the same run.

Ours is a whole `put`: the source checked, written, synced, read back, compared, renamed. The usual client
only sends, and syncs nothing; so it is also timed sending and fetching back. No assertion here: figures
differ from machine to machine.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from ari_recorder.config import targets as config
from ari_recorder.lab.programs import call, need
from ari_recorder.lab.sftpd import SftpServer
from ari_recorder.lab.smbd import SHARE, SambaServer
from ari_recorder.targets.base import Target
from ari_recorder.targets.register import make_target

MIB = 1024 * 1024
RUNS = 3


@dataclass(frozen=True, slots=True)
class Upload:
    """One kind of target. MiB/s, best of several runs that took turns."""

    kind: str
    client: str
    """What it is compared with."""
    ours: float
    theirs: float
    """Sending only."""
    theirs_back: float
    """Sending and fetching back, in bytes sent a second."""

    @property
    def ratio(self) -> float:
        """How many times as fast as the client's sending."""
        return self.ours / self.theirs

    @property
    def ratio_back(self) -> float:
        """How many times as fast as the client's sending and fetching back."""
        return self.ours / self.theirs_back

    def line(self) -> str:
        return (
            f"  {self.kind:7}{self.client:24}{self.ours:8.0f}{self.theirs:14.0f}{self.ratio:8.2f}"
            f"{self.theirs_back:18.0f}{self.ratio_back:8.2f}"
        )


@dataclass(frozen=True, slots=True)
class Contest:
    """A target and what does the same. `send` writes a file under a name, `fetch` reads one into a file."""

    kind: str
    client: str
    target: Target
    send: Callable[[Path, str], object]
    fetch: Callable[[str, Path], object]


def run(folder: Path, mebibytes: int, runs: int = RUNS) -> tuple[Upload, ...]:
    """Time a file of that size to a folder, to Samba and to OpenSSH."""
    source = folder / "source"
    with source.open("wb") as stream:
        for _ in range(mebibytes):
            stream.write(os.urandom(MIB))
    with source.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    found = []
    for contest in (_local, _smb, _sftp):
        with tempfile.TemporaryDirectory(dir=folder) as name, contest(Path(name)) as made:
            found.append(_measured(made, source, sha256, runs))
    return tuple(found)


def lines(uploads: tuple[Upload, ...], mebibytes: int) -> list[str]:
    """For people."""
    return [
        f"Delivery of {mebibytes} MiB in MiB/s, best of {RUNS}; ours is checked, synced and read back:",
        f"  {'target':7}{'client':24}{'ours':>8}{'client sends':>14}{'ratio':>8}"
        f"{'… and fetches':>18}{'ratio':>8}",
        *(upload.line() for upload in uploads),
    ]


def _measured(contest: Contest, source: Path, sha256: str, runs: int) -> Upload:
    size = source.stat().st_size
    ours, theirs, back = [], [], []
    target = contest.target
    for number in range(runs):
        name = PurePosixPath(f"ours-{number}")
        ours.append(_seconds(partial(target.put, source, name, sha256=sha256, size=size)))
        theirs.append(_seconds(lambda: contest.send(source, "theirs")))
        fetched = _seconds(lambda: contest.fetch("theirs", source.with_name("fetched")))
        back.append(theirs[-1] + fetched)
        target.delete(name)
    target.close()
    best = (size / MIB / min(times) for times in (ours, theirs, back))
    return Upload(contest.kind, contest.client, *best)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def _local(folder: Path) -> Iterator[Contest]:
    root = folder / "archive"
    target = make_target(config.LocalTarget(kind="local", name="bench", folder=root))
    target.prepare()

    def send(source: Path, name: str) -> None:
        call(["dd", f"if={source}", f"of={root / name}", "bs=1M", "conv=fsync"], limit=300)

    yield Contest("local", "dd conv=fsync", target, send, lambda name, to: shutil.copyfile(root / name, to))


@contextmanager
def _smb(folder: Path) -> Iterator[Contest]:
    with SambaServer(folder / "smb") as server:
        values = {"kind": "smb", "name": "bench", "host": server.host, "port": server.port, "share": SHARE}
        values |= {"user": server.user, "password": server.password}
        target = make_target(config.SmbTarget.model_validate(values))
        yield Contest(
            "smb",
            "smbclient, encrypted",
            target,
            lambda source, name: server.smbclient(f'put "{source}" {name}'),
            lambda name, to: server.smbclient(f'get {name} "{to}"'),
        )


@contextmanager
def _sftp(folder: Path) -> Iterator[Contest]:
    with SftpServer(folder / "sftp") as server:
        hosts = folder / "known_hosts"
        hosts.write_text(server.host_key_line + "\n", encoding="ascii")
        values = {"kind": "sftp", "name": "bench", "host": server.host, "port": server.port}
        values |= {"user": server.user, "key_file": server.client_key, "known_hosts": hosts}
        target = make_target(config.SftpTarget.model_validate(values))
        options = [f"-oUserKnownHostsFile={hosts}", f"-oIdentityFile={server.client_key}", "-oBatchMode=yes"]

        def sftp(command: str) -> None:
            words = [need("sftp", "openssh-client"), *options, "-P", str(server.port), "-b", "-"]
            subprocess.run(
                [*words, f"{server.user}@{server.host}"],
                input=command.encode(),
                check=True,
                capture_output=True,
                timeout=300,
            )

        yield Contest(
            "sftp",
            "sftp",
            target,
            lambda source, name: sftp(f'put "{source}" {name}\n'),
            lambda name, to: sftp(f'get {name} "{to}"\n'),
        )
