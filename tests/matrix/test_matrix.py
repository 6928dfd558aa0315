"""Killed at every moment of everything that is done without a server, and begun again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ari_recorder.evidence.keys import ensure_keys

from . import cases
from .driver import Case, every_moment
from .lives import Parent

pytestmark = pytest.mark.timeout(600)  # hundreds of lives each


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key pair, which is slow to make."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "state/seal").mkdir(parents=True)
    ensure_keys(
        folder / "state/seal/seal.key", folder / "state/seal/seal.crt", folder / "seal.passphrase", "test"
    )
    return folder


@pytest.mark.parametrize("case", [make() for make in cases.LOCAL], ids=lambda case: case.scene)
def test_killed_at_every_moment(parent: Parent, case: Case, tmp_path: Path) -> None:
    every_moment(parent, case, tmp_path)


@pytest.mark.parametrize(
    "make", [cases.Calls, cases.Statements, cases.SealsAndAdopts], ids=lambda make: make.scene
)
def test_killed_between_a_call_and_its_archive(
    parent: Parent, make: type[cases.Calls], keys: Path, tmp_path: Path
) -> None:
    every_moment(parent, make(keys), tmp_path)


def test_killed_while_a_torn_chain_is_mended(parent: Parent, keys: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    case = cases.Calls(keys)
    case.prepare(whole)
    parent.live(case.scene, whole)
    log = (whole / "state/chain.jsonl").read_bytes()
    every_moment(parent, cases.TornChain(log), tmp_path)
