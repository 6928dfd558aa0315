"""Hosts for the commands of `ari-recorder spool`."""

from __future__ import annotations

from pathlib import Path

import pytest

from .spool_host import Host


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """Has a key that other hosts may use."""
    return Host(tmp_path_factory.mktemp("keyring") / "host")


@pytest.fixture
def host(tmp_path: Path, keyring: Host) -> Host:
    made = Host(tmp_path / "here")
    made.use_keys_of(keyring)
    return made


@pytest.fixture(scope="session")
def foreign_keyring(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return Host(tmp_path_factory.mktemp("foreign") / "host", pbx="elsewhere")


@pytest.fixture
def dead(tmp_path: Path, foreign_keyring: Host) -> Host:
    """Another host, with another key and a PBX that `host` does not know."""
    made = Host(tmp_path / "dead", pbx="elsewhere")
    made.use_keys_of(foreign_keyring)
    return made
