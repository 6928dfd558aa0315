"""The laboratory itself: each image is a PBX the recorder can work with, set up as shipped."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ari_recorder.lab.engine import Engine
from ari_recorder.lab.pbx import RUN, Pbx
from ari_recorder.lab.ports import free
from ari_recorder.lab.programs import call, wait_until
from ari_recorder.lab.sftpd import SftpServer

VERSIONS = {"pbx22": "22.", "pbx22_debian": "22.", "pbx16": "16."}


@pytest.fixture(params=sorted(VERSIONS))
def named_pbx(request: pytest.FixtureRequest) -> tuple[str, Pbx]:
    return request.param, request.getfixturevalue(request.param)


def ask(pbx: Pbx, method: str, path: str, *, password: str | None = None) -> Any:
    """One ARI request of the recorder's user; the decoded answer."""
    login = f"{pbx.ari_user}:{pbx.ari_password if password is None else password}"
    request = urllib.request.Request(f"{pbx.ari_url}{path}", method=method)  # noqa: S310 - always http
    request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        text = answer.read()
    return json.loads(text) if text else None


def exchange(pbx: Pbx, method: str, user: str) -> str:
    """The first line of the answer to a SIP request outside a dialog."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind((pbx.host, 0))
        phone.settimeout(5)
        here = f"{pbx.host}:{phone.getsockname()[1]}"
        lines = [
            f"{method} sip:{pbx.host}:{pbx.sip_port} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bK-{os.urandom(4).hex()};rport",
            "Max-Forwards: 70",
            f"From: <sip:{user}@{pbx.host}>;tag={os.urandom(4).hex()}",
            f"To: <sip:{user}@{pbx.host}>",
            f"Call-ID: {os.urandom(8).hex()}",
            f"CSeq: 1 {method}",
            f"Contact: <sip:{user}@{here}>",
            "Content-Length: 0",
            "",
            "",
        ]
        phone.sendto("\r\n".join(lines).encode(), (pbx.host, pbx.sip_port))
        return phone.recv(65535).decode().splitlines()[0]


def test_ari_answers_the_shipped_user(named_pbx: tuple[str, Pbx]) -> None:
    name, pbx = named_pbx
    info = ask(pbx, "GET", "/asterisk/info")
    assert info["system"]["version"].startswith(VERSIONS[name])
    assert info["config"]["name"] == "lab"


def test_ari_refuses_a_wrong_password(named_pbx: tuple[str, Pbx]) -> None:
    _, pbx = named_pbx
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask(pbx, "GET", "/asterisk/info", password="wrong")
    assert refusal.value.code == 401


def test_the_user_may_write_and_recordings_appear_on_the_host(named_pbx: tuple[str, Pbx]) -> None:
    _, pbx = named_pbx
    pbx.cli("channel originate Local/5001@inbound application Wait 30")
    channel = wait_until(
        "a channel",
        lambda: next((c["id"] for c in ask(pbx, "GET", "/channels") if c["name"].endswith(";2")), None),
        limit=10,
    )
    # Outside Stasis a channel cannot be recorded: what is asked for is the right to order and the folder.
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask(pbx, "POST", f"/channels/{channel}/record?name=environment&format=sln")
    assert refusal.value.code == 409
    ask(pbx, "DELETE", f"/channels/{channel}")
    probe = pbx.recording_folder / "environment-probe.sln"
    probe.write_bytes(b"\0\0")
    listed = ask(pbx, "GET", "/recordings/stored")
    probe.unlink()
    assert "environment-probe" in {entry["name"] for entry in listed}


def test_asterisk_writes_where_the_host_can_read(named_pbx: tuple[str, Pbx]) -> None:
    _, pbx = named_pbx
    pbx.cli("channel originate Local/7721@inbound application Milliwatt")
    written = wait_until("a file of MixMonitor", lambda: list(pbx.monitor_folder.glob("*-in.alaw")), limit=10)
    pbx.cli("channel request hangup all")
    assert written[0].stat().st_uid == os.getuid()
    assert os.access(written[0], os.R_OK | os.W_OK)


def test_sip_answers_options_and_register(named_pbx: tuple[str, Pbx]) -> None:
    _, pbx = named_pbx
    assert exchange(pbx, "OPTIONS", "trunk-berlin") == "SIP/2.0 200 OK"
    assert exchange(pbx, "REGISTER", "1003") == "SIP/2.0 200 OK"
    assert exchange(pbx, "OPTIONS", "nobody-we-know") == "SIP/2.0 401 Unauthorized"


def test_the_shipped_settings_are_in_force(named_pbx: tuple[str, Pbx]) -> None:
    _, pbx = named_pbx
    assert "ari-recorder_extensions.conf" in pbx.cli("dialplan show ari-recorder-gate")
    assert "Return()" in pbx.cli("dialplan show ari-recorder-gate-closed")
    listening = pbx.cli("http show status")
    assert f"127.0.0.1:{pbx.http_port}" in listening
    assert "ari-recorder" in pbx.cli("ari show users")


def test_nothing_is_wrong_at_start(named_pbx: tuple[str, Pbx]) -> None:
    _, pbx = named_pbx
    until_ready = pbx.log.read_text(encoding="utf-8", errors="replace").partition("Asterisk Ready")[0]
    assert [line for line in until_ready.splitlines() if " ERROR[" in line] == []


def _killed(pbx: Pbx) -> None:
    pbx.kill()


def _stopped(pbx: Pbx) -> None:
    pbx.stop()


@pytest.mark.parametrize("end", [_killed, _stopped])
def test_a_pbx_comes_back_on_the_same_ports_and_leaves_nothing(
    engine: Engine, run_folder: Path, end: Callable[[Pbx], None]
) -> None:
    folder = run_folder / f"pbx-{end.__name__.strip('_')}"
    with Pbx(engine, folder, "asterisk22") as pbx:
        before = (pbx.ari_url, pbx.sip_port, pbx.container)
        end(pbx)
        assert not pbx.running
        assert free(pbx.http_port)
        pbx.start()
        assert (pbx.ari_url, pbx.sip_port, pbx.container) == before
        assert pbx.ready
    left = engine.docker(
        "ps", "--all", "--filter", f"label={RUN}={run_folder.name}", "--format", "{{.Names}}"
    )
    assert before[2] not in left.out.split()
    assert free(pbx.http_port)


def test_two_pbxs_side_by_side_share_no_port(engine: Engine, run_folder: Path, pbx22: Pbx) -> None:
    with Pbx(engine, run_folder / "second", "asterisk22") as second:
        first = {pbx22.sip_port, pbx22.http_port, pbx22.ami_port, *range(*pbx22.rtp_ports)}
        assert first.isdisjoint(
            {second.sip_port, second.http_port, second.ami_port, *range(*second.rtp_ports)}
        )
        assert second.ready
        assert pbx22.ready


def test_a_configured_contact_and_added_lines_are_used(engine: Engine, run_folder: Path) -> None:
    with Pbx(
        engine,
        run_folder / "special",
        "asterisk22",
        contacts={"1001": "sip:1001@127.0.0.1:9"},
        added={"extensions.conf": "[inbound]\nexten => 9999,1,NoOp(added)\n"},
    ) as pbx:
        assert "sip:1001@127.0.0.1:9" in pbx.cli("pjsip show contacts")
        assert "added" in pbx.cli("dialplan show 9999@inbound")


def test_an_asterisk_that_cannot_start_is_reported_with_its_log(engine: Engine, run_folder: Path) -> None:
    broken = Pbx(engine, run_folder / "broken", "asterisk22", replaced={"modules.conf": "[modules\n"})
    with pytest.raises(Exception, match="asterisk22") as failed, broken:
        pass
    assert "modules" in str(failed.value)


def test_sshd_works_below_a_folder_of_any_name(tmp_path: Path) -> None:
    with SftpServer(tmp_path / "my clone, 100%h ü" / "sftp") as server:
        # ssh looks for a key named like this one in two ways, and finds it in neither.
        key = str(shutil.copy(server.client_key, tmp_path))
        words = ["sftp", "-q", "-b", "-", "-i", key, "-P", str(server.port)]
        words += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        call([*words, f"{server.user}@{server.host}"], limit=20, text="mkdir made\n")
        assert (server.folder / "made").is_dir()


def test_sshd_is_ours_from_start_to_end(sftp_server: SftpServer) -> None:
    def greeting() -> bytes:
        with socket.create_connection((sftp_server.host, sftp_server.port), timeout=5) as connection:
            return connection.recv(8)

    port = sftp_server.port
    assert greeting() == b"SSH-2.0-"
    sftp_server.kill()
    with pytest.raises(ConnectionRefusedError):
        greeting()
    sftp_server.start()
    assert (sftp_server.port, greeting()) == (port, b"SSH-2.0-")
    assert sftp_server.host_key_line.startswith(f"[127.0.0.1]:{port} ssh-ed25519 ")
    assert sftp_server.client_key.stat().st_mode & 0o077 == 0
