"""The whole way of a login that has ended: from what Entra says, through the running recorder, to a mail."""

from __future__ import annotations

import json
from pathlib import Path

from ari_recorder.lab.recorder import Recorder
from ari_recorder.runtime.alerts.outlets import FILE
from tests.graph_peer.entra import CLIENT, TENANT
from tests.graph_peer.server import GraphPeer

from .cable import NoPbx
from .scene import policy
from .test_monitoring import watched


def cloud(peer: GraphPeer) -> str:
    """The `[[target]]` of a user who logs in at `peer`."""
    return f"""
[[target]]
kind = "onedrive"
name = "cloud"
tenant = "{TENANT}"
client_id = "{CLIENT}"
login = "device-code"
folder = ""
authority = "{peer.address}"
graph = "{peer.address}"
ca_file = "{peer.ca_file}"
"""


def remembered(file: Path, key: str) -> bool:
    """Whether the next life knows that the mail's readers were told."""
    told = json.loads(file.read_text(encoding="utf-8"))["outlets"] if file.exists() else []
    return any(
        entry["matter"]["key"] == key and entry["told_at"] is not None
        for outlet in told
        if outlet["outlet"] == "ops"
        for entry in outlet["entries"]
    )


def test_a_login_that_has_ended_is_told_by_mail_and_that_it_is_mended(tmp_path: Path) -> None:
    for name in ("archive", "recording", "sounds"):
        (tmp_path / name).mkdir()
    nothing = NoPbx(tmp_path / "recording", tmp_path / "sounds" / "ari-recorder")
    with GraphPeer(tmp_path / "peer") as peer:
        recorder = Recorder(tmp_path, nothing, policy(more=cloud(peer)))  # type: ignore[arg-type]
        recorder.configure()
        passphrase = tmp_path / "seal.passphrase"
        passphrase.touch(mode=0o600)
        passphrase.write_text("words of the seal\n", encoding="ascii")
        peer.entra.user_approves = True
        peer.entra.lifetime = 1  # so that the login itself is asked for, and no token of before is used
        assert recorder.command("target", "login", "cloud").returncode == 0
        peer.entra.revoke_refresh()
        with watched(recorder, tmp_path) as all_of_it:

            def told(word: str) -> list[str]:
                """Texts of the mails that are of the login."""
                return [text for text in all_of_it.mails.texts if word in text and "login:cloud" in text]

            recorder.start(connected=False)
            all_of_it.wait("the mail", lambda: told("AADSTS50173"))
            (text,) = told("AADSTS50173")
            assert 'Target "cloud" cannot log in: the login was revoked' in text
            assert "ari-recorder target login cloud" in text
            assert all_of_it.health()["status"] == "critical"

            all_of_it.wait("the memory of it", lambda: remembered(tmp_path / "state" / FILE, "login:cloud"))
            assert recorder.stop() == 0
            assert recorder.command("target", "login", "cloud").returncode == 0
            recorder.start(connected=False)
            all_of_it.wait("the mail that it is over", lambda: len(told("")) == 2)
            assert "Over" in told("")[1]
