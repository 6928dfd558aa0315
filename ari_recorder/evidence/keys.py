"""The sealing key: an RSA key, encrypted at rest, and its self-signed certificate.

Why RSA with PKCS#1 v1.5 padding: docs/adr/0002-seal-format.md.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from ..disk import durable
from ..model.errors import ConfigError

MINIMUM_BITS = 3072
LIFETIME = timedelta(days=20 * 365 + 5)
LARGEST_FILE = 1 << 20
LONGEST_PASSPHRASE = 1023
"""What PKCS#8 encryption takes."""


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """A private key and its certificate, ready to sign. Never shows the key."""

    private: rsa.RSAPrivateKey
    certificate_pem: bytes
    fingerprint: str
    """SHA-256 of the certificate in DER, 64 hexadecimal digits."""

    @property
    def certificate_name(self) -> str:
        """The name under which every target gets the certificate: verifiers look for it upward."""
        return certificate_name(self.fingerprint)

    def sign(self, data: bytes) -> bytes:
        """RSA PKCS#1 v1.5 over SHA-256: what `openssl dgst -sha256 -verify` checks without options."""
        return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())

    def __repr__(self) -> str:
        return f"Keys(fingerprint={self.fingerprint!r})"


def certificate_name(fingerprint: str) -> str:
    return f"ari-recorder-{fingerprint[:16]}.crt"


def ensure_keys(
    key_path: Path, certificate_path: Path, passphrase_file: Path, common_name: str, bits: int = MINIMUM_BITS
) -> Keys:
    """The key pair; made when neither of the two files exists, else read and checked.

    A crash while making it is completed or begun afresh at the next call: key and certificate are
    written whole under temporary names (`….new`) before either gets its own, the key first.
    Raises ConfigError `seal.key`.
    """
    try:
        with _alone(key_path.parent):
            if not key_path.exists():
                _make(key_path, certificate_path, passphrase_file, common_name, bits)
            elif not certificate_path.exists():
                _complete(key_path, certificate_path, passphrase_file)
            return _load(key_path, certificate_path, passphrase_file)
    except OSError as error:
        where = error.filename or key_path
        raise _wrong(
            f"The sealing key at {where} cannot be read or written: {error.strerror or error}.",
            "Check that the folder exists and belongs to the recorder's user.",
        ) from error


def load_keys(key_path: Path, certificate_path: Path, passphrase_file: Path) -> Keys:
    """The key pair as it is; nothing is made or mended. ConfigError `seal.key`."""
    try:
        return _load(key_path, certificate_path, passphrase_file)
    except OSError as error:
        where = error.filename or key_path
        raise _wrong(
            f"The sealing key at {where} cannot be read: {error.strerror or error}.",
            "Check that the file exists and belongs to the recorder's user.",
        ) from error


def _make(key_path: Path, certificate_path: Path, passphrase_file: Path, name: str, bits: int) -> None:
    if certificate_path.exists():
        raise _wrong(
            f"The certificate {certificate_path} is there but its private key {key_path} is missing.",
            "Restore the key from a backup. To begin with a new key, move the old certificate away: "
            "it is still needed to verify what was sealed with it.",
        )
    if bits < MINIMUM_BITS:
        raise _wrong(f"A sealing key of {bits} bits is too weak.", f"Use {MINIMUM_BITS} bits or more.")
    passphrase = _ensure_passphrase(passphrase_file)
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    files = {
        key_path: (_key_pem(private, passphrase), 0o600),
        certificate_path: (_certificate(private, name).public_bytes(serialization.Encoding.PEM), 0o644),
    }
    for path, (pem, mode) in files.items():
        durable.remove(_new(path))
        durable.write_new(_new(path), pem, mode)
        durable.sync_folder(path.parent)
    for path in files:
        _settle(path)


def _complete(key_path: Path, certificate_path: Path, passphrase_file: Path) -> None:
    """Finish what a crash between the two renames left: the new certificate of this very key."""
    if not _new(certificate_path).exists():
        raise _wrong(
            f"The private key {key_path} is there but its certificate {certificate_path} is missing.",
            "Copy it back from any archive, where it is the file ari-recorder-….crt.",
        )
    _load(key_path, _new(certificate_path), passphrase_file)
    _settle(certificate_path)


def _settle(path: Path) -> None:
    durable.publish(_new(path), path)


def _ensure_passphrase(path: Path) -> bytes:
    if not path.exists():
        durable.remove(_new(path))
        durable.write_new(_new(path), secrets.token_hex(32).encode() + b"\n", 0o600)
        _settle(path)
    return _passphrase(path)


def _passphrase(path: Path) -> bytes:
    if not path.exists():
        raise _wrong(
            f"The file {path} with the passphrase of the sealing key is missing.",
            "Restore it from a backup: without it the key cannot be used.",
        )
    passphrase = _private_file(path).rstrip(b"\r\n")
    if not 0 < len(passphrase) <= LONGEST_PASSPHRASE:
        raise _wrong(f"The passphrase in {path} is empty or too long.", "Restore the file from a backup.")
    return passphrase


def _load(key_path: Path, certificate_path: Path, passphrase_file: Path) -> Keys:
    private = _private_key(key_path, _passphrase(passphrase_file))
    try:
        certificate = x509.load_pem_x509_certificate(_read(certificate_path))
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _wrong(
            f"The certificate {certificate_path} is damaged.", "Restore it from a backup or an archive."
        ) from error
    if public != private.public_key():
        raise _wrong(
            f"The certificate {certificate_path} does not belong to the key {key_path}.",
            "Put the two files that belong together in place.",
        )
    return Keys(
        private,
        certificate.public_bytes(serialization.Encoding.PEM),
        certificate.fingerprint(hashes.SHA256()).hex(),
    )


def _private_key(path: Path, passphrase: bytes) -> rsa.RSAPrivateKey:
    try:
        private = serialization.load_pem_private_key(_private_file(path), passphrase)
    except TypeError as error:
        raise _wrong(
            f"The sealing key {path} is not encrypted.", "Encrypt it: openssl pkcs8 -topk8 -v2 aes-256-cbc"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _wrong(
            f"The sealing key {path} cannot be decrypted: the passphrase is wrong or the file is damaged.",
            "Restore key and passphrase file from the same backup.",
        ) from error
    if not isinstance(private, rsa.RSAPrivateKey) or private.key_size < MINIMUM_BITS:
        raise _wrong(f"The key {path} is not an RSA key of at least {MINIMUM_BITS} bits.", "Use such a key.")
    return private


def _key_pem(private: rsa.RSAPrivateKey, passphrase: bytes) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )


def _certificate(private: rsa.RSAPrivateKey, common_name: str) -> x509.Certificate:
    try:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    except ValueError as error:
        raise _wrong(
            f"{common_name!r} cannot be the name in a certificate.", "Use 1 to 64 characters."
        ) from error
    begins = datetime.now(UTC) - timedelta(minutes=5)
    usage = x509.KeyUsage(True, True, False, False, False, False, False, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )


def _private_file(path: Path) -> bytes:
    if stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO:
        raise _wrong(f"The file {path} is open to every user of this machine.", f"Run: chmod 600 {path}")
    return _read(path)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_FILE)


def _new(path: Path) -> Path:
    return path.with_name(path.name + ".new")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two recorders starting at once must not make two pairs: the folder itself is the lock."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _wrong(sentence: str, remedy: str) -> ConfigError:
    return ConfigError("seal.key", sentence, remedy=remedy)
