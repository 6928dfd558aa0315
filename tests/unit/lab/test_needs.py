"""What is missing where nothing can be installed is said in one sentence, all of it."""

from __future__ import annotations

import pytest

from ari_recorder.lab import debian, needs
from ari_recorder.lab.engine import Engine
from ari_recorder.model.errors import ConfigError


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "answering", False)
    monkeypatch.setattr(needs, "makeable", lambda: False)
    monkeypatch.setattr(needs, "find", lambda program: None if program in {"sipp", "sox"} else "/usr/bin/it")


@pytest.mark.usefixtures("bare")
def test_all_of_it_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "obstacle", lambda: "this is not root")
    with pytest.raises(ConfigError) as refusal:
        needs.check()
    assert refusal.value.sentence == (
        "Missing here: the packages python3-venv sip-tester sox and a Docker engine that answers this user; "
        "nothing can be installed because this is not root."
    )


@pytest.mark.usefixtures("bare")
def test_root_on_debian_installs_it_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "obstacle", lambda: None)
    needs.check()


def test_who_has_everything_may_be_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "obstacle", lambda: "this is not Debian")
    monkeypatch.setattr(Engine, "answering", True)
    monkeypatch.setattr(needs, "makeable", lambda: True)
    monkeypatch.setattr(needs, "find", lambda program: program)
    needs.check()
