from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ari_recorder.lab import checkout, venv
from ari_recorder.lab.progress import silent
from ari_recorder.model.errors import ConfigError, TransientError


def test_the_build_requirement_is_pinned_and_hashed() -> None:
    lines = venv.build_requirement((checkout.root() / "requirements-dev.lock").read_text()).splitlines()
    assert re.match(r"setuptools==\d", lines[0])
    assert any("--hash=sha256:" in line for line in lines)
    assert sum(not line.startswith((" ", "\t")) for line in lines) == 1


def test_a_lock_without_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="setuptools"):
        venv.build_requirement("aiohttp==3.0 \\\n    --hash=sha256:00\n")


def test_an_environment_depends_on_its_lock() -> None:
    assert venv.digest(dev=True) != venv.digest(dev=False)
    assert venv.digest(dev=True) == venv.digest(dev=True)


def test_an_environment_that_was_never_finished_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(venv, "follow", lambda argv, **_: made.append(argv[-1]))
    place = tmp_path / ".venv"
    (place / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}").mkdir(parents=True)
    (place / "bin").mkdir()
    (place / "bin" / "pip").touch()
    stamp = place / "ari-recorder.dev"
    stamp.write_text("of an older lock")
    venv._make(place, silent)
    assert made == []
    stamp.unlink()
    venv._make(place, silent)
    assert made == [str(place)]
    assert not place.exists()


def test_an_index_that_does_not_answer_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*argv: object, **_: object) -> None:
        raise TransientError("lab.failed", "pip failed (1): WARNING: retrying\nERROR: nothing found")

    monkeypatch.setattr(venv, "follow", fail)
    told: list[str] = []
    with pytest.raises(TransientError) as failed:
        venv._install(tmp_path, dev=False, progress=told.append)
    assert failed.value.sentence.count(".") == 1
    assert "index" in failed.value.remedy
    assert told[-1] == "ERROR: nothing found"
