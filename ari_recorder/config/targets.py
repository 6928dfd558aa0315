"""Targets as written in the policy: where recordings are delivered to. `targets/` carries them out."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from .problems import suggestion
from .table import Called, ResolvedPath, Table, Word, secret_of

TEMPLATE_WORDS: dict[str, str] = {
    "Y": "year of the call's begin, four digits (recorder's local time)",
    "M": "month, two digits",
    "D": "day of the month, two digits",
    "h": "hour, two digits",
    "m": "minute, two digits",
    "s": "second, two digits",
    "direction": "`inbound`, `outbound` or `internal`",
    "setting": "name of the setting that decided",
    "caller": "number of the caller",
    "callee": "number of the callee",
    "remote": "number of the outside party",
    "local": "number of the PBX's own party",
    "trunk": "name of the trunk",
    "trunk_number": "the PBX's own public number",
    "pbx": "name of the PBX",
    "id": "the recording's id",
}
"""What may stand after `$` in a path template."""

_BARE = "|".join(sorted(TEMPLATE_WORDS, key=len, reverse=True))
TEMPLATE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<braced>[A-Za-z_]*)\}"
    rf"|(?P<bare>{_BARE})(?![A-Za-z])|(?P<wrong>\{{?[A-Za-z_]*))"
)
"""Finds `$Y`, `${Y}`, `$$` and, as `wrong`, whatever else begins with a dollar sign."""


def _template(text: str) -> str:
    for found in TEMPLATE.finditer(text):
        word = found["bare"] or found["braced"]
        if found["dollar"] or word in TEMPLATE_WORDS:
            continue
        wrong = (word or found["wrong"] or "").strip("{}")
        hint = suggestion(f"${wrong}", [f"${known}" for known in TEMPLATE_WORDS], "known are")
        raise ValueError(f'holds "${wrong}", which is not known; {hint}')
    if any(ord(character) < 32 or character in "\\\x7f" for character in text):
        raise ValueError("must not hold a backslash or a control character")
    if PurePosixPath(text).is_absolute() or ".." in PurePosixPath(text).parts:
        raise ValueError('must stay inside the folder: neither a leading "/" nor ".."')
    return text


PathTemplate = Annotated[
    str, StringConstraints(max_length=500), AfterValidator(_template), Called("path template")
]
"""A sub-folder made of text and `$` words, see `TEMPLATE_WORDS`; always relative, may be empty."""


def _remote_folder(text: str) -> str:
    if not text or any(ord(character) < 32 for character in text):
        raise ValueError("must be a folder's path without control characters")
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:%\[\]-]{1,255}", text) or text.startswith("-"):
        raise ValueError("must be a host name or an IP address")
    return text


def _fingerprint(text: str) -> str:
    if not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}=?", text):
        raise ValueError('must be "SHA256:" and 43 characters, as "ssh-keygen -l" prints it')
    return text.removesuffix("=")


class LocalTarget(Table):
    """A folder on this machine, or one that is mounted here."""

    kind: Literal["local"]
    """Says that the target is a folder."""
    name: Word
    """How settings and messages call the target."""
    folder: ResolvedPath
    """Folder of the archive. A relative path counts from the policy file's folder."""
    path: PathTemplate = "$Y/$M/$D"
    """Sub-folder for each recording, made when it is missing."""


class SftpTarget(Table):
    """A folder on an SFTP server (OpenSSH and others). The server's host key is always checked."""

    kind: Literal["sftp"]
    """Says that the target is an SFTP server."""
    name: Word
    """How settings and messages call the target."""
    host: Annotated[str, AfterValidator(_host)]
    """Host name or IP address."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] = 22
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
    fingerprint: Annotated[str, AfterValidator(_fingerprint)] | None = None
    """The host key's fingerprint as `ssh-keygen -l` prints it, instead of `known_hosts`."""
    folder: Annotated[str, StringConstraints(max_length=1000), AfterValidator(_remote_folder)] = "."
    """Folder on the server; it must exist. A relative path counts from the login's home folder."""
    path: PathTemplate = "$Y/$M/$D"
    """Sub-folder for each recording, made when it is missing."""
    timeout: Annotated[float, Field(strict=True, gt=0, le=600)] = 15.0
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


Target: TypeAlias = Annotated[LocalTarget | SftpTarget, Field(discriminator="kind")]
"""Any target, told apart by `kind`. A new kind of target is added here and in `targets/`."""
