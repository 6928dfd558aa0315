"""A delivery to a real server, killed (SIGKILL) at each of its steps, and taken up by the next life.

What is demanded is looked at behind the target's back: nothing torn under a final name, each file once and
whole, no rubbish in the end, and what had arrived is not sent again.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.model.evidence import Link, Sealed, SealedFile
from ari_recorder.model.recording import State
from ari_recorder.spool.folders import Spool
from ari_recorder.targets.base import is_part
from tests.matrix.driver import Case, every_moment
from tests.matrix.lives import Parent, parent
from tests.unit.spool.crashing import OWN
from tests.unit.spool.recordings import AT, CERTIFICATE, recording

from .rig import Rig
from .rig_onedrive import OneDriveRig

FRAGMENT_KIB = 320
FILES = {
    f"{OWN}.wav": os.urandom(4 * FRAGMENT_KIB * 1024 + 1),  # some blocks of every protocol
    f"{OWN}.sig": b"signature",
}
ARCHIVE = {f"2026/11/21/{name}": content for name, content in FILES.items()} | {
    f"ari-recorder-{CERTIFICATE[:16]}.crt": b"certificate"
}


@pytest.fixture(scope="module", name="lives")
def parent_of_lives() -> Iterator[Parent]:
    with parent() as made:
        yield made


class Delivery(Case):
    """One recording to the root of a rig."""

    scene = "deliver_to_server"

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.changes: dict[str, object] = {}
        self._arrived: dict[str, tuple[object, ...]] = {}

    @property
    def row(self) -> str:
        return f"{self.scene}:{self.rig.kind}"

    def prepare(self, folder: Path) -> None:
        self._arrived = {}
        for path in self.rig.root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (folder / "settings").write_bytes(pickle.dumps(self.rig.settings(**self.changes)))
        (folder / "seal.passphrase").write_text("for the vault\n", encoding="ascii")
        (folder / "certificate.crt").write_bytes(b"certificate")
        (folder / "state").mkdir()
        with Spool(folder / "spool") as spool:
            self._seal(spool)

    def died(self, folder: Path, moment: str) -> None:
        found = self._finished()
        assert {name: self.rig.read(PurePosixPath(name)) for name in found}.items() <= ARCHIVE.items()
        if not (folder / "spool" / OWN).exists():
            assert set(found) == set(ARCHIVE)
        self._arrived = {name: self.rig.identity(PurePosixPath(name)) for name in found}

    def settled(self, folder: Path, moment: str) -> None:
        assert {name: self.rig.read(PurePosixPath(name)) for name in self.rig.names()} == ARCHIVE
        for name, identity in self._arrived.items():
            assert self.rig.identity(PurePosixPath(name)) == identity
        with Spool(folder / "spool") as spool:
            assert list(spool.all()) == []

    def _finished(self) -> list[str]:
        return [name for name in self.rig.names() if not is_part(PurePosixPath(name).name)]

    @staticmethod
    def _seal(spool: Spool) -> None:
        folder = spool.create(recording(OWN, "archive"))
        for name, content in FILES.items():
            (folder.path / name).write_bytes(content)
        files = tuple(SealedFile(n, len(c), hashlib.sha256(c).hexdigest()) for n, c in FILES.items())
        seal = Sealed(OWN, files, Link(1, OWN, OWN, AT, "00" * 32, None), CERTIFICATE)
        folder.update(lambda r: replace(r, state=State.SEALED, sealed=seal))


class Uploads(Delivery):
    """By upload sessions, of which the peer knows what they received."""

    rig: OneDriveRig

    def __init__(self, rig: OneDriveRig) -> None:
        super().__init__(rig)
        self.changes = {"fragment": FRAGMENT_KIB}

    def prepare(self, folder: Path) -> None:
        super().prepare(folder)
        uploads = self.rig.peer.uploads
        uploads.forget()
        uploads.made = uploads.received = 0

    def settled(self, folder: Path, moment: str) -> None:
        super().settled(folder, moment)
        uploads = self.rig.peer.uploads
        assert uploads.received == sum(map(len, ARCHIVE.values()))  # no byte twice
        lost = uploads.made - len(ARCHIVE)
        assert lost == len(uploads.sessions) <= (moment.partition(":")[0] in FORGOTTEN)


FORGOTTEN = ("onedrive.made", "write.begin", "write.synced", "onedrive.session")
"""Then a session was made and is not remembered yet, or never is, as that of a file which goes out in one
piece: another one is asked for, and the service gives the empty one up by itself."""


@pytest.mark.parametrize("kind", ["sftp", "smb", "onedrive"])
def test_killed_at_every_step(
    lives: Parent, servers: Callable[[str], Rig], tmp_path: Path, kind: str
) -> None:
    rig = servers(kind)
    (tmp_path / "rig").mkdir()
    rig.renew(tmp_path / "rig")
    case = Uploads(rig) if isinstance(rig, OneDriveRig) else Delivery(rig)
    assert every_moment(lives, case, tmp_path) > 0
