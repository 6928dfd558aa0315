"""The stand-in for Microsoft 365 in `tests/graph_peer`; its drive is a folder here."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from ari_recorder.config import targets as config
from ari_recorder.targets.base import Target, is_part
from ari_recorder.targets.onedrive import OneDriveTarget
from ari_recorder.targets.register import make_target
from ari_recorder.targets.steps import Step
from ari_recorder.targets.vault import Vault
from tests.graph_peer.entra import CLIENT, SECRET, TENANT, USER
from tests.graph_peer.names import refused
from tests.graph_peer.server import GraphPeer

from .rig import Rig

ROOT = "recordings"
FRAGMENT_KIB = 1280


def onedrive_settings(peer: GraphPeer, **changes: object) -> config.OneDriveTarget:
    """Settings that work with a peer; `changes` spoil or vary them. None takes a key away."""
    values: dict[str, object] = {
        "kind": "onedrive",
        "name": "archive",
        "tenant": TENANT,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "user": USER,
        "folder": ROOT,
        "authority": peer.address,
        "graph": peer.address,
        "ca_file": peer.ca_file,
        "fragment": FRAGMENT_KIB,
        "timeout": 10.0,
        **changes,
    }
    return config.OneDriveTarget.model_validate({k: v for k, v in values.items() if v is not None})


def vault_in(folder: Path) -> Vault:
    """A vault as a recorder has it, with a passphrase of its own."""
    passphrase = folder / "seal.passphrase"
    if not passphrase.exists():
        passphrase.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
    return Vault(folder / "state", passphrase)


class Detour(HTTPAdapter):
    """All requests go to another port of this machine; the addresses in them stay as they are."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def get_connection_with_tls_context(self, request: Any, verify: Any, *words: Any, **more: Any) -> Any:
        host, pool = self.build_connection_pool_key_attributes(request, verify, more.get("cert"))
        host["port"] = self._port
        return self.poolmanager.connection_from_host(**host, pool_kwargs=pool)


class OneDriveRig(Rig):
    kind = "onedrive"
    steps = (Step.CONNECT, Step.LOGIN, Step.WRITE, Step.RENAME)
    last_look = Step.RENAME

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.peer = GraphPeer(folder / "peer")
        self.vault = vault_in(folder)
        self.root = self.peer.drive.folder / ROOT
        self.port = self.peer.port
        self._begun = False

    def takes(self, name: str) -> bool:
        return refused(name) is None

    def start(self) -> None:
        self.peer.start()
        if not self._begun:
            self._begun = True
            self.target = self.make()
            self.target.prepare()

    def settings(self, **changes: object) -> config.Target:
        return onedrive_settings(self.peer, **changes)

    def make(self, **changes: object) -> Target:
        return self.kept(make_target(self.settings(**changes), self.vault))

    def through(self, port: int, *, timeout: float) -> Target:
        target = self.make(timeout=timeout)
        assert isinstance(target, OneDriveTarget)
        target.session.wire.mount("https://", Detour(port))
        return target

    def kill(self) -> None:
        self.peer.kill()

    def freeze(self) -> None:
        self.peer.freeze()

    def thaw(self) -> None:
        self.peer.thaw()

    def wrong_login(self) -> Target:
        return self.make(client_secret="wrong")

    @contextmanager
    def denied(self) -> Iterator[Target]:
        self.peer.drive.read_only = True
        yield self.make()
        self.peer.drive.read_only = False

    @contextmanager
    def full(self) -> Iterator[Target]:
        self.peer.drive.room = 2_000_000
        yield self.make()
        self.peer.drive.room = None

    def plant(self, path: PurePosixPath, content: bytes) -> None:
        """A torn upload leaves no file in a drive, but a session and its bytes."""
        if not is_part(path.name):
            super().plant(path, content)
            return
        (self.root / path.parent).mkdir(parents=True, exist_ok=True)
        self.begin_upload(path.with_name(path.name.removeprefix(".").rsplit(".", 2)[0]), content)

    def begin_upload(self, path: PurePosixPath, content: bytes) -> None:
        """An upload session for that file that nobody goes on with, and the first of its bytes."""
        token = next(iter(self.peer.entra.tokens))
        drive, whole = self.peer.drive.id.replace("!", "%21"), f"{ROOT}/{path}"
        address = f"{self.peer.address}/v1.0/drives/{drive}/root:/{whole}:/createUploadSession"
        wish = {"item": {"@microsoft.graph.conflictBehavior": "replace", "name": path.name}}
        headers = {"Authorization": f"Bearer {token}"}
        authority = str(self.peer.ca_file)
        answer = requests.post(address, json=wish, headers=headers, verify=authority, timeout=10)
        answer.raise_for_status()
        step = 320 * 1024
        piece = content.ljust(step, b"x")[:step]
        headers = {"Content-Range": f"bytes 0-{step - 1}/{2 * step}"}
        begun = requests.put(answer.json()["uploadUrl"], piece, headers=headers, verify=authority, timeout=10)
        assert begun.status_code == 202, begun.text

    def spoil_parts(self, content: bytes) -> None:
        """The service stores something else than it was given, once."""
        self.peer.uploads.spoil = True

    def close(self) -> None:
        super().close()
        self.peer.thaw()
        self.peer.kill()
