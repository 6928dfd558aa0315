"""One Samba and the targets made for it, for the tests of what only SMB can do to us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.lab.smbd import PASSWORD, SambaServer
from ari_recorder.model.errors import RecorderError
from ari_recorder.targets.smb import SmbTarget

from .rig import Sample
from .rig_smb import smb_settings
from .test_contract import PATH, put

LIMIT = 1.5
"""Seconds that the target under test gives a silent server."""


class Scene:
    """One server and the targets made for it."""

    def __init__(self, server: SambaServer) -> None:
        self.server = server
        self.root = server.folder / "root"
        self.root.mkdir(exist_ok=True)
        self._made: list[SmbTarget] = []

    def target(self, **changes: object) -> SmbTarget:
        made = SmbTarget(smb_settings(self.server, **changes))
        self._made.append(made)
        return made

    def close(self) -> None:
        for target in self._made:
            target.close()


@contextmanager
def scene_of(server: SambaServer) -> Iterator[Scene]:
    with server:
        made = Scene(server)
        try:
            yield made
        finally:
            made.close()


def failure(target: SmbTarget, sample: Sample, path: PurePosixPath = PATH) -> RecorderError:
    with pytest.raises(RecorderError) as caught:
        put(target, sample, path)
    text = str(caught.value)
    assert "Traceback" not in text
    assert PASSWORD not in text
    assert caught.value.remedy or caught.value.code == "target.torn"
    return caught.value


def names_below(root: Path) -> list[str]:
    """Every file below a folder, part files included."""
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())
