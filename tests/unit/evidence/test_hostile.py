"""E8: nothing that lies in a folder stops a verifier, runs, or prints what it likes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from ari_recorder.evidence import listing
from ari_recorder.evidence.verify import verify

from .archives import Archive
from .tamperings import forge
from .verifiers import SCRIPT, check, told


def test_nothing_to_check(tmp_path: Path) -> None:
    assert not verify([tmp_path]).ok
    assert not verify([tmp_path / "absent"]).ok
    assert not verify([]).ok
    assert check(tmp_path).returncode == 2
    assert check(tmp_path / "absent").returncode == 1
    assert check().returncode == 2


def test_a_folder_full_of_traps(archive: Archive) -> None:
    trap = archive.root / "trap"
    trap.mkdir()
    (trap / "loop").symlink_to(trap)
    (trap / "self.sig").symlink_to(trap / "self.sig")
    os.mkfifo(trap / "pipe.sha256")
    os.mkfifo(trap / "tube.wav")
    (trap / "folder.sig").mkdir()
    (trap / "-rf.sig").write_bytes(b"")
    (trap / "$(touch hacked).sha256").write_bytes(b"")
    (trap / "ari-recorder-0000000000000000.crt").symlink_to("/dev/zero")
    (trap / "zero.sig").symlink_to("/dev/zero")
    (trap / "SLIPPED-IN.WAV").write_bytes(b"RIFF")
    Path(os.fsdecode(os.fsencode(trap) + b"/\xff\xfe.sig")).write_bytes(b"\0" * 100)
    report = verify([archive.root])
    for name in (
        "self.sig",
        "pipe.sha256",
        "tube.wav",
        "-rf.",
        "$(touch hacked).",
        "zero.sig",
        "SLIPPED-IN.WAV",
        "\\udcff",
    ):
        assert name in told(report), name
    assert report.intact == 6
    assert all(str(finding).isprintable() for finding in report.findings)
    done = subprocess.run(
        ["dash", SCRIPT, archive.root], cwd=trap, check=False, capture_output=True, timeout=60
    )
    assert done.returncode == 1
    assert b"SLIPPED-IN.WAV" in done.stdout
    assert done.stderr == b""
    assert b"6 intact" in done.stdout
    assert not (trap / "hacked").exists()


@pytest.mark.parametrize(("depth", "word"), [(1500, "/x.sha256: is missing"), (2500, "cannot be searched")])
def test_a_very_deep_folder(archive: Archive, depth: int, word: str) -> None:
    """Deeper than Python's stack, and deeper than a path can say."""
    top = archive.root / "d"
    parent = os.open(archive.root, os.O_RDONLY)
    try:
        for _ in range(depth):
            os.mkdir("d", dir_fd=parent)
            child = os.open("d", os.O_RDONLY, dir_fd=parent)
            os.close(parent)
            parent = child
        os.close(os.open("x.sig", os.O_CREAT | os.O_WRONLY, dir_fd=parent))
        report = verify([archive.root])
        done = check(archive.root)
    finally:
        os.close(parent)
        subprocess.run(["rm", "-rf", str(top)], check=True)
    assert word in told(report)
    assert report.intact == 6
    assert done.returncode == 1
    assert "6 intact" in done.stdout


def test_random_files_never_raise(archive: Archive) -> None:
    chance = random.Random(5)
    for number in range(60):
        for suffix in ("", "_remote", "_info.txt", ".json", ".sha256", ".sig", ".wav", ".crt"):
            if chance.random() < 0.8:
                data = chance.randbytes(chance.choice([0, 1, 64, 384, 2000]))
                (archive.root / f"{number}{suffix}").write_bytes(data)
    assert verify([archive.root]).intact == 6


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        (".json", b"[" * 200_000),
        (".json", b'{"format": "ari-recorder/metadata/1"}'),
        (".json", b'{"format": "ari-recorder/metadata/1", "recording": {}, "chain": {"previous": []}}'),
        (".json", b'{"format": "ari-recorder/metadata/1", "name": ' + b"[" * 900 + b"]" * 900 + b"}"),
        (".json", b"\xff\xfe"),
        (".json", b"null"),
        ("_info.txt", b"\xff"),
        ("_info.txt", b"ari-recorder/info/1\nA: b\nA: b\n"),
        ("_info.txt", b"ari-recorder/info/1\nChain: s/x/w /tmp/hacked;\nChain number: 08\n"),
        ("_info.txt", b""),
        (".wav", b"RIFF"),
        (".wav", b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff"),
        (".wav", b"RF64\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff"),
    ],
)
def test_hostile_content_with_a_true_signature(archive: Archive, suffix: str, data: bytes) -> None:
    """Even who holds the key cannot make a verifier fall over."""
    archive.file(4, suffix).write_bytes(data)
    files = [archive.file(4, one) for one in (".wav", "_info.txt", ".json")]
    sums = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    archive.file(4, ".sha256").write_bytes(listing.encode(sums))
    archive.file(4, ".sig").write_bytes(archive.keys.sign(listing.encode(sums)))
    assert archive.file(4, suffix).name in told(verify([archive.root]))
    done = check(archive.root)
    assert done.stderr == ""
    assert done.returncode == 1


def test_metadata_that_disagrees_with_its_audio(archive: Archive) -> None:
    """A recorder at fault, or its owner: signed, but not true."""
    content = json.loads(archive.file(4, ".json").read_bytes())
    content["audio"][0] |= {"samples": 5, "rate": 16000}
    archive.file(4, ".json").write_text(json.dumps(content))
    forge(archive, 4, archive.keys)
    report = told(verify([archive.root]))
    assert "rate 8000, told 16000; samples 800, told 5" in report


def test_huge_files_are_not_swallowed(archive: Archive) -> None:
    for suffix in (".json", ".sig", ".sha256", "_info.txt"):
        os.truncate(archive.file(4, suffix), 1 << 40)
    report = told(verify([archive.root]))
    assert "cannot be genuine" in report
