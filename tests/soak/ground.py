"""Where the soak happens: a recorder with a small disk for its spool and four archives to deliver to."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.recorder import Recorder
from ari_recorder.lab.sftpd import SftpServer
from ari_recorder.lab.smbd import SambaServer
from tests.conformance.mounts import small_disk
from tests.graph_peer import entra
from tests.graph_peer.server import GraphPeer
from tests.integration.scene import Scene, assert_clean, phones_of, policy, prepared
from tests.integration.vault import vault_policy

SPOOL_SIZE = "24m"
"""Of the disk under the spool."""
STOP_AT_FREE = 4
"""Megabytes, see `[disk]`."""
TARGETS = ("archive", "vault", "share", "cloud")

DISK = f"""
[disk]
stop_at_free = {STOP_AT_FREE}
"""


@dataclass
class Ground:
    """Everything that may fail, and the archives that are judged in the end."""

    stage: Scene
    sftp: SftpServer
    samba: SambaServer
    graph: GraphPeer

    @property
    def pbx(self) -> Pbx:
        return self.stage.pbx

    @property
    def recorder(self) -> Recorder:
        return self.stage.recorder

    @property
    def archives(self) -> dict[str, Path]:
        """Each target's root, as its server sees it."""
        places = (self.stage.archive, self.sftp.folder, self.samba.folder, self.graph.drive.folder)
        return dict(zip(TARGETS, places, strict=True))

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Not a byte is left on the spool's disk as long as the block lasts."""
        ballast = self.recorder.spool / ".ballast"
        with ballast.open("wb", buffering=0) as file:
            size = 1 << 20
            while size:
                try:
                    file.write(bytes(size))
                except OSError:
                    size //= 2
        try:
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def archive_gone(self) -> Iterator[None]:
        """The folder target's folder is away, as a share that is not mounted."""
        away = self.stage.archive.with_name("archive.away")
        self.stage.archive.rename(away)
        try:
            yield
        finally:
            away.rename(self.stage.archive)


@asynccontextmanager
async def ground(pbx: Pbx, folder: Path) -> AsyncIterator[Ground]:
    """All of it running; gone when the block ends, and then the recorder's log is clean."""
    with ExitStack() as servers:
        sftp = servers.enter_context(SftpServer(folder / "sftp"))
        samba = servers.enter_context(SambaServer(folder / "samba"))
        graph = servers.enter_context(GraphPeer(folder / "graph"))
        more = vault_policy(sftp) + _share(samba) + _cloud(graph)
        rules = policy(more=more, targets=str(list(TARGETS)).replace("'", '"'))
        recorder = prepared(pbx, folder, rules)
        recorder.configure()
        recorder.config.write_text(recorder.config.read_text("utf-8") + DISK, encoding="utf-8")
        recorder.spool.mkdir()
        servers.enter_context(small_disk(recorder.spool, SPOOL_SIZE))
        with recorder:
            async with phones_of(pbx, recorder) as stage:
                yield Ground(stage, sftp, samba, graph)
        assert_clean(recorder)


def _share(samba: SambaServer) -> str:
    return f"""
[[target]]
kind = "smb"
name = "share"
host = "{samba.host}"
port = {samba.port}
share = "archive"
user = "{samba.user}"
password = "{samba.password}"
timeout = 5.0
"""


def _cloud(peer: GraphPeer) -> str:
    return f"""
[[target]]
kind = "onedrive"
name = "cloud"
tenant = "{entra.TENANT}"
client_id = "{entra.CLIENT}"
client_secret = "{entra.SECRET}"
user = "{entra.USER}"
authority = "{peer.address}"
graph = "{peer.address}"
ca_file = "{os.fspath(peer.ca_file)}"
timeout = 5.0
"""
