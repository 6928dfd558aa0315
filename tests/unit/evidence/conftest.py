"""Keys are slow to make, so every test of this room shares two pairs and one archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from ari_recorder.evidence.keys import Keys, ensure_keys

from .archives import Archive, build


def _pair(folder: Path, name: str) -> Keys:
    return ensure_keys(folder / f"{name}.key", folder / f"{name}.crt", folder / f"{name}.pass", name)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return _pair(tmp_path_factory.mktemp("keys"), "recorder")


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Somebody else's pair."""
    return _pair(tmp_path_factory.mktemp("foreign"), "foreign")


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Archive:
    """An intact archive of six; never change it, take `archive`."""
    return build(tmp_path_factory.mktemp("pristine"), keys)


@pytest.fixture
def archive(pristine: Archive, tmp_path: Path) -> Archive:
    """A copy to tamper with."""
    return pristine.copy(tmp_path)
