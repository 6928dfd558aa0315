"""Secrets at rest."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ari_recorder.model.errors import ConfigError, TransientError
from ari_recorder.targets.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    (tmp_path / "words").write_text("passphrase\n")
    (tmp_path / "state").mkdir()
    return Vault(tmp_path / "state" / "targets", tmp_path / "words")


def test_what_was_kept_is_found_by_the_next_life(vault: Vault, tmp_path: Path) -> None:
    assert vault.read("x") is None
    vault.write("x", b"secret")
    vault.write("x", b"another secret")
    again = Vault(tmp_path / "state" / "targets", tmp_path / "words")
    assert again.read("x") == vault.read("x") == b"another secret"
    file = tmp_path / "state" / "targets" / "x"
    assert b"secret" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "content", [b"", b"rubbish", b"ari-recorder-vault-1\n", b"ari-recorder-vault-1\n" + b"x" * 80]
)
def test_what_cannot_be_read_is_as_if_it_were_not_there(vault: Vault, tmp_path: Path, content: bytes) -> None:
    vault.write("x", b"secret")
    (tmp_path / "state" / "targets" / "x").write_bytes(content)
    assert vault.read("x") is None


def test_another_passphrase(vault: Vault, tmp_path: Path) -> None:
    vault.write("x", b"secret")
    (tmp_path / "words").write_text("another\n")
    assert vault.read("x") is None
    (tmp_path / "words").write_text("passphrase\n")
    assert vault.read("x") == b"secret"


def test_no_passphrase(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "words").unlink()
    with pytest.raises(ConfigError) as caught:
        vault.demand()
    assert caught.value.code == "seal.key"
    with pytest.raises(ConfigError) as caught:
        vault.write("x", b"secret")
    assert caught.value.code == "seal.key"


def test_a_stamp_changes_with_every_writing(vault: Vault) -> None:
    stamps = [vault.stamp("x")]
    for _ in range(3):
        vault.write("x", b"same")
        stamps.append(vault.stamp("x"))
    assert len(set(stamps)) == 4


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("passphrase\n")
    (tmp_path / "state").write_text("a file")
    vault = Vault(tmp_path / "state" / "targets", tmp_path / "words")
    with pytest.raises(TransientError) as caught:
        vault.read("x")
    assert caught.value.code == "spool.unusable"
    with pytest.raises(TransientError) as caught:
        vault.write("x", b"secret")
    assert caught.value.code == "spool.unusable"


def test_what_root_writes_belongs_to_the_recorder(vault: Vault, tmp_path: Path) -> None:
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    os.chown(tmp_path / "state", owner, -1)
    vault.write("x", b"secret")
    for place in ("targets", "targets/x"):
        assert (tmp_path / "state" / place).stat().st_uid == owner


def test_two_who_write_at_once_do_each_other_no_harm(vault: Vault, tmp_path: Path) -> None:
    """As the recorder and a login by command, which are two processes."""

    def write(letter: bytes) -> None:
        mine = Vault(tmp_path / "state" / "targets", tmp_path / "words")
        for _ in range(40):
            mine.write("x", letter * 20_000)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(write, (b"a", b"b")))
    assert vault.read("x") in (b"a" * 20_000, b"b" * 20_000)
