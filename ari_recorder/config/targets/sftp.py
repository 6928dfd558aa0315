"""Settings of a target on an SFTP server."""

from __future__ import annotations

from typing import Literal

from .common import AnyTarget, RemoteFolder
from .ssh import SshServer


class SftpTarget(SshServer, AnyTarget):
    """A folder on an SFTP server (OpenSSH and others). The server's host key is always checked."""

    kind: Literal["sftp"]
    """Says that the target is an SFTP server."""
    folder: RemoteFolder = "."
    """Folder on the server; it must exist. A relative path counts from the login's home folder."""

    @property
    def place(self) -> str:
        """Where the recordings go, for people."""
        return f"{self.user or '?'}@{self.where} {self.folder}"
