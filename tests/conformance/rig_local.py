"""A folder on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ari_recorder.config import targets as config
from ari_recorder.targets.base import Target
from ari_recorder.targets.steps import Step

from .mounts import small_disk
from .rig import Rig

NOBODY = 65534


class LocalRig(Rig):
    kind = "local"
    networked = False
    steps = (Step.WRITE, Step.READ_BACK, Step.RENAME)

    def start(self) -> None:
        self.root = self.folder / "archive"
        self.target = self.make()
        self.target.prepare()

    def settings(self, **changes: object) -> config.Target:
        values = {"kind": "local", "name": "archive", "folder": self.root, **changes}
        return config.LocalTarget.model_validate(values)

    @contextmanager
    def denied(self) -> Iterator[Target]:
        """As an ordinary user, for permissions mean nothing to root."""
        root = self.folder / "closed"
        root.mkdir(mode=0o555)
        for parent in root.parents:  # pytest's own folders are closed to the user that is about to look in
            if parent.is_relative_to(self.folder.parents[2]):
                parent.chmod(0o755)
        if os.geteuid() != 0:
            yield self.make(folder=root)
            return
        os.seteuid(NOBODY)
        try:
            yield self.make(folder=root)
        finally:
            os.seteuid(0)

    @contextmanager
    def full(self) -> Iterator[Target]:
        place = self.folder / "small"
        place.mkdir()
        with small_disk(place, "2m"):
            yield self.make(folder=place)
