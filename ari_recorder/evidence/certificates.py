"""Which certificate a signature belongs to: the given one, or those lying beside or above a recording."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ..model.errors import ConfigError
from .archive import UnreadableError, read, shown
from .findings import Finding, Signer, Step
from .visible import visible

LARGEST = 1 << 20
_OWN_NAME = re.compile(r"ari-recorder-([0-9a-f]{16})\.crt")


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    fingerprint: str
    """SHA-256 of its DER form, hexadecimal."""
    subject: str
    file: str
    key: rsa.RSAPublicKey

    def signed(self, data: bytes, signature: bytes) -> bool:
        try:
            self.key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):  # ValueError: a key too short for the hash
            return False
        return True


class Certificates:
    """Step 2. ConfigError `evidence.certificate` when a given certificate cannot be read."""

    def __init__(self, given: Path | None = None) -> None:
        self.findings: list[Finding] = []
        self._here: dict[Path, tuple[Certificate, ...]] = {}
        self._above: dict[Path, tuple[Certificate, ...]] = {}
        self._signatures: Counter[Certificate] = Counter()
        self.given = None if given is None else _given(given)

    @property
    def signers(self) -> tuple[Signer, ...]:
        """The certificates that at least one signature belongs to."""
        return tuple(
            Signer(one.fingerprint, one.subject, one.file, count) for one, count in self._signatures.items()
        )

    def candidates(self, folder: Path) -> tuple[Certificate, ...]:
        """The given ones; else all in the recording's folder and above it, the nearest first."""
        if self.given is not None:
            return self.given
        if folder not in self._above:
            found = (one for place in (folder, *folder.parents) for one in self._in(place))
            self._above[folder] = tuple(dict.fromkeys(found))
        return self._above[folder]

    def signer(self, folder: Path, data: bytes, signature: bytes) -> Certificate | None:
        """The certificate whose key made the signature, None when it is none of the candidates."""
        for one in self.candidates(folder):
            if one.signed(data, signature):
                self._signatures[one] += 1
                return one
        return None

    def _in(self, folder: Path) -> tuple[Certificate, ...]:
        if folder not in self._here:
            try:
                paths = sorted(path for path in folder.iterdir() if path.name.endswith(".crt"))
            except OSError:
                paths = []
            found = (self._read(path) for path in paths)
            self._here[folder] = tuple(one for one in found if one is not None)
        return self._here[folder]

    def _read(self, path: Path) -> Certificate | None:
        ours = _OWN_NAME.fullmatch(path.name)
        try:
            one = _parse(path)[0]
        except (FileNotFoundError, UnreadableError, ValueError, UnsupportedAlgorithm):
            if ours:
                self._add(path, "cannot be read as a certificate with an RSA key.")
            return None
        if ours and not one.fingerprint.startswith(ours[1]):
            self._add(path, f"was replaced: its fingerprint {one.fingerprint} is not the one in its name.")
        return one

    def _add(self, path: Path, sentence: str) -> None:
        self.findings.append(Finding("evidence.certificate", Step.CERTIFICATE, shown(path), sentence))


def _given(path: Path) -> tuple[Certificate, ...]:
    try:
        return _parse(Path(os.path.realpath(path)))
    except (FileNotFoundError, UnreadableError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            "evidence.certificate",
            f"{shown(path)} cannot be read as a certificate with an RSA key.",
            remedy="Give the file ari-recorder-….crt that the recorder's owner confirmed.",
        ) from error


def _parse(path: Path) -> tuple[Certificate, ...]:
    data = read(path, LARGEST)
    pem = b"-----BEGIN" in data
    parsed = x509.load_pem_x509_certificates(data) if pem else [x509.load_der_x509_certificate(data)]
    return tuple(_certificate(one, path) for one in parsed)


def _certificate(parsed: x509.Certificate, path: Path) -> Certificate:
    key = parsed.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")  # noqa: TRY004 - content of a file, not a caller's type
    fingerprint = parsed.fingerprint(hashes.SHA256()).hex()
    return Certificate(fingerprint, visible(parsed.subject.rfc4514_string()), shown(path), key)
