"""Debian's packages: nothing is started by an installation, and nothing of it stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from ari_recorder.lab import debian
from ari_recorder.model.errors import TransientError


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which packages can be installed, as far as this room can tell."""
    place = tmp_path / "policy-rc.d"
    monkeypatch.setattr(debian, "POLICY", place)
    monkeypatch.setattr(debian, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(debian, "obstacle", lambda: None)
    return place


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, policy: Path) -> list[tuple[str, bool]]:
    """apt-get's first words, each with whether services were kept from starting then."""
    words: list[tuple[str, bool]] = []
    monkeypatch.setattr(debian, "_apt", lambda *argv: words.append((" ".join(argv), policy.exists())))
    return words


def test_nothing_is_started_while_packages_are_unpacked(policy: Path, said: list[tuple[str, bool]]) -> None:
    debian.install(["sox"])
    assert said == [
        ("install --no-install-recommends --download-only sox", False),
        ("install --no-install-recommends sox", True),
    ]
    assert not policy.exists()


@pytest.mark.usefixtures("said")
def test_a_policy_of_the_machines_own_stays(policy: Path) -> None:
    policy.write_text("#!/bin/sh\nexit 0\n")
    debian.install(["sox"])
    debian.remove_policy()
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"


@pytest.mark.usefixtures("said")
def test_the_policy_of_a_run_that_was_killed_goes(policy: Path) -> None:
    policy.write_text(debian.OUR_POLICY)
    debian.install(["sox"])
    assert not policy.exists()


def test_a_mirror_that_does_not_answer_is_one_sentence(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*argv: str) -> None:
        raise TransientError("lab.failed", "apt-get failed (100): Reading package lists...\nE: no candidate")

    monkeypatch.setattr(debian, "_apt", fail)
    told: list[str] = []
    with pytest.raises(TransientError) as failed:
        debian.install(["sox"], progress=told.append)
    assert failed.value.sentence == "Debian's packages sox could not be installed."
    assert "mirror" in failed.value.remedy
    assert told[-1] == "E: no candidate"
    assert not policy.exists()
