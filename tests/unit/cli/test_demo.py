"""Where the demo cannot set itself up, it says what it needs in one sentence, and leaves no trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ari_recorder.cli.app import app
from ari_recorder.lab import debian, engine, rehearsal
from ari_recorder.lab.engine import Daemon, Engine


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Neither root nor an engine; all other programs are there."""
    monkeypatch.setattr(debian, "obstacle", lambda: "this is not root")
    monkeypatch.setattr(debian, "find", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(Engine, "answering", False)
    monkeypatch.setattr(engine, "Daemon", lambda: Daemon(home=tmp_path / "run"))
    monkeypatch.setattr(rehearsal, "home", lambda: tmp_path / "runs")
    yield
    assert not (tmp_path / "runs").exists()


def test_without_its_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"sipp", "sox"}
    monkeypatch.setattr(debian, "find", lambda program: None if program in missing else "/usr/bin/it")
    done = CliRunner().invoke(app, ["demo"])
    assert done.exit_code == 3
    assert "sip-tester, sox must be installed, but this is not root." in " ".join(done.stderr.split())
    assert "Run as root on Debian" in done.stderr


def test_without_an_engine() -> None:
    done = CliRunner().invoke(app, ["demo", "--json"])
    assert done.exit_code == 3
    told = json.loads(done.stdout)
    assert told["error"]["sentence"] == (
        "No Docker engine answers, and none can be installed and started because this is not root."
    )
    assert "Start Docker" in told["error"]["remedy"]
