"""The auditor's page, typed in as it stands, on sealed recordings; and after one byte was changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ari_recorder.cli.verify import CHECK_SCRIPT
from ari_recorder.evidence.chain import Chain
from ari_recorder.evidence.keys import ensure_keys
from ari_recorder.evidence.seal import seal
from tests.unit.evidence import archives

from .pages import page

FIRST, SECOND = "20260301-120100Z_+4930123456_100_0a1b2c3d4e", "20260301-120200Z_+4930123456_100_5f60718293"
WITH, GET_SCRIPT, SCRIPT, BY_HAND, CHAIN = page("docs/howto/verify-a-recording.md").examples("sh")


@dataclass(frozen=True)
class Desk:
    """An auditor's folder: `archive` and, obtained from its owner, `owner.crt`."""

    folder: Path

    @property
    def recording(self) -> Path:
        return self.folder / "archive" / "2026" / "03" / "01"

    def type(self, text: str, where: Path) -> subprocess.CompletedProcess[str]:
        """Stops at the first command that fails, as a person does."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        script = "set -e\n" + text.replace("NAME", SECOND)
        return subprocess.run(
            ["sh", "-c", script], cwd=where, env={**os.environ, "PATH": path},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sealed")
    keys = ensure_keys(place / "key", place / "crt", place / "pass", "recorder")
    folder = place / "archive" / "2026" / "03" / "01"
    folder.mkdir(parents=True)
    with Chain(place / "chain.jsonl") as chain:
        for number, name in enumerate((FIRST, SECOND), 1):
            audio = archives.assembled(folder, name, number)
            seal(archives.recording(number, audio), folder, name, keys, chain, now=archives.NOON)
    (place / "archive" / keys.certificate_name).write_bytes(keys.certificate_pem)
    return place


@pytest.fixture
def desk(sealed: Path, tmp_path: Path) -> Desk:
    shutil.copytree(sealed / "archive", tmp_path / "archive")
    made = Desk(tmp_path)
    for folder in (made.folder, made.recording):
        shutil.copy(sealed / "crt", folder / "owner.crt")
    return made


def test_with_the_product_and_with_the_script(desk: Desk) -> None:
    for text in (WITH, GET_SCRIPT, SCRIPT):
        done = desk.type(text, desk.folder)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "result: 2 recordings checked, 2 intact by themselves, 0 findings" in done.stdout


def test_by_hand(desk: Desk) -> None:
    done = desk.type(BY_HAND + CHAIN, desk.recording)
    assert done.returncode == 0, done.stdout + done.stderr
    *files, verified, fingerprint, told, real = done.stdout.splitlines()
    assert files == [f"{SECOND}{suffix}: OK" for suffix in (".wav", "_info.txt", ".json")]
    assert verified == "Verified OK"
    assert fingerprint.lower().startswith("sha256 fingerprint=")
    assert (
        told == real.split()[0] == hashlib.sha256((desk.recording / f"{FIRST}.sig").read_bytes()).hexdigest()
    )


@pytest.mark.parametrize("suffix", [".wav", "_info.txt", ".json", ".sha256", ".sig"])
def test_one_changed_byte_is_found_without_the_product(desk: Desk, suffix: str) -> None:
    file = desk.recording / f"{SECOND}{suffix}"
    content = bytearray(file.read_bytes())
    content[40] ^= 1
    file.write_bytes(content)
    shutil.copy(CHECK_SCRIPT, desk.folder / "check.sh")
    assert desk.type(SCRIPT, desk.folder).returncode == 1
    assert desk.type(BY_HAND, desk.recording).returncode != 0


def test_a_changed_predecessor_shows_in_the_chain(desk: Desk) -> None:
    shutil.copy(desk.recording / f"{SECOND}.sig", desk.recording / f"{FIRST}.sig")
    done = desk.type(BY_HAND + CHAIN, desk.recording)
    *_, told, real = done.stdout.splitlines()
    assert told != real.split()[0]
