"""Servers that speak SSH or SFTP in no way that can be read."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import PurePosixPath

import paramiko
import pytest
from paramiko import sftp as protocol

from ari_recorder.config import targets as config
from ari_recorder.lab.programs import wait_until
from ari_recorder.model.errors import TransientError
from ari_recorder.targets.sftp import SftpTarget
from ari_recorder.targets.ssh.session import Client
from ari_recorder.targets.ssh.tunnel import Tunnelled


def key_exchange() -> bytes:
    """A KEXINIT (RFC 4253, 7.1) whose first list of names is no text."""
    lists = [
        b"\xff\xfe",
        b"ssh-ed25519",
        *[b"aes128-ctr"] * 2,
        *[b"hmac-sha2-256"] * 2,
        *[b"none"] * 2,
        b"",
        b"",
    ]
    body = b"\x14" + os.urandom(16) + b"".join(struct.pack(">I", len(one)) + one for one in lists) + bytes(5)
    padding = 12 - (len(body) + 9) % 8
    return struct.pack(">IB", len(body) + padding + 1, padding) + body + bytes(padding)


@pytest.fixture
def port() -> Iterator[int]:
    """Where a server greets, and then sends what nobody can read."""

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"SSH-2.0-odd\r\n" + key_exchange())
                connection.recv(64 * 1024)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


def watchdogs() -> int:
    return sum(thread.name == "ssh-watchdog" for thread in threading.enumerate())


def settings(port: int) -> dict[str, object]:
    fingerprint = "SHA256:" + "A" * 43
    login = {"user": "u", "password": "p", "fingerprint": fingerprint, "timeout": 5.0}
    return {"host": "127.0.0.1", "port": port} | login


def test_a_greeting_that_nobody_can_read_is_an_error_and_leaves_no_thread(port: int) -> None:
    target = SftpTarget(config.SftpTarget.model_validate({"kind": "sftp", "name": "a", **settings(port)}))
    dial = Tunnelled(config.Tunnel.model_validate(settings(port)))
    before = watchdogs()
    with pytest.raises(TransientError, match=r"target\.unreachable"):
        target.stat(PurePosixPath("a"))
    with pytest.raises(TransientError, match=r"target\.unreachable"):
        dial("127.0.0.1", 445)
    wait_until("the watchdogs' end", lambda: watchdogs() <= before, limit=5)


def test_a_status_whose_text_is_latin_1_is_told_by_its_number() -> None:
    message = paramiko.Message()
    message.add_int(protocol.SFTP_PERMISSION_DENIED)
    message.add_string("Zugriff nicht möglich".encode("latin-1"))
    message.rewind()
    client = Client.__new__(Client)
    with pytest.raises(PermissionError):
        client._convert_status(message)
