"""The systemd unit: systemd itself reads it, finds nothing wrong, and calls its sandbox tight."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ari_recorder.cli.app import app
from ari_recorder.config.starter import MACHINE, POLICY
from ari_recorder.lab.programs import need

EXPOSED = 17
"""What `systemd-analyze security` may find at most, of 100; an ordinary service has 96."""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """Stands for /etc/ari-recorder; its name holds what systemd would expand or split."""
    folder = tmp_path / "etc 100% $HOME"
    folder.mkdir()
    (folder / "config.toml").write_text(MACHINE, encoding="utf-8")
    (folder / "policy.toml").write_text(POLICY, encoding="utf-8")
    (folder / "asterisk.password").write_text("x\n", encoding="utf-8")
    return folder


def printed(etc: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["service", "--config", str(etc / "config.toml"), *words])
    assert done.exit_code == 0, done.output
    return done.output


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    command = [need("systemd-analyze", "systemd"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_finds_nothing_wrong(etc: Path, tmp_path: Path) -> None:
    unit = tmp_path / "ari-recorder.service"
    unit.write_text(printed(etc, "--user", "root", "--groups", "daemon"), encoding="utf-8")
    verified = analyze("verify", "--man=no", "--recursive-errors=no", str(unit))
    said = [line for line in verified.stderr.splitlines() if "ari-recorder" in line]
    assert (verified.returncode, said) == (0, [])
    # It does see mistakes: this one is a check of the check.
    unit.write_text(
        unit.read_text(encoding="utf-8").replace("ProtectSystem=", "ProtectSytem="), encoding="utf-8"
    )
    assert "ProtectSytem" in analyze("verify", "--man=no", "--recursive-errors=no", str(unit)).stderr


def test_the_sandbox_is_tight(etc: Path, tmp_path: Path) -> None:
    unit = tmp_path / "ari-recorder.service"
    unit.write_text(printed(etc), encoding="utf-8")
    judged = analyze("security", "--offline=true", "--no-pager", f"--threshold={EXPOSED}", str(unit))
    assert judged.returncode == 0, judged.stdout
    level = re.search(r"exposure level for ari-recorder.service: ([0-9.]+)", judged.stdout)
    assert level is not None
    assert float(level[1]) <= EXPOSED / 10


def test_what_may_be_written_is_what_is_configured(etc: Path, tmp_path: Path) -> None:
    def folders() -> list[str]:
        return re.findall(r"^ReadWritePaths=(.*)$", printed(etc), re.M)

    usual = ["/var/spool/ari-recorder", "/var/lib/ari-recorder"]
    asterisk = ["/var/spool/asterisk/recording", "/usr/share/asterisk/sounds/ari-recorder"]
    place = str(etc).replace("%", "%%")
    assert folders() == [*usual, f'"{place}"', *asterisk]
    (etc / "seal.passphrase").write_text("x\n", encoding="ascii")
    assert folders() == [*usual, *asterisk]
    policy = etc / "policy.toml"
    text = policy.read_text(encoding="utf-8")
    policy.write_text(text.replace("/var/lib/ari-recorder/archive", "/mnt/archive"), encoding="utf-8")
    assert folders() == [*usual, *asterisk, "-/mnt/archive"]
    unit = printed(etc)
    assert f'run --config "{place.replace("$", "$$")}/config.toml"' in unit
    assert not re.search(r"@[A-Z]+@", unit)


def test_it_waits_for_the_disks_without_which_it_must_not_begin(etc: Path) -> None:
    def needed() -> list[str]:
        return re.findall(r"^RequiresMountsFor=(.*)$", printed(etc), re.M)

    assert needed() == ["/var/spool/ari-recorder", "/var/lib/ari-recorder"]
    assert re.search(r"^After=.*\bremote-fs\.target\b", printed(etc), re.M)
    machine = etc / "config.toml"
    text = machine.read_text(encoding="utf-8").replace(
        "[recorder]", '[recorder]\nsecond_spool = "/mnt/second"', 1
    )
    machine.write_text(text, encoding="utf-8")
    assert needed() == ["/var/lib/ari-recorder"]  # of two spool folders either will do


@pytest.mark.parametrize(
    "words", [("--user", "a b"), ("--user", "x\nExecStart=/bin/sh"), ("--groups", "a $b")]
)
def test_names_that_would_change_the_unit_are_refused(etc: Path, words: tuple[str, str]) -> None:
    done = CliRunner().invoke(app, ["service", "--config", str(etc / "config.toml"), *words])
    assert done.exit_code == 3
    assert "ExecStart=/bin/sh" not in done.stdout
