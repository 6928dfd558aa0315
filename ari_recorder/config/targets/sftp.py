"""Settings of a target on an SFTP server."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import SecretStr, StringConstraints, model_validator

from ..table import ResolvedPath, secret_of
from .common import AnyTarget, Fingerprint, Host, Port, RemoteFolder, Timeout


class SftpTarget(AnyTarget):
    """A folder on an SFTP server (OpenSSH and others). The server's host key is always checked."""

    kind: Literal["sftp"]
    """Says that the target is an SFTP server."""
    host: Host
    """Host name or IP address."""
    port: Port = 22
    """TCP port."""
    user: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    """Login name."""
    password: SecretStr | None = None
    """Password. Better kept in a file of its own, see `password_file`."""
    password_file: ResolvedPath | None = None
    """File whose first line is the password."""
    key_file: ResolvedPath | None = None
    """Private key in OpenSSH or PEM format. Exactly one of the three ways to log in must be given."""
    passphrase: SecretStr | None = None
    """Passphrase of `key_file`."""
    known_hosts: ResolvedPath | None = None
    """File in OpenSSH's `known_hosts` format that holds the server's host key."""
    fingerprint: Fingerprint | None = None
    """The host key's fingerprint as `ssh-keygen -l` prints it, instead of `known_hosts`."""
    folder: RemoteFolder = "."
    """Folder on the server; it must exist. A relative path counts from the login's home folder."""
    timeout: Timeout = 15.0
    """Seconds to wait for the server's answer."""

    @model_validator(mode="after")
    def _complete(self) -> SftpTarget:
        ways = (self.password, self.password_file, self.key_file)
        if sum(way is not None for way in ways) != 1:
            raise ValueError('needs exactly one of "password", "password_file" and "key_file"')
        if self.passphrase is not None and self.key_file is None:
            raise ValueError('has a "passphrase" but no "key_file"')
        if (self.known_hosts is None) == (self.fingerprint is None):
            raise ValueError('needs either "known_hosts" or "fingerprint"')
        return self

    def read_password(self) -> str | None:
        """The password, from its file where it is kept in one; ConfigError when that cannot be read."""
        return secret_of(self.password, self.password_file, f'The password of target "{self.name}"')
