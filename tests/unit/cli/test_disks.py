"""The disks in `status` and `check`, and an order to move the spool when nobody is there to obey."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ari_recorder.asterisk.findings import Level
from ari_recorder.cli import disks
from ari_recorder.cli.app import app
from ari_recorder.config.machine import Machine, parse_machine
from ari_recorder.runtime.disks import report as disk_report
from ari_recorder.runtime.disks.report import DiskLine, DiskReport

GB = 10**9


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    (tmp_path / "pbx").mkdir()
    path = tmp_path / "config.toml"
    path.write_text(
        '[recorder]\nspool = "spool"\nsecond_spool = "second"\nstate = "state"\npolicy = "policy.toml"\n'
        '[pbx.main]\nuser = "u"\npassword = "p"\nrecordings = "pbx"\n'
    )
    return path


def machine(config: Path) -> Machine:
    return parse_machine(config.read_text(), folder=config.parent)


def report(config: Path, *lines: DiskLine, age: float = 0, begin_in: str | None = None) -> None:
    at = datetime.now(UTC) - timedelta(seconds=age)
    disk_report.write(config.parent / "state", DiskReport(at, lines, begin_in))


def test_status_shows_what_the_recorder_measured(config: Path) -> None:
    report(
        config,
        DiskLine("spool", "/spool", free=21 * GB, total=105 * GB, hours=9.2),
        DiskLine("second-spool", "/ram", free=GB, total=GB, volatile=True),
        DiskLine("pbx-main", "/pbx[bold]", error="It is gone."),
        begin_in="/ram",
    )
    said = CliRunner().invoke(app, ["status", "--config", str(config)]).output
    assert "spool        ████████████████░░░░ 21.0 GB of 105 GB free · full in 9 hours /spool" in said
    assert "░░░░░░░░░░░░░░░░░░░░ 1.0 GB of 1.0 GB free (RAM)" in said
    assert "✗ pbx-main     /pbx[bold]: It is gone." in said
    assert "new recordings begin in /ram" in said


def test_an_old_report_is_not_believed(config: Path) -> None:
    report(config, DiskLine("spool", "/elsewhere", free=1, total=2), age=61)
    said = CliRunner().invoke(app, ["status", "--config", str(config), "--json"]).output
    shown = {line["key"]: line for line in json.loads(said)["disks"]}
    assert set(shown) == {"spool", "second-spool", "pbx-main"}
    assert shown["spool"]["folder"] == str(config.parent / "spool")
    assert shown["spool"]["total"] > 2


@pytest.mark.parametrize(
    ("line", "level", "word"),
    [
        (DiskLine("spool", "/s", free=50 * GB, total=100 * GB), Level.OK, "has room"),
        (DiskLine("spool", "/s", free=5 * GB, total=100 * GB), Level.WARN, "has little room"),
        (DiskLine("spool", "/s", free=50 * GB, total=100 * GB, hours=20), Level.WARN, "full soon"),
        (DiskLine("spool", "/s", free=50 * GB, total=100 * GB, hours=1), Level.FAIL, "has no room"),
        (DiskLine("spool", "/s", free=1, total=100 * GB, stop_at_free=2), Level.FAIL, "has no room"),
        (DiskLine("second-spool", "/s", error="Gone."), Level.FAIL, "The second spool cannot be used"),
        (DiskLine("target-a", "/t", free=GB, total=100 * GB), Level.OK, "has room"),
    ],
)
def test_check_judges_each_disk(config: Path, line: DiskLine, level: Level, word: str) -> None:
    report(config, line)
    (found,) = disks.findings(machine(config))
    assert found.level is level
    assert word in found.title
    assert found.remedy or level is Level.OK


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["--to", "second"], 4, "The recorder is not running"),
        (["--stop"], 4, "The recorder is not running"),
        ([], 2, "say where to"),
        (["--to", "second", "--stop"], 2, "say where to"),
    ],
)
def test_an_order_that_nobody_can_obey(config: Path, words: list[str], status: int, text: str) -> None:
    said = CliRunner().invoke(app, ["spool", "move", *words, "--config", str(config)])
    assert said.exit_code == status
    assert text in said.output
    assert not (config.parent / "state" / "requests").exists()
