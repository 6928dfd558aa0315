"""Settings of a target on an SMB (Windows, Samba, NAS) share."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from ..table import Called, ResolvedPath, secret_of
from .common import AnyTarget, Host, Port, Timeout
from .tunnel import Tunnel


def _share(text: str) -> str:
    if not re.fullmatch(r'[^\x00-\x1f\\/:*?"<>|\[\]+=;,]{1,80}', text):
        raise ValueError("must be a share's name alone, without the server and without slashes")
    return text


def _folder(text: str) -> str:
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts or re.search(r'[\x00-\x1f:*?"<>|]', text):
        raise ValueError('must be a folder below the share, without ".." and characters Windows forbids')
    return "/".join(parts)


def _account(text: str) -> str:
    if any(ord(character) < 32 for character in text):
        raise ValueError("must not hold control characters")
    return text


Share = Annotated[str, AfterValidator(_share), Called("share")]
"""Name of a share."""
ShareFolder = Annotated[
    str, StringConstraints(max_length=1000), AfterValidator(_folder), Called("folder below the share")
]
"""A folder's path below a share, with `/` or `\\` between the names; empty for the share itself."""
Account = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_account)]


class SmbTarget(AnyTarget):
    """A folder on an SMB share: Windows Server, Samba, a NAS. What is sent is encrypted (SMB 3)."""

    kind: Literal["smb"]
    """Says that the target is an SMB share."""
    host: Host | None = None
    """Host name or IP address of the server; for a DFS path its first part."""
    port: Port = 445
    """TCP port."""
    share: Share | None = None
    """Name of the share. A DFS root will do: its referrals are followed."""
    folder: ShareFolder = ""
    """Folder below the share; it must exist. The default is the share itself."""
    user: Account | None = None
    """Login name."""
    domain: Account | None = None
    """Domain of the login name, where it has one."""
    password: SecretStr | None = None
    """Password. Better kept in a file of its own, see `password_file`."""
    password_file: ResolvedPath | None = None
    """File whose first line is the password."""
    encrypt: Annotated[bool, Field(strict=True)] = True
    """`false` sends the recordings readable for anybody on the way, only signed. For servers that cannot
    encrypt (older than SMB 3)."""
    timeout: Timeout = 15.0
    """Seconds to wait for the server's answer."""
    tunnel: Tunnel | None = None
    """Reaches the server through an SSH jump host: `tunnel = { host = …, user = …, … }`."""

    @model_validator(mode="after")
    def _consistent(self) -> SmbTarget:
        if self.password is not None and self.password_file is not None:
            raise ValueError('may have either "password" or "password_file", not both')
        return self

    def missing(self) -> tuple[str, ...]:
        wanted = {
            "host": self.host,
            "share": self.share,
            "user": self.user,
            "password or password_file": self.password or self.password_file,
        }
        absent = tuple(key for key, value in wanted.items() if value is None)
        through = self.tunnel.missing() if self.tunnel is not None else ()
        return (*absent, *(f"tunnel: {key}" for key in through))

    @property
    def where(self) -> str:
        """The share as Windows writes it, for messages."""
        port = "" if self.port == 445 else f":{self.port}"
        return f"\\\\{self.host or '?'}{port}\\{self.share or '?'}"

    @property
    def place(self) -> str:
        """Where the recordings go, for people."""
        folder = "".join(f"\\{part}" for part in self.folder.split("/") if part)
        through = f" through {self.tunnel.where}" if self.tunnel is not None else ""
        return f"{self.where}{folder}{through}"

    def read_password(self) -> str:
        """The password, from its file where it is kept in one; ConfigError when that cannot be read."""
        return secret_of(self.password, self.password_file, f'The password of target "{self.name}"') or ""
