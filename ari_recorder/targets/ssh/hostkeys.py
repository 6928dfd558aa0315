"""Which host keys of a server are trusted: a `known_hosts` file, or one pinned fingerprint.

The file's format is that of sshd(8): plain, pattern and hashed host names, `[host]:port` for every port but
22, and the markers `@revoked` (refused) and `@cert-authority` (not supported, passed over).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from ...model.errors import ConfigError

KINDS: dict[str, tuple[str, ...]] = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Kind of key → the algorithms with which a server may prove that it holds one. SHA-1 is not among them."""


def fingerprint(key: paramiko.PKey) -> str:
    """`SHA256:…` as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode("ascii").rstrip("=")


@dataclass(frozen=True, slots=True)
class Trusted:
    """The keys that a server may show: either these, or the one with this fingerprint."""

    keys: tuple[paramiko.PKey, ...] = ()
    revoked: tuple[paramiko.PKey, ...] = ()
    pinned: str | None = None

    def kinds(self) -> tuple[str, ...]:
        """Kinds of key to ask the server for, one after the other: it shows only one at a time."""
        if self.pinned is not None:
            return tuple(KINDS)
        return tuple(dict.fromkeys(key.get_name() for key in self.keys if key.get_name() in KINDS))

    def trusts(self, key: paramiko.PKey) -> bool:
        if any(key == bad for bad in self.revoked):
            return False
        if self.pinned is not None:
            return fingerprint(key) == self.pinned.rstrip("=")
        return any(key == known for known in self.keys)


def from_file(path: Path, host: str, port: int) -> Trusted:
    """The keys that a `known_hosts` file has for a server. ConfigError `target.host-key`."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(
            "target.host-key",
            f"The file {path} with known host keys cannot be read: {error.strerror}.",
            remedy="Make it with: ari-recorder target trust and the target's name.",
        ) from error
    name = entry_name(host, port)
    keys: list[paramiko.PKey] = []
    revoked: list[paramiko.PKey] = []
    for line in lines:
        marker, _, rest = line.strip().partition(" ") if line.strip().startswith("@") else ("", "", line)
        if (key := _key_for(name, rest.strip())) is not None and marker in ("", "@revoked"):
            (revoked if marker else keys).append(key)
    return Trusted(keys=tuple(keys), revoked=tuple(revoked))


def entry_name(host: str, port: int) -> str:
    """How the file calls a server."""
    return host if port == 22 else f"[{host}]:{port}"


def entry(host: str, port: int, key: paramiko.PKey, *, revoked: bool = False) -> str:
    """The file's line for a key."""
    marker = "@revoked " if revoked else ""
    return f"{marker}{entry_name(host, port)} {key.get_name()} {key.get_base64()}\n"


def _key_for(name: str, line: str) -> paramiko.PKey | None:
    """The key of a line when the line speaks of that host."""
    names, _, rest = line.replace("\t", " ").partition(" ")
    if not names or names.startswith("#") or not _speaks_of(name, names.split(",")):
        return None
    try:
        entry = HostKeyEntry.from_line(f"x {' '.join(rest.split())}")
    except (paramiko.SSHException, InvalidHostKey, ValueError):
        return None
    return entry.key if entry is not None else None


def _speaks_of(name: str, patterns: list[str]) -> bool:
    """A negated pattern (`!…`) that matches rules a line out, wherever it stands."""
    matched = False
    for pattern in patterns:
        if pattern.startswith("!"):
            if _matches(name, pattern[1:]):
                return False
        elif _matches(name, pattern):
            matched = True
    return matched


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("|1|"):
        try:
            return paramiko.HostKeys.hash_host(name, pattern) == pattern
        except (ValueError, IndexError, AssertionError):
            return False
    # Only * and ? are wildcards there; fnmatch would take the brackets of [host]:port for a set.
    return fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))
