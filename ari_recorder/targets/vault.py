"""Small secrets that targets have to keep over a restart: logins of users, addresses of uploads under way.

They lie encrypted in the recorder's state folder. The key is made of the sealing key's passphrase (scrypt),
which by default lies elsewhere, beside the configuration: a copy of the state folder alone, such as a backup,
gives nothing away, and there is no further secret to look after. Who changes that passphrase logs in again.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from ..config.machine import Machine
from ..disk import durable
from ..model.errors import ConfigError, RecorderError, TransientError

FOLDER = "targets"
"""In the state folder."""
MAGIC = b"ari-recorder-vault-1\n"
SALT_BYTES = 16
LARGEST = 16 * 1024 * 1024


class Vault:
    """Named secrets in one folder, each a file of its own with mode 600. For several threads at once."""

    def __init__(self, folder: Path, passphrase_file: Path) -> None:
        self._folder = folder
        self._passphrase_file = passphrase_file
        self._keys: dict[tuple[bytes, bytes], Fernet] = {}
        self._salt = secrets.token_bytes(SALT_BYTES)
        self._guard = threading.Lock()

    @classmethod
    def of(cls, machine: Machine) -> Vault:
        """The vault of a recorder."""
        return cls(machine.recorder.state / FOLDER, machine.seal.passphrase_file)

    def demand(self) -> None:
        """ConfigError `seal.key` when nothing can be kept yet, for there is no passphrase."""
        self._passphrase()

    def read(self, name: str) -> bytes | None:
        """The secret; None when there is none, or when it was kept under another passphrase.

        ConfigError `seal.key` when there is no passphrase, TransientError `spool.unusable`.
        """
        path = self._folder / name
        try:
            with path.open("rb") as stream:
                content = stream.read(LARGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(path, error) from error
        if not content.startswith(MAGIC):
            return None
        salt, sealed = content[len(MAGIC) :][:SALT_BYTES], content[len(MAGIC) + SALT_BYTES :]
        try:
            return self._fernet(salt).decrypt(sealed)
        except InvalidToken:
            return None

    def write(self, name: str, secret: bytes) -> None:
        """Keep a secret, durably. Errors as those of `read`."""
        path = self._folder / name
        content = MAGIC + self._salt + self._fernet(self._salt).encrypt(secret)
        try:
            with self._guard:
                durable.make_folders(self._folder)
                with _alone(self._folder):
                    durable.write_atomically(path, content, mode=0o600)
                    self._give_away(path)
        except OSError as error:
            raise _unusable(path, error) from error

    def _give_away(self, path: Path) -> None:
        """What root writes belongs to whoever owns the state folder: the recorder has to read it."""
        if os.geteuid() == 0:
            owner = self._folder.parent.stat()
            for each in (self._folder, path):
                os.chown(each, owner.st_uid, owner.st_gid)

    def stamp(self, name: str) -> tuple[int, int] | None:
        """Changes whenever somebody has written the secret, also another process; None without one."""
        try:
            facts = (self._folder / name).stat()
        except OSError:
            return None
        return facts.st_mtime_ns, facts.st_ino

    def _fernet(self, salt: bytes) -> Fernet:
        passphrase = self._passphrase()
        with self._guard:
            if (passphrase, salt) not in self._keys:
                key = hashlib.scrypt(passphrase, salt=salt, n=2**14, r=8, p=1, dklen=32)
                self._keys[passphrase, salt] = Fernet(base64.urlsafe_b64encode(key))
            return self._keys[passphrase, salt]

    def _passphrase(self) -> bytes:
        try:
            handle = os.open(self._passphrase_file, os.O_RDONLY | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as stream:
                found = stream.read(64 * 1024).rstrip(b"\r\n")
        except OSError as error:
            raise ConfigError(
                "seal.key",
                f"The passphrase in {self._passphrase_file}, which keeps logins safe, cannot be read: "
                f"{error.strerror}.",
                remedy="Start the recorder once, which makes it; run this as the recorder's user or root.",
            ) from error
        return found


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one process writes there meanwhile: a login by command and the recorder's own may meet."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks: then they must not meet
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _unusable(path: Path, error: OSError) -> RecorderError:
    return TransientError(
        "spool.unusable",
        f"{path} cannot be read or written: {error.strerror}.",
        remedy="Give the recorder's user the right to use the state folder.",
    )
