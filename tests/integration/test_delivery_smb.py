"""Deliveries by the recorder itself to a real Samba that dies in the middle, also behind an SSH jump host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ari_recorder.evidence.verify import verify
from ari_recorder.lab.recorder import Recorder
from ari_recorder.lab.sftpd import SftpServer
from ari_recorder.lab.smbd import SHARE, SambaServer

from .cable import NoPbx
from .scene import assert_clean, policy
from .test_delivery import delivery, finished, names, prepare

LEG = 16 << 20
"""Bytes of each leg: 17 minutes."""
JUMP_HOST = "127.0.0.2"
"""Where Samba listens when it is to be reached through the tunnel."""


def share_policy(server: SambaServer, more: str = "") -> str:
    """Slow enough (a second) to be killed in the middle."""
    return f"""
[[target]]
kind = "smb"
name = "vault"
host = "{server.host}"
port = {server.port}
share = "{SHARE}"
user = "{server.user}"
password = "{server.password}"
timeout = 5.0
bandwidth = "24 MB/s"
{more}
"""


def tunnel_policy(jump: SftpServer) -> str:
    known_hosts = jump.home / "known_hosts"
    known_hosts.write_text(f"{jump.host_key_line}\n", encoding="ascii")
    return (
        f'tunnel = {{ host = "{jump.host}", port = {jump.port}, user = "{jump.user}", '
        f'key_file = "{jump.client_key}", known_hosts = "{known_hosts}", timeout = 5.0 }}'
    )


@pytest.fixture
def samba(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SambaServer]:
    with SambaServer(tmp_path / "smb", host=getattr(request, "param", "127.0.0.1")) as server:
        yield server


@pytest.fixture
def make_recorder(tmp_path: Path) -> Iterator[Callable[[str], Recorder]]:
    """Configured for archive and vault, not started; its log must be clean in the end."""
    made: list[Recorder] = []

    def make(vault: str) -> Recorder:
        for name in ("archive", "recording", "sounds"):
            (tmp_path / name).mkdir()
        nothing = NoPbx(tmp_path / "recording", tmp_path / "sounds" / "ari-recorder")
        rules = policy(more=vault, targets='["archive", "vault"]')
        recorder = Recorder(tmp_path, nothing, rules)  # type: ignore[arg-type]
        recorder.configure()
        made.append(recorder)
        return recorder

    yield make
    for recorder in made:
        recorder.close()
        assert_clean(recorder)


def assert_whole(recorder: Recorder, server: SambaServer) -> None:
    """Both archives hold the recording once; nothing torn, nothing left in the spool."""
    archive = recorder.folder / "archive"
    assert names(archive) == names(server.folder)
    assert len(names(archive)) == 5 + 1
    assert recorder.states() == []
    report = verify(
        [server.folder], certificate=recorder.certificate, chain_log=recorder.chain, target="vault"
    )
    assert report.ok, report.findings
    assert report.intact == 1


def wait_for_a_part(recorder: Recorder, server: SambaServer) -> None:
    def grows() -> bool:
        sizes = [p.stat().st_size for p in server.folder.rglob(".*.wav.*.part")]
        return any(0 < size < LEG for size in sizes)

    recorder.wait_for("a part of the upload", grows, limit=60)


def assert_torn(recorder: Recorder, server: SambaServer) -> None:
    recorder.wait_for("the torn delivery", lambda: delivery(recorder)["error_code"], limit=30)
    waiting = delivery(recorder)
    assert waiting["error_code"] in ("target.torn", "target.unreachable"), waiting
    assert waiting["state"] == "waiting"
    assert not [name for name in finished(server.folder) if name.endswith(".wav")]


def test_samba_killed_in_mid_upload_gets_it_once_and_whole(
    make_recorder: Callable[[str], Recorder], samba: SambaServer
) -> None:
    recorder = make_recorder(share_policy(samba))
    prepare(recorder, LEG)
    recorder.start(connected=False)
    wait_for_a_part(recorder, samba)
    samba.kill()
    assert_torn(recorder, samba)
    samba.start()
    recorder.wait_delivered(1, limit=60)
    assert_whole(recorder, samba)


def test_the_recorder_killed_in_mid_upload(
    make_recorder: Callable[[str], Recorder], samba: SambaServer
) -> None:
    recorder = make_recorder(share_policy(samba))
    prepare(recorder, LEG)
    recorder.start(connected=False)
    wait_for_a_part(recorder, samba)
    recorder.kill()
    assert not [name for name in finished(samba.folder) if name.endswith(".wav")]
    recorder.start(connected=False)
    recorder.wait_delivered(1, limit=60)
    assert_whole(recorder, samba)


@pytest.mark.parametrize("samba", [JUMP_HOST], indirect=True)
def test_the_jump_host_killed_in_mid_upload(
    make_recorder: Callable[[str], Recorder], samba: SambaServer, sftp_server: SftpServer
) -> None:
    jump = sftp_server
    jump.stop()
    settings = jump.home / "sshd_config"
    allowed = f"AllowTcpForwarding yes\nPermitOpen {samba.host}:{samba.port}"
    settings.write_text(settings.read_text().replace("AllowTcpForwarding no", allowed))
    jump.start()
    recorder = make_recorder(share_policy(samba, tunnel_policy(jump)))
    prepare(recorder, LEG)
    recorder.start(connected=False)
    wait_for_a_part(recorder, samba)
    jump.kill()
    assert_torn(recorder, samba)
    jump.start()
    recorder.wait_delivered(1, limit=60)
    assert_whole(recorder, samba)
