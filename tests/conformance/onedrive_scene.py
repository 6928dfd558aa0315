"""One stand-in for Microsoft 365, and the targets made for it: for the tests of OneDrive alone."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.config import targets as config
from ari_recorder.model.delivery import Receipt
from ari_recorder.model.errors import RecorderError
from ari_recorder.targets.onedrive import OneDriveTarget
from tests.graph_peer.server import GraphPeer

from .rig import Sample
from .rig_onedrive import ROOT, onedrive_settings, vault_in
from .test_contract import PATH

FRAGMENT_KIB = 320
LARGE = 5 * FRAGMENT_KIB * 1024 + 1
"""Bytes of a file of six fragments."""


class Scene:
    """One peer, and the targets made for it, all of one recorder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.peer = GraphPeer(folder / "peer")
        self.root = self.peer.drive.folder / ROOT
        self.root.mkdir()
        self.vault = vault_in(folder)
        self._made: list[OneDriveTarget] = []

    def settings(self, **changes: object) -> config.OneDriveTarget:
        return onedrive_settings(self.peer, **({"fragment": FRAGMENT_KIB} | changes))

    def target(self, **changes: object) -> OneDriveTarget:
        made = OneDriveTarget(self.settings(**changes), self.vault)
        self._made.append(made)
        return made

    def put(self, sample: Sample, path: PurePosixPath = PATH, **changes: object) -> Receipt:
        return put(self.target(**changes), sample, path)

    def failure(self, sample: Sample, **changes: object) -> RecorderError:
        return failure(self.target(**changes), sample)

    def stands(self, sample: Sample) -> bool:
        return (self.root / PATH).exists() and (self.root / PATH).read_bytes() == sample.path.read_bytes()

    def close(self) -> None:
        for target in self._made:
            target.close()


def put(target: OneDriveTarget, sample: Sample, path: PurePosixPath = PATH) -> Receipt:
    return target.put(sample.path, path, sha256=sample.sha256, size=sample.size)


def failure(target: OneDriveTarget, sample: Sample) -> RecorderError:
    with pytest.raises(RecorderError) as caught:
        put(target, sample)
    text = str(caught.value)
    assert "geheim" not in text
    assert "tempauth" not in text
    assert caught.value.remedy or caught.value.code == "target.torn"
    return caught.value
