"""A second target for tests: a real OpenSSH server, in the words of a policy."""

from __future__ import annotations

from ari_recorder.lab.sftpd import SftpServer


def vault_policy(server: SftpServer, *, timeout: float = 5.0, name: str = "vault") -> str:
    """The `[[target]]` of `server`; seconds it may take to answer."""
    known_hosts = server.home / "known_hosts"
    known_hosts.write_text(f"{server.host_key_line}\n", encoding="ascii")
    return f"""
[[target]]
kind = "sftp"
name = "{name}"
host = "{server.host}"
port = {server.port}
user = "{server.user}"
key_file = "{server.client_key}"
known_hosts = "{known_hosts}"
timeout = {timeout}
"""
