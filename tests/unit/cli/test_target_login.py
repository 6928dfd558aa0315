"""`target login` by device code, on the stand-in for Microsoft 365."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ari_recorder.cli.app import app
from ari_recorder.config.machine import load_machine
from ari_recorder.config.targets import OneDriveTarget as Settings
from ari_recorder.lab.programs import wait_until
from ari_recorder.model.errors import ConfigError, RecorderError, TransientError
from ari_recorder.rules.policy import load_policy
from ari_recorder.targets.onedrive import OneDriveTarget
from ari_recorder.targets.vault import Vault
from tests.graph_peer import tls
from tests.graph_peer.entra import CLIENT, SECRET, TENANT, USER
from tests.graph_peer.server import GraphPeer

USERS = 'login = "device-code"'
APPS = f'client_secret = "{SECRET}"\nuser = "{USER}"'


class Place:
    """A configuration with a target "cloud" on a peer, as a recorder that has run once has it."""

    def __init__(self, folder: Path, peer: GraphPeer) -> None:
        self.folder = folder
        self.peer = peer
        (peer.drive.folder / "recordings").mkdir()
        assert CliRunner().invoke(app, ["init", "--folder", str(folder)]).exit_code == 0
        self.config = folder / "config.toml"
        text = self.config.read_text(encoding="utf-8")
        self.config.write_text(text.replace("[recorder]", '[recorder]\nstate = "state"', 1), encoding="utf-8")
        (folder / "state").mkdir()
        (folder / "seal.passphrase").write_text("words of the seal\n", encoding="ascii")
        self.write(USERS)

    def write(self, *lines: str) -> None:
        head = f"""\
[[target]]
kind = "onedrive"
name = "cloud"
tenant = "{TENANT}"
client_id = "{CLIENT}"
folder = "recordings"
authority = "{self.peer.address}"
graph = "{self.peer.address}"
ca_file = "{self.peer.ca_file}"
"""
        (self.folder / "policy.toml").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")

    def login(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["target", "login", "cloud", "--config", str(self.config), *words])

    def target(self) -> OneDriveTarget:
        """As the recorder makes it."""
        settings = load_policy(self.folder / "policy.toml").target("cloud")
        assert isinstance(settings, Settings)
        return OneDriveTarget(settings, Vault.of(load_machine(self.config)))

    def warnings(self, days: float = 0) -> tuple[RecorderError, ...]:
        """What is said of the login so many days from now."""
        target = self.target()
        try:
            return target.session.login.warnings(datetime.now(UTC) + timedelta(days=days))
        finally:
            target.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with GraphPeer(tmp_path / "peer") as peer:
        yield Place(tmp_path / "etc", peer)


def refused(result: Result) -> dict[str, Any]:
    assert result.exit_code == 3, result.output
    error: dict[str, Any] = json.loads(result.stdout)["error"]
    return error


def test_a_user_logs_in_and_the_recorder_is_at_work(place: Place) -> None:
    before = place.target()
    with pytest.raises(ConfigError) as caught:
        before.stat(PurePosixPath("x"))
    assert "ari-recorder target login cloud" in caught.value.remedy
    place.peer.entra.user_approves = True
    result = place.login()
    assert result.exit_code == 0, result.output
    for words in (f"{place.peer.address}/device", "F7K2QX9LD", USER, "15 minutes"):
        assert words in result.stderr
    assert before.stat(PurePosixPath("x")) is None  # the same target: nothing was restarted
    before.close()


@pytest.mark.parametrize(
    ("lines", "scopes"),
    [
        ((), {"Files.ReadWrite"}),
        (('retention_label = "Ten years"',), {"Files.ReadWrite.All"}),
        (('user = "archive@contoso.example"',), {"Files.ReadWrite.All"}),
        (('site = "contoso.example/sites/archive"',), {"Files.ReadWrite.All", "Sites.Read.All"}),
    ],
    ids=["own", "label", "shared", "site"],
)
def test_a_user_is_asked_for_no_more_than_is_needed(
    place: Place, lines: tuple[str, ...], scopes: set[str]
) -> None:
    """And it is enough by the tables of Microsoft's pages, which the peer keeps to."""
    place.write(USERS, *lines)
    place.peer.entra.user_approves = True
    place.peer.drive.labels.add("Ten years")
    assert place.login().exit_code == 0
    target, source = place.target(), place.folder / "source"
    source.write_bytes(b"x")
    target.put(source, PurePosixPath("a/b"), sha256=hashlib.sha256(b"x").hexdigest(), size=1)
    assert target.delete(PurePosixPath("a/b"))
    target.close()
    for rights in place.peer.entra.rights.values():
        assert {word for word in rights.names if word[0].isupper()} == scopes


def test_it_waits_until_the_user_has_typed_the_code(place: Place) -> None:
    def approve() -> None:
        wait_until("a first question", lambda: ("token", 400) in place.peer.log, limit=20)
        place.peer.entra.user_approves = True

    typing = threading.Thread(target=approve)
    typing.start()
    result = place.login("--json")
    typing.join()
    assert json.loads(result.stdout) == {"target": "cloud", "user": USER, "reachable": True, "trouble": None}
    assert "F7K2QX9LD" in result.stderr


def test_the_login_is_kept_encrypted(place: Place) -> None:
    place.peer.entra.user_approves = True
    assert place.login().exit_code == 0
    (kept,) = (place.folder / "state" / "targets").iterdir()
    content = kept.read_bytes()
    assert kept.stat().st_mode & 0o777 == 0o600
    secrets = [*place.peer.entra.tokens, *place.peer.entra._refresh, USER, "refresh_token"]
    assert len(secrets) == 4
    assert not [word for word in secrets if word.encode() in content]
    (place.folder / "seal.passphrase").write_text("others\n")
    assert place.warnings()[0].code == "target.login"  # as if it were not there


def test_a_user_who_does_not_reach_the_folder_is_told_so(place: Place) -> None:
    place.peer.entra.user_approves = True
    place.peer.faults.refuse("item", 403, "accessDenied")
    result = place.login("--json")
    assert result.exit_code == 5
    found = json.loads(result.stdout)
    assert (found["user"], found["reachable"], found["trouble"]["code"]) == (USER, False, "target.denied")


@pytest.mark.parametrize("code", [65001, 50057, 50076, 7000218])
def test_a_login_that_is_refused(place: Place, code: int) -> None:
    place.peer.entra.refusing = code
    error = refused(place.login("--json"))
    assert error["code"] == "target.login"
    assert f"AADSTS{code}" in error["sentence"]


def test_targets_without_a_user_and_other_mistakes(place: Place) -> None:
    place.write(APPS)
    assert "device-code" in refused(place.login("--json"))["sentence"]
    place.write(USERS)
    text = (place.folder / "policy.toml").read_text()
    (place.folder / "policy.toml").write_text(text.replace("tenant", "#tenant"))
    assert refused(place.login("--json"))["code"] == "target.incomplete"
    (place.folder / "policy.toml").write_text('[[target]]\nkind = "local"\nname = "cloud"\nfolder = "x"\n')
    assert "nobody has to log in" in refused(place.login("--json"))["sentence"]
    place.write(USERS)
    (place.folder / "seal.passphrase").unlink()
    assert "Start the recorder once" in refused(place.login("--json"))["remedy"]
    assert place.peer.log == [], "the user was bothered for nothing"


def test_a_token_is_refreshed_and_a_dead_login_is_found(place: Place) -> None:
    place.peer.entra.user_approves = True
    assert place.login().exit_code == 0
    target = place.target()
    assert target.stat(PurePosixPath("x")) is None
    place.peer.entra.revoke()
    assert target.stat(PurePosixPath("x")) is None
    assert place.peer.entra.granted[-1] == "refresh_token"
    place.peer.entra.revoke()
    place.peer.entra.revoke_refresh()
    with pytest.raises(ConfigError) as caught:
        target.stat(PurePosixPath("x"))
    assert "ari-recorder target login cloud" in caught.value.remedy
    target.close()


@pytest.mark.parametrize("lines", [(APPS,), (USERS,)], ids=["app", "user"])
def test_the_test_command_goes_through_every_step(place: Place, lines: tuple[str, ...]) -> None:
    place.write(*lines)
    place.peer.entra.user_approves = True
    if lines == (USERS,):
        assert place.login().exit_code == 0
    result = CliRunner().invoke(app, ["target", "test", "cloud", "--config", str(place.config), "--json"])
    assert result.exit_code == 0, result.output
    assert list((place.peer.drive.folder / "recordings").iterdir()) == []


def test_the_test_command_tells_what_entra_says(place: Place) -> None:
    place.write(APPS)
    place.peer.entra.refusing = 7000222
    result = CliRunner().invoke(app, ["target", "test", "cloud", "--config", str(place.config)])
    assert result.exit_code == 1
    assert "the app's secret has expired" in result.output
    assert "Make a new one" in result.output


# How long it lasts ---------------------------------------------------------------------------------------


def test_a_users_login_is_used_daily_and_so_lives_on(place: Place) -> None:
    place.peer.entra.user_approves = True
    assert place.login().exit_code == 0
    before = len(place.peer.entra.granted)
    assert place.warnings() == ()
    assert len(place.peer.entra.granted) == before
    assert place.warnings(days=2) == ()
    assert place.peer.entra.granted[before:] == ["refresh_token"]
    place.peer.entra.revoke_refresh()
    (error,) = place.warnings(days=4)
    assert error.code == "target.login"


def test_a_secret_whose_end_is_known(place: Place) -> None:
    place.write(APPS, f"secret_expires = {datetime.now(UTC) + timedelta(days=60):%Y-%m-%d}", "warn_days = 20")
    assert place.warnings() == ()
    (error,) = place.warnings(days=45)
    assert (error.code, "secret" in error.sentence) == ("target.expiring", True)
    (error,) = place.warnings(days=70)
    assert "that is over" in error.sentence


def test_a_certificate_knows_its_end(place: Place) -> None:
    path = place.folder / "app.pem"
    place.peer.entra.certificate = tls.client_certificate(path, days=30.5)
    place.write('certificate_file = "app.pem"', f'user = "{USER}"')
    assert place.warnings() == ()
    (error,) = place.warnings(days=20)
    assert (error.code, "in 10 days" in error.sentence) == ("target.expiring", True)


def test_a_service_that_is_away_is_no_matter_of_the_login(place: Place) -> None:
    """Nothing is said of the login then: neither that it is well, nor that it is not."""
    place.write(APPS)
    place.peer.kill()
    with pytest.raises(TransientError):
        place.warnings()
    place.peer.start()
