from __future__ import annotations

import re

import pytest

from ari_recorder.lab import checkout, venv
from ari_recorder.model.errors import ConfigError


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


def test_an_old_python_is_told_which_to_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venv, "OLDEST", (99, 0))
    with pytest.raises(ConfigError, match="too old") as refusal:
        venv.ensure(dev=False)
    assert "PYTHON=" in refusal.value.remedy
