"""E3: the key pair is made once, is encrypted, survives a crash while it is made, and refuses plainly."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ari_recorder.evidence import keys as room
from ari_recorder.evidence.keys import Keys, ensure_keys
from ari_recorder.model.errors import ConfigError

from .crashes import PowerCut, disk


class Place:
    def __init__(self, folder: Path) -> None:
        self.key, self.certificate = folder / "seal.key", folder / "seal.crt"
        self.passphrase = folder / "seal.pass"

    def ensure(self, bits: int = 3072, name: str = "recorder") -> Keys:
        return ensure_keys(self.key, self.certificate, self.passphrase, name, bits)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    Place(folder).ensure()
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Place:
    shutil.copytree(made, tmp_path / "keys")
    return Place(tmp_path / "keys")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, keys: Keys) -> None:
    """Making a key takes long; where its making is not the point, a made one is handed out."""
    monkeypatch.setattr(rsa, "generate_private_key", lambda **_: keys.private)


def test_a_second_start_reads_the_same_pair(place: Place) -> None:
    assert place.ensure().fingerprint == place.ensure().fingerprint


def test_the_files_are_as_the_reference_says(place: Place) -> None:
    certificate = x509.load_pem_x509_certificate(place.certificate.read_bytes())
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    public = certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 3072
    assert usage.digital_signature
    assert not constraints.ca
    assert certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=20 * 365)
    assert place.key.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    modes = [path.stat().st_mode & 0o777 for path in (place.key, place.passphrase, place.certificate)]
    assert modes == [0o600, 0o600, 0o644]
    assert len(place.passphrase.read_text().strip()) == 64


def test_openssl_checks_a_signature_without_options(place: Place, tmp_path: Path) -> None:
    made = place.ensure()
    data, signature, public = tmp_path / "data", tmp_path / "sig", tmp_path / "pub"
    data.write_bytes(b"spoken")
    signature.write_bytes(made.sign(b"spoken"))
    public.write_bytes(
        subprocess.run(
            ["openssl", "x509", "-in", place.certificate, "-noout", "-pubkey"],
            check=True,
            capture_output=True,
        ).stdout
    )
    check = ["openssl", "dgst", "-sha256", "-verify", str(public), "-signature", str(signature), str(data)]
    assert subprocess.run(check, check=False, capture_output=True).returncode == 0
    data.write_bytes(b"Spoken")
    assert subprocess.run(check, check=False, capture_output=True).returncode != 0


def test_the_fingerprint_is_what_openssl_prints(place: Place) -> None:
    told = subprocess.run(
        ["openssl", "x509", "-in", place.certificate, "-noout", "-fingerprint", "-sha256"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    made = place.ensure()
    assert told.strip().split("=")[1].replace(":", "").lower() == made.fingerprint
    assert made.certificate_name == f"ari-recorder-{made.fingerprint[:16]}.crt"


def test_the_key_does_not_show(place: Place) -> None:
    assert "PrivateKey" not in repr(place.ensure())


def _wrong_passphrase(place: Place) -> None:
    place.passphrase.write_text("0" * 64)


def _empty_passphrase(place: Place) -> None:
    place.passphrase.write_text("\n")


def _endless_passphrase(place: Place) -> None:
    place.passphrase.write_text("x" * 5000)


def _truncated_key(place: Place) -> None:
    place.key.write_bytes(place.key.read_bytes()[:400])


def _garbage_certificate(place: Place) -> None:
    place.certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


def _open_key(place: Place) -> None:
    place.key.chmod(0o644)


def _open_passphrase(place: Place) -> None:
    place.passphrase.chmod(0o604)


def _plain_key(place: Place) -> None:
    pem = place.ensure().private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    place.key.write_bytes(pem)


def _short_key(place: Place) -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    secret = serialization.BestAvailableEncryption(place.passphrase.read_bytes().strip())
    place.key.write_bytes(
        short.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)
    )


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (_wrong_passphrase, "passphrase is wrong"),
        (_empty_passphrase, "empty"),
        (_endless_passphrase, "too long"),
        (_truncated_key, "damaged"),
        (_garbage_certificate, "damaged"),
        (_open_key, "every user"),
        (_open_passphrase, "every user"),
        (_plain_key, "not encrypted"),
        (_short_key, "3072"),
        (lambda place: place.passphrase.unlink(), "missing"),
        (lambda place: place.key.unlink(), "private key"),
        (lambda place: place.certificate.unlink(), "certificate"),
    ],
)
def test_a_pair_that_cannot_work_is_refused_with_a_remedy(place: Place, damage: object, word: str) -> None:
    assert callable(damage)
    damage(place)
    with pytest.raises(ConfigError) as caught:
        place.ensure()
    assert caught.value.code == "seal.key"
    assert word in caught.value.sentence
    assert caught.value.remedy


def test_a_certificate_of_another_key_is_refused(place: Place, foreign: Keys) -> None:
    place.certificate.write_bytes(foreign.certificate_pem)
    with pytest.raises(ConfigError, match="does not belong"):
        place.ensure()


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_name_that_no_certificate_can_hold(tmp_path: Path, quick: None, name: str) -> None:
    with pytest.raises(ConfigError, match="name in a certificate"):
        Place(tmp_path).ensure(name=name)


def test_a_weak_key_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too weak"):
        Place(tmp_path).ensure(bits=2048)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read or written"):
        Place(tmp_path / "absent").ensure()


def test_a_passphrase_that_was_provided_is_used(tmp_path: Path, quick: None) -> None:
    place = Place(tmp_path)
    place.passphrase.write_text("given by systemd\n")
    place.passphrase.chmod(0o400)
    place.ensure()
    assert serialization.load_pem_private_key(place.key.read_bytes(), b"given by systemd")


@pytest.mark.parametrize("how", ["before", "inside", "after"])
def test_a_crash_at_any_moment_leaves_no_half_pair(tmp_path: Path, quick: None, how: str) -> None:
    moment, crashed = 0, True
    while crashed:
        moment += 1
        folder = tmp_path / str(moment)
        folder.mkdir()
        with disk(moment, how):
            try:
                Place(folder).ensure()
                crashed = False
            except PowerCut:
                pass
        made = Place(folder).ensure()
        assert Place(folder).ensure().fingerprint == made.fingerprint
        assert sorted(path.name for path in folder.iterdir()) == ["seal.crt", "seal.key", "seal.pass"]
    assert moment > 10


def test_a_foreign_certificate_is_not_taken_to_complete_a_pair(place: Place, foreign: Keys) -> None:
    place.certificate.unlink()
    room._new(place.certificate).write_bytes(foreign.certificate_pem)
    with pytest.raises(ConfigError, match="does not belong"):
        place.ensure()
