"""Getting to know a server's host key: fetch it, show it to a person, keep it in the `known_hosts` file.

The file only grows. A key that replaces another of its kind revokes that one (`@revoked`, sshd(8)), so that
the file tells what was trusted when, and an old key that turns up again is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import paramiko

from ...config import targets as config
from ...disk import durable
from ...model.errors import ConfigError
from . import hostkeys
from .connection import Login


class Standing(StrEnum):
    """What is known of a key that a server shows."""

    KNOWN = "known"
    NEW = "new"
    """Nothing of its kind is known for this server."""
    CHANGED = "changed"
    """Another one of its kind is known, or another one is pinned."""
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ShownKey:
    kind: str
    """Such as `ssh-ed25519`."""
    fingerprint: str
    standing: Standing
    key: paramiko.PKey


def ssh_server(settings: config.Target) -> config.SshServer | None:
    """The SSH server that a target needs: itself, or the jump host it is reached through; None without."""
    if isinstance(settings, config.SshServer):
        return settings
    tunnel = getattr(settings, "tunnel", None)
    return tunnel if isinstance(tunnel, config.SshServer) else None


def look(server: config.SshServer) -> tuple[ShownKey, ...]:
    """The keys that the server shows now. TransientError `target.unreachable`."""
    trusted = known(server)
    return tuple(
        ShownKey(key.get_name(), hostkeys.fingerprint(key), _standing(key, trusted), key)
        for key in Login(server).shown_keys()
    )


def known(server: config.SshServer) -> hostkeys.Trusted:
    """What is trusted so far; nothing where the file does not exist yet."""
    path = server.known_hosts
    if path is None or not path.exists():
        return hostkeys.Trusted(pinned=server.fingerprint)
    return hostkeys.from_file(path, server.host or "", server.port)


def keep(server: config.SshServer, keys: Iterable[ShownKey], *, owner: tuple[int, int] | None = None) -> Path:
    """Append keys to the server's `known_hosts` file, whole or not at all, and revoke those they replace.

    `owner` (user and group number) is to own the file when it is new. ValueError without such a file in the
    settings, ConfigError `target.host-key` when it cannot be written.
    """
    path, host = server.known_hosts, server.host or ""
    if path is None:
        raise ValueError("the settings name no file to keep the key in")
    trusted = known(server)
    text = "".join(line for one in keys for line in _lines(one, trusted, host, server.port))
    try:
        _append(path, text, owner)
    except OSError as error:
        raise ConfigError(
            "target.host-key",
            f"The file {path} with known host keys cannot be written: {error.strerror}.",
            remedy="Run the command as the user who owns the file's folder.",
        ) from error
    return path


def _standing(key: paramiko.PKey, trusted: hostkeys.Trusted) -> Standing:
    if key in trusted.revoked:
        return Standing.REVOKED
    if trusted.trusts(key):
        return Standing.KNOWN
    same_kind = any(old.get_name() == key.get_name() for old in trusted.keys)
    return Standing.CHANGED if same_kind or trusted.pinned is not None else Standing.NEW


def _lines(one: ShownKey, trusted: hostkeys.Trusted, host: str, port: int) -> Iterator[str]:
    if one.standing is Standing.CHANGED:
        for old in trusted.keys:
            if old.get_name() == one.kind and old not in trusted.revoked:
                yield hostkeys.entry(host, port, old, revoked=True)
    if one.standing in (Standing.NEW, Standing.CHANGED):
        yield hostkeys.entry(host, port, one.key)


def _append(path: Path, text: str, owner: tuple[int, int] | None) -> None:
    """The old content and the new lines, in one step; mode 600, or what the file had."""
    path = path.resolve()
    before, mode = b"", 0o600
    if path.exists():
        before, found = path.read_bytes(), path.stat()
        mode, owner = found.st_mode & 0o777, (found.st_uid, found.st_gid)
    if before and not before.endswith(b"\n"):
        before += b"\n"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        durable.write_new(temporary, before + text.encode(), mode)
        if owner is not None and os.geteuid() == 0:
            os.chown(temporary, *owner)
        durable.publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
