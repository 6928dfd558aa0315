"""The SFTP page, typed in, against a real OpenSSH server: only names, port and folders are put in."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ari_recorder.cli.app import app
from ari_recorder.config.starter import MACHINE
from ari_recorder.lab.sftpd import SftpServer

from .pages import commands, page

PAGE = page("docs/howto/deliver-to-sftp.md")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Stands for /etc/ari-recorder."""
    folder = tmp_path / "etc"
    folder.mkdir()
    machine = MACHINE.replace('policy = "policy.toml"', 'policy = "policy.toml"\nstate = "state"')
    machine = machine.replace("http://127.0.0.1:8088", "http://127.0.0.1:9")
    (folder / "config.toml").write_text(machine, encoding="utf-8")
    (folder / "asterisk.password").write_text("none\n", encoding="utf-8")
    return folder


def test_the_target_is_reached(place: Path, sftp_server: SftpServer) -> None:
    def typed(text: str) -> str:
        text = text.replace("/etc/ari-recorder", str(place))
        done = subprocess.run(["sh", "-ec", text], capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    make_key, trust, test = PAGE.examples("sh")
    typed(make_key)
    with (sftp_server.home / "authorized_keys").open("a", encoding="ascii") as known:
        known.write((place / "vault.key.pub").read_text(encoding="ascii"))
    (sftp_server.folder / "recordings").mkdir()
    write_policy(place, sftp_server)
    assert "Trusted; written to" in commanded(place, trust, said="y\n")
    said = " ".join(commanded(place, test).split())
    for line in PAGE.examples("console")[0].splitlines():
        assert line.strip() in said
    found = {finding["code"]: finding for finding in targets(place)}
    assert found["target.vault"]["level"] == "ok", found


def commanded(place: Path, text: str, said: str | None = None) -> str:
    (words,) = commands(text)
    result = CliRunner().invoke(app, [*words, "--config", str(place / "config.toml")], input=said)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_server_whose_key_is_not_known_is_refused(place: Path, sftp_server: SftpServer) -> None:
    (place / "vault.key").write_bytes(sftp_server.client_key.read_bytes())
    (place / "vault.key").chmod(0o600)
    (place / "vault.known_hosts").write_text("", encoding="ascii")
    (sftp_server.folder / "recordings").mkdir()
    write_policy(place, sftp_server)
    found = {finding["code"]: finding for finding in targets(place)}
    assert found["target.vault"]["level"] == "fail"
    assert "is not known" in found["target.vault"]["detail"]


def write_policy(place: Path, server: SftpServer) -> None:
    (text,) = PAGE.examples("toml")
    text = text.replace('host = "vault.example.org"', f'host = "{server.host}"\nport = {server.port}')
    text = text.replace('user = "recorder"', f'user = "{server.user}"')
    text = text.replace("/var/lib/ari-recorder/archive", str(place / "state" / "archive"))
    (place / "policy.toml").write_text(text, encoding="utf-8")


def targets(place: Path) -> list[dict[str, str]]:
    """What `check` says of the targets; of the PBX, which is not there, it says something else."""
    done = CliRunner().invoke(app, ["check", "--config", str(place / "config.toml"), "--json"])
    found: list[dict[str, str]] = json.loads(done.stdout)["sections"]["targets"]
    return found
