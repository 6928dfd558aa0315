"""A target that hangs for ever, on a whole recorder: nothing else waits for it."""

from __future__ import annotations

import time

from ari_recorder.lab.sftpd import SftpServer

from .spool_host import SETTING, TARGET, Host, until

SFTP = """
[[target]]
name = "vault"
kind = "sftp"
host = "127.0.0.1"
port = {server.port}
user = "{server.user}"
key_file = "{server.client_key}"
known_hosts = "{known}"
folder = "{server.folder}"
timeout = 600.0
"""


def test_a_frozen_server_delays_neither_other_targets_nor_new_recordings_nor_the_end(
    host: Host, dead: Host, sftp_server: SftpServer
) -> None:
    known = host.folder / "known_hosts"
    known.write_text(sftp_server.host_key_line + "\n", encoding="ascii")
    archive = TARGET.format(name="archive", folder=host.archive, more="")
    both = SETTING.format(targets='["vault", "archive"]')
    (host.folder / "policy.toml").write_text(archive + SFTP.format(server=sftp_server, known=known) + both)
    host.archive.mkdir()
    for number in range(4):
        host.sealed(f"r-{number}", "vault", "archive")
    sftp_server.freeze()
    with host.recorder() as recorder:
        until(lambda: len(host.delivered()) == 4, host.log)
        until(lambda: vault(host) == {"waiting": 4, "running": 2}, host.log)
        host.told("spool", "adopt", str(dead.captured("r-new", "vault", "archive").path))
        until(lambda: len(host.delivered()) == 5, host.log)
        assert vault(host)["running"] == 2
        begun = time.monotonic()
        recorder.terminate()
        assert recorder.wait(30) == 0
        assert time.monotonic() - begun < 25  # patience with what is under way, and no more
    sftp_server.thaw()
    with host.recorder():
        until(lambda: not host.ids(), host.log)
    assert len(list(sftp_server.folder.rglob("*.sig"))) == 5


def vault(host: Host) -> dict[str, int]:
    targets = {one["name"]: one for one in host.told("status", status=1)["targets"]}
    return {key: targets["vault"][key] for key in ("waiting", "running")}
