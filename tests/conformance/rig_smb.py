"""Samba, as the user who runs the tests: signing and encryption required, a folder below the share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from ari_recorder.config import targets as config
from ari_recorder.lab.smbd import SHARE, SambaServer
from ari_recorder.targets.base import Target
from ari_recorder.targets.register import make_target
from ari_recorder.targets.steps import Step

from .rig import Rig


def smb_settings(server: SambaServer, **changes: object) -> config.SmbTarget:
    """Settings that work with a server; `changes` spoil or vary them. None takes a key away."""
    values: dict[str, object] = {
        "kind": "smb",
        "name": "archive",
        "host": server.host,
        "port": server.port,
        "share": SHARE,
        "folder": "root",
        "user": server.user,
        "password": server.password,
        "timeout": 10.0,
        **changes,
    }
    return config.SmbTarget.model_validate({k: v for k, v in values.items() if v is not None})


class SmbRig(Rig):
    kind = "smb"
    steps: ClassVar[tuple[Step, ...]] = (
        Step.CONNECT,
        Step.LOGIN,
        Step.WRITE,
        Step.READ_BACK,
        Step.RENAME,
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = SambaServer(folder / "smb")

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
        return smb_settings(self.server, **changes)

    def takes(self, name: str) -> bool:
        return not any(character in '\\:*?"<>|\n' for character in name)

    def kill(self) -> None:
        self.server.kill()

    def freeze(self) -> None:
        self.server.freeze()

    def thaw(self) -> None:
        self.server.thaw()

    def wrong_login(self) -> Target:
        return self.make(password="wrong")

    @contextmanager
    def denied(self) -> Iterator[Target]:
        with SambaServer(self.folder / "private", share={"read only": "yes"}) as server:
            yield self.kept(make_target(smb_settings(server, folder="")))

    @contextmanager
    def full(self) -> Iterator[Target]:
        with SambaServer(self.folder / "small", disk="2m") as server:
            yield self.kept(make_target(smb_settings(server, folder="")))

    def close(self) -> None:
        super().close()
        self.server.close()
