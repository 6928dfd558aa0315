"""Without Docker, without root, without Debian: one sentence says what is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ari_recorder.lab import debian, engine, programs
from ari_recorder.lab.engine import Daemon, Engine
from ari_recorder.model.errors import ConfigError


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """A machine without Docker."""
    monkeypatch.setattr(engine, "find", lambda _program: None)
    return Daemon(home=tmp_path / "home", socket=tmp_path / "socket", data=tmp_path, runtime=tmp_path)


@pytest.mark.parametrize("why", ["this is not Debian", "this is not root"])
def test_an_engine_that_cannot_be_had_is_one_sentence(
    bare: Daemon, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(debian, "obstacle", lambda: why)
    with pytest.raises(ConfigError) as refusal:
        Engine(daemon=bare).start()
    assert refusal.value.code == "lab.missing"
    assert why in refusal.value.sentence
    assert refusal.value.sentence.count(".") == 1
    assert "root on Debian" in refusal.value.remedy


def test_packages_that_cannot_be_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "obstacle", lambda: "this is not root")
    with pytest.raises(ConfigError, match="sip-tester must be installed, but this is not root"):
        debian.ensure({"no-such-program-here": "sip-tester", "sh": "dash"})


def test_what_is_there_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(packages: object, **_: object) -> None:
        raise AssertionError(packages)

    monkeypatch.setattr(debian, "install", never)
    debian.ensure({"sh": "dash", "env": "coreutils"})


def test_a_state_file_of_nonsense_stops_nothing(bare: Daemon) -> None:
    bare.home.mkdir()
    for text in ("", "{}", "1.1", "1.1.x", "\xff"):
        bare.state.write_text(text, encoding="latin-1")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Engine, "answering", True)
            Engine(daemon=bare).start().stop()


def test_a_program_that_is_missing_names_its_package() -> None:
    with pytest.raises(ConfigError, match="no-such-program") as refusal:
        programs.need("no-such-program", "some-package")
    assert "some-package" in refusal.value.remedy
