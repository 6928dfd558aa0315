"""The SMB page, typed in, against a real Samba and a real jump host: only names and ports are put in."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ari_recorder.cli.app import app
from ari_recorder.config.starter import MACHINE
from ari_recorder.lab.sftpd import SftpServer
from ari_recorder.lab.smbd import SHARE, SambaServer

from .pages import page

PAGE = page("docs/howto/deliver-to-smb.md")
DIRECT, TUNNELLED = PAGE.examples("toml")


@pytest.fixture
def samba(tmp_path: Path) -> Iterator[SambaServer]:
    with SambaServer(tmp_path / "smb", settings={"server smb encrypt": "desired"}) as server:
        yield server


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


def write(place: Path, text: str, server: SambaServer) -> None:
    """The page's policy, with the server of the test in it, and its password by the page's command."""
    for host in ("files.example.org", "192.168.10.5"):
        text = text.replace(f'host = "{host}"', f'host = "{server.host}"\nport = {server.port}')
    text = text.replace('share = "recordings"', f'share = "{SHARE}"').replace('domain = "EXAMPLE"\n', "")
    text = text.replace('user = "recorder"', f'user = "{server.user}"')
    text = text.replace("/var/lib/ari-recorder/archive", str(place / "state" / "archive"))
    (place / "policy.toml").write_text(text, encoding="utf-8")
    typed = PAGE.examples("sh")[0].replace("/etc/ari-recorder", str(place))
    typed = typed.replace("the password", server.password)
    subprocess.run(["sh", "-ec", typed], check=True, timeout=30)
    assert (place / "files.password").stat().st_mode & 0o077 == 0


def targets(place: Path) -> dict[str, dict[str, str]]:
    """What `check` says of the targets by code; of the PBX, which is not there, it says something else."""
    done = CliRunner().invoke(app, ["check", "--config", str(place / "config.toml"), "--json"])
    return {found["code"]: found for found in json.loads(done.stdout)["sections"]["targets"]}


def test_the_target_is_reached(place: Path, samba: SambaServer) -> None:
    write(place, DIRECT, samba)
    assert targets(place)["target.files"]["level"] == "fail"  # step 3: the folder must exist
    (samba.folder / "telephony").mkdir()
    words = ["target", "test", "files", "--config", str(place / "config.toml")]
    said = CliRunner().invoke(app, words).output
    for line in PAGE.examples("console")[0].splitlines():
        assert line.strip() in said, said
    found = targets(place)
    assert found["target.files"]["level"] == "ok", found
    assert "target.files.encryption" not in found


def test_what_check_says_when_recordings_go_unencrypted(place: Path, samba: SambaServer) -> None:
    (samba.folder / "telephony").mkdir()
    write(place, DIRECT.replace('name = "files"', 'name = "files"\nencrypt = false'), samba)
    found = targets(place)
    assert found["target.files"]["level"] == "ok", found
    assert found["target.files.encryption"]["level"] == "warn"


def test_a_wrong_password_is_told_and_not_shown(place: Path, samba: SambaServer) -> None:
    write(place, DIRECT, samba)
    (place / "files.password").write_text("a wrong one\n")
    found = targets(place)["target.files"]
    assert found["level"] == "fail"
    assert "user or password is wrong" in found["detail"]
    assert "a wrong one" not in json.dumps(found)


def test_through_the_tunnel(place: Path, samba: SambaServer, sftp_server: SftpServer) -> None:
    jump = sftp_server
    settings = jump.home / "sshd_config"
    (allowed,) = [block.text for block in PAGE.blocks if "PermitOpen" in block.text]
    allowed = allowed.replace("192.168.10.5:445", f"{samba.host}:{samba.port}")
    allowed = allowed.replace("Match User tunnel", f"Match User {jump.user}")
    jump.stop()
    plain = [line for line in settings.read_text().splitlines() if not line.startswith("ForceCommand")]
    settings.write_text("\n".join(plain) + "\n" + allowed)
    jump.start()
    (place / "gate.key").write_bytes(jump.client_key.read_bytes())
    (place / "gate.key").chmod(0o600)
    (place / "gate.known_hosts").write_text(jump.host_key_line + "\n", encoding="ascii")
    text = TUNNELLED.replace('host = "gate.example.org"', f'host = "{jump.host}", port = {jump.port}')
    write(place, text.replace('user = "tunnel"', f'user = "{jump.user}"'), samba)
    found = targets(place)
    assert found["target.files"]["level"] == "ok", found
