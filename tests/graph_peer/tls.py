"""A certificate authority of its own, made when the tests run, and a certificate for 127.0.0.1 from it."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

LIFETIME = timedelta(days=2)


def make(folder: Path) -> tuple[Path, Path]:
    """The authority's certificate, and a file with the server's key and certificate."""
    folder.mkdir(parents=True, exist_ok=True)
    authority_key, server_key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    name = _name("Test authority")
    authority = (
        _certificate(name, authority_key.public_key())
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True
        )
        .sign(authority_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server = (
        _certificate(_name("127.0.0.1"), server_key.public_key())
        .issuer_name(name)
        .add_extension(names, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    ca, chain = folder / "ca.pem", folder / "server.pem"
    ca.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    chain.write_bytes(_pem(server_key) + server.public_bytes(serialization.Encoding.PEM))
    return ca, chain


def client_certificate(
    path: Path, *, days: float = 400, passphrase: str | None = None, order: str = "key first"
) -> x509.Certificate:
    """A key and its self-signed certificate in one PEM file, as an app registration takes them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = _name("ari-recorder")
    ends = datetime.now(UTC) + timedelta(days=days)
    made = _certificate(name, key.public_key(), ends).issuer_name(name).sign(key, hashes.SHA256())
    parts = [_pem(key, passphrase), made.public_bytes(serialization.Encoding.PEM)]
    path.write_bytes(b"".join(parts if order == "key first" else reversed(parts)))
    return made


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, ends: datetime | None = None
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, ends or now) - timedelta(days=30))
        .not_valid_after(ends or now + LIFETIME)
    )


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, passphrase: str | None = None) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode())
        if passphrase
        else serialization.NoEncryption(),
    )
