"""How to reach and log in to an SSH server: what SFTP and a tunnel through a jump host have in common."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import SecretStr, StringConstraints, model_validator

from ..table import ResolvedPath, Table, secret_of
from .common import Fingerprint, Host, Port, Timeout


class SshServer(Table):
    """An SSH server, and as whom to log in there. The server's host key is always checked."""

    host: Host | None = None
    """Host name or IP address."""
    port: Port = 22
    """TCP port."""
    user: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    """Login name."""
    password: SecretStr | None = None
    """Password. Better kept in a file of its own, see `password_file`."""
    password_file: ResolvedPath | None = None
    """File whose first line is the password."""
    key_file: ResolvedPath | None = None
    """Private key in OpenSSH or PEM format. Only one of the three ways to log in may be given."""
    passphrase: SecretStr | None = None
    """Passphrase of `key_file`."""
    known_hosts: ResolvedPath | None = None
    """File in OpenSSH's `known_hosts` format that holds the server's host key. `ari-recorder target trust`
    fetches the key and writes it there."""
    fingerprint: Fingerprint | None = None
    """The host key's fingerprint as `ssh-keygen -l` prints it, instead of `known_hosts`."""
    timeout: Timeout = 15.0
    """Seconds to wait for the server's answer."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(way is not None for way in (self.password, self.password_file, self.key_file)) > 1:
            raise ValueError('may have only one of "password", "password_file" and "key_file"')
        if self.passphrase is not None and self.key_file is None:
            raise ValueError('has a "passphrase" but no "key_file"')
        if self.known_hosts is not None and self.fingerprint is not None:
            raise ValueError('may have either "known_hosts" or "fingerprint", not both')
        return self

    def missing(self) -> tuple[str, ...]:
        """Which keys are still to be given before the server can be used."""
        wanted = {
            "host": self.host,
            "user": self.user,
            "password, password_file or key_file": self.password or self.password_file or self.key_file,
            "known_hosts or fingerprint": self.known_hosts or self.fingerprint,
        }
        return tuple(key for key, value in wanted.items() if value is None)

    @property
    def where(self) -> str:
        """`host:port`, for messages."""
        return f"{self.host or '?'}:{self.port}"

    def read_password(self) -> str | None:
        """The password, from its file where it is kept in one; ConfigError when that cannot be read."""
        return secret_of(self.password, self.password_file, f"The password for {self.where}")
