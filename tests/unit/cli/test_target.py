"""`target list` and `target test` as a shell and a machine see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ari_recorder.cli.app import app

POLICY = """\
[[target]]
kind = "local"
name = "archive"
folder = "archive"

[[target]]
kind = "sftp"
name = "vault"
host = "vault.example.org"

[[target]]
kind = "local"
name = "old"
folder = "old"
enabled = false

[[setting]]
name = "Outside calls"
enabled = {enabled}
targets = ["archive", "vault"]
"""


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        assert CliRunner().invoke(app, ["init", "--folder", str(folder)]).exit_code == 0
        self.policy(enabled=True)

    def policy(self, *, enabled: bool) -> None:
        text = POLICY.format(enabled="true" if enabled else "false")
        (self.folder / "policy.toml").write_text(text, encoding="utf-8")

    def ask(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["target", *words, "--config", str(self.folder / "config.toml")])

    def told(self, *words: str, status: int) -> Any:
        result = self.ask(*words, "--json")
        assert result.exit_code == status, result.output
        return json.loads(result.output)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_list_shows_what_is_missing_and_who_waits(place: Place) -> None:
    rows = {row["name"]: row for row in place.told("list", status=1)["targets"]}
    assert rows["archive"]["missing"] == []
    assert rows["archive"]["place"] == str(place.folder / "archive")
    assert rows["archive"]["used_by"] == ["Outside calls"]
    assert rows["vault"]["missing"] == [
        "user", "password, password_file or key_file", "known_hosts or fingerprint"
    ]  # fmt: skip
    assert (rows["vault"]["waited_for"], rows["archive"]["waited_for"]) == (True, False)
    assert (rows["old"]["enabled"], rows["old"]["waited_for"]) == (False, False)
    text = " ".join(place.ask("list").output.split())
    for word in ("incomplete:", "switched off", "complete", "Outside calls", "no setting"):
        assert word in text


def test_an_incomplete_target_that_nobody_uses_is_no_finding(place: Place) -> None:
    place.policy(enabled=False)
    assert place.ask("list").exit_code == 0


def test_the_list_tells_of_a_host_key_that_is_not_trusted_yet(place: Place) -> None:
    path = place.folder / "policy.toml"
    more = 'host = "vault.example.org"\nuser = "u"\npassword = "secret"\nknown_hosts = "kh"'
    path.write_text(path.read_text().replace('host = "vault.example.org"', more))
    result = place.ask("list", "--json")
    assert "ari-recorder target trust vault" in result.output
    assert "secret" not in result.output
    (place.folder / "kh").write_text("vault.example.org ssh-ed25519 " + KEY)
    assert place.ask("list").exit_code == 0


KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"


def test_a_target_that_works_is_shown_step_by_step(place: Place) -> None:
    (place.folder / "archive").mkdir()
    result = place.ask("test", "archive")
    assert result.exit_code == 0, result.output
    for word in ("find the folder", "write 1 MiB", "read back", "rename", "fetch", "delete", "Works.", " ms"):
        assert word in result.output
    assert list((place.folder / "archive").iterdir()) == []
    document = place.told("test", "archive", status=0)
    assert document["ok"] is True
    (report,) = document["targets"]
    assert [one["step"] for one in report["steps"]][-1] == "delete"


def test_a_target_that_does_not_work_is_a_finding_with_a_remedy(place: Place) -> None:
    result = place.ask("test", "archive")
    assert result.exit_code == 1
    assert "The folder does not exist." in result.output
    assert "ari-recorder target test --prepare archive" in " ".join(result.output.split())
    fault = place.told("test", "archive", status=1)["targets"][0]["fault"]
    assert (fault["symptom"], fault["code"], fault["step"]) == ("folder-missing", "target.missing", "connect")
    assert place.ask("test", "--prepare", "archive").exit_code == 0


def test_all_mentions_what_is_incomplete_and_tries_the_others(place: Place) -> None:
    (place.folder / "archive").mkdir()
    result = place.ask("test", "--all")
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    assert "incomplete: no user" in text
    assert "switched off" in text
    document = place.told("test", "--all", status=0)
    assert [one["target"] for one in document["targets"]] == ["archive"]
    assert place.told("test", "vault", status=1)["targets"][0]["fault"]["symptom"] == "incomplete"


def test_wrong_usage(place: Place) -> None:
    assert place.ask("test").exit_code == 2
    assert place.ask("test", "--all", "archive").exit_code == 2
    assert place.told("test", "nobody", status=3)["error"]["code"] == "config.reference"
