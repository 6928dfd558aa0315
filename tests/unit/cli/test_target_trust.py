"""`target trust` on a real OpenSSH server."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ari_recorder.cli.app import app
from ari_recorder.config import targets as config
from ari_recorder.lab.sftpd import SftpServer
from ari_recorder.model.errors import ConfigError
from ari_recorder.targets.ssh.connection import Login


class Place:
    """A configuration with an SFTP target "vault" on a server."""

    def __init__(self, folder: Path, server: SftpServer) -> None:
        self.folder = folder
        self.server = server
        self.known_hosts = folder / "vault.known_hosts"
        assert CliRunner().invoke(app, ["init", "--folder", str(folder)]).exit_code == 0
        self.config = folder / "config.toml"
        self.write('known_hosts = "vault.known_hosts"')

    def write(self, *lines: str) -> None:
        head = f'[[target]]\nkind = "sftp"\nname = "vault"\nhost = "{self.server.host}"\n'
        head += (
            f'port = {self.server.port}\nuser = "{self.server.user}"\nkey_file = "{self.server.client_key}"\n'
        )
        (self.folder / "policy.toml").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")

    def trust(self, *words: str, said: str | None = None) -> Result:
        return CliRunner().invoke(
            app, ["target", "trust", "vault", "--config", str(self.config), *words], input=said
        )

    def refused(self, *words: str) -> dict[str, Any]:
        result = self.trust(*words, "--json")
        assert result.exit_code == 3, result.output
        error: dict[str, Any] = json.loads(result.output)["error"]
        return error

    def fingerprint(self) -> str:
        listed = subprocess.run(
            ["ssh-keygen", "-lf", str(self.server.home / "host_key.pub")], check=True, capture_output=True
        )
        return listed.stdout.decode().split()[1]

    def new_key(self) -> None:
        """The server is set up anew."""
        self.server.stop()
        for name in ("host_key", "host_key.pub"):
            (self.server.home / name).unlink()
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.server.home / "host_key")],
            check=True,
        )
        self.server.start()

    def log_in(self) -> None:
        """As the recorder does, with what the file holds."""
        settings = config.SshServer(
            host=self.server.host, port=self.server.port, user=self.server.user,
            key_file=self.server.client_key, known_hosts=self.known_hosts,
        )  # fmt: skip
        Login(settings).connect().close()


@pytest.fixture
def place(tmp_path: Path, sftp_server: SftpServer) -> Place:
    folder = tmp_path / "etc"
    folder.mkdir()
    return Place(folder, sftp_server)


def test_shown_and_kept_after_a_yes(place: Place) -> None:
    result = place.trust(said="y\n")
    assert result.exit_code == 0, result.output
    assert place.fingerprint() in result.output
    assert "ssh-keygen -lf" in result.output
    assert place.known_hosts.read_text() == place.server.host_key_line + "\n"
    assert stat.S_IMODE(place.known_hosts.stat().st_mode) == 0o600
    assert sorted(p.name for p in place.folder.glob(".*")) == []
    place.log_in()
    again = place.trust()
    assert again.exit_code == 0
    assert "Known already" in again.output
    assert place.known_hosts.read_text() == place.server.host_key_line + "\n"


def test_a_no_keeps_nothing(place: Place) -> None:
    result = place.trust(said="n\n")
    assert result.exit_code == 1
    assert "nothing was written" in result.output
    assert not place.known_hosts.exists()
    told = json.loads(place.trust("--json").output)
    assert (told["trusted"], told["written"]) == (False, None)
    assert [key["standing"] for key in told["keys"]] == ["new"]


def test_by_fingerprint(place: Place) -> None:
    error = place.refused("--fingerprint", "SHA256:" + "A" * 43)
    assert error["code"] == "target.host-key"
    assert place.fingerprint() in error["sentence"]
    assert not place.known_hosts.exists()
    told = json.loads(place.trust("--fingerprint", place.fingerprint(), "--json").output)
    assert told["trusted"] is True
    place.log_in()


def test_what_stands_in_the_file_stays(place: Place) -> None:
    place.known_hosts.write_text("# mine\nother.example ssh-ed25519 AAAA", encoding="utf-8")
    place.known_hosts.chmod(0o640)
    assert place.trust("--yes").exit_code == 0
    text = place.known_hosts.read_text()
    assert text == f"# mine\nother.example ssh-ed25519 AAAA\n{place.server.host_key_line}\n"
    assert stat.S_IMODE(place.known_hosts.stat().st_mode) == 0o640


def test_a_changed_key_is_a_loud_refusal_and_replaced_only_when_meant(place: Place) -> None:
    assert place.trust("--yes").exit_code == 0
    first = place.known_hosts.read_text()
    place.new_key()
    with pytest.raises(ConfigError) as caught:
        place.log_in()
    assert caught.value.code == "target.host-key-changed"
    for words in (("--yes",), ("--fingerprint", place.fingerprint())):
        error = place.refused(*words)
        assert error["code"] == "target.host-key-changed"
        assert "CHANGED" in error["sentence"]
        assert "--replace" in error["remedy"]
    assert place.known_hosts.read_text() == first
    result = place.trust("--replace", said="y\n")
    assert result.exit_code == 0, result.output
    assert "WARNING" in result.output
    text = place.known_hosts.read_text()
    assert text == f"{first}@revoked {first}{place.server.host_key_line}\n"
    place.log_in()


def test_a_key_that_was_replaced_is_not_trusted_again(place: Place) -> None:
    assert place.trust("--yes").exit_code == 0
    place.known_hosts.write_text(
        place.known_hosts.read_text() + "@revoked " + place.server.host_key_line + "\n"
    )
    assert "revoked" in place.refused("--yes", "--replace")["sentence"]


def test_a_pinned_key(place: Place) -> None:
    place.write(f'fingerprint = "{place.fingerprint()}"')
    assert place.trust().exit_code == 0
    place.write(f'fingerprint = "SHA256:{"A" * 43}"')
    assert place.refused("--yes", "--replace")["code"] == "target.host-key-changed"


def test_nowhere_to_keep_it(place: Place) -> None:
    place.write()
    error = place.refused("--yes")
    assert error["code"] == "target.incomplete"
    assert place.fingerprint() in error["remedy"]


def test_a_server_that_is_not_there(place: Place) -> None:
    place.server.stop()
    result = place.trust("--yes", "--json")
    assert result.exit_code == 4
    assert json.loads(result.output)["error"]["code"] == "target.unreachable"


def test_wrong_names(place: Place) -> None:
    result = CliRunner().invoke(app, ["target", "trust", "volt", "--config", str(place.config), "--json"])
    assert result.exit_code == 3
    assert "vault" in json.loads(result.output)["error"]["remedy"]


def test_a_file_that_cannot_be_written(place: Place) -> None:
    place.known_hosts.mkdir()
    (place.known_hosts / "x").touch()
    assert place.refused("--yes")["code"] == "target.host-key"
