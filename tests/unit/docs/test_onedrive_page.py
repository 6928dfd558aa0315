"""The OneDrive page, typed in, against the stand-in for Microsoft 365: only names are put in."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner

from ari_recorder.cli.app import app
from ari_recorder.config.starter import MACHINE
from ari_recorder.targets.graph.errors import ENTRA
from tests.graph_peer.entra import TENANT
from tests.graph_peer.graph import LIBRARY, SITE
from tests.graph_peer.server import GraphPeer

from .pages import page

PAGE = page("docs/howto/deliver-to-onedrive.md")
AS_APP, AS_USER = PAGE.examples("toml")


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[GraphPeer]:
    with GraphPeer(tmp_path / "peer") as made:
        (made.drive.folder / "calls").mkdir()
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Stands for /etc/ari-recorder, where a recorder has run once."""
    folder = tmp_path / "etc"
    (folder / "state").mkdir(parents=True)
    machine = MACHINE.replace('policy = "policy.toml"', 'policy = "policy.toml"\nstate = "state"')
    machine = machine.replace("http://127.0.0.1:8088", "http://127.0.0.1:9")
    (folder / "config.toml").write_text(machine, encoding="utf-8")
    (folder / "asterisk.password").write_text("none\n", encoding="utf-8")
    (folder / "seal.passphrase").write_text("words\n", encoding="ascii")
    return folder


def write(place: Path, text: str, peer: GraphPeer) -> None:
    text = text.replace('"contoso.onmicrosoft.com"', f'"{TENANT}"')
    text = text.replace("https://contoso.sharepoint.com/sites/telephony", SITE.replace(":", ""))
    text = text.replace("/var/lib/ari-recorder/archive", str(place / "state" / "archive"))
    more = f'authority = "{peer.address}"\ngraph = "{peer.address}"\nca_file = "{peer.ca_file}"\n'
    text = text.replace('kind = "onedrive"\n', 'kind = "onedrive"\n' + more)
    (place / "policy.toml").write_text(text, encoding="utf-8")


def targets(place: Path) -> dict[str, dict[str, str]]:
    """What `check` says of the targets by code; of the PBX, which is not there, it says something else."""
    done = CliRunner().invoke(app, ["check", "--config", str(place / "config.toml"), "--json"])
    return {found["code"]: found for found in json.loads(done.stdout)["sections"]["targets"]}


def test_an_app_with_the_pages_certificate(place: Path, peer: GraphPeer) -> None:
    assert f'library = "{LIBRARY}"' in AS_APP
    make = PAGE.examples("sh")[0].replace("/etc/ari-recorder", str(place))
    subprocess.run(["sh", "-ec", make], check=True, capture_output=True, timeout=60)
    assert (place / "cloud.pem").stat().st_mode & 0o077 == 0
    assert not (place / "cloud.key").exists()
    write(place, AS_APP, peer)
    refused = targets(place)["target.cloud"]
    assert (refused["level"], "AADSTS700027" in refused["detail"]) == ("fail", True)
    peer.entra.certificate = x509.load_pem_x509_certificate((place / "cloud.crt").read_bytes())
    found = targets(place)["target.cloud"]
    assert found["level"] == "ok", found
    assert found["title"] in PAGE.examples("console")[0]


def test_a_user(place: Path, peer: GraphPeer) -> None:
    write(place, AS_USER, peer)
    assert "ari-recorder target login mine" in targets(place)["target.mine"]["remedy"]
    peer.entra.user_approves = True
    typed = PAGE.examples("sh")[2].split()
    done = CliRunner().invoke(app, [*typed[1:], "--config", str(place / "config.toml")])
    assert done.exit_code == 0, done.output
    assert (place / "state/targets/mine.login").stat().st_mode & 0o777 == 0o600
    assert targets(place)["target.mine"]["level"] == "ok"


def test_the_codes_that_the_page_explains_are_known() -> None:
    named = {word.strip("|, ") for word in PAGE.text.split() if word.startswith("AADSTS")}
    assert len(named) > 9
    assert named <= set(ENTRA)
