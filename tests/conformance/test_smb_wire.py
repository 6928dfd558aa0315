"""What happens between the recorder and an SMB server: who reads, forges, cuts, swallows, or is no server."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.lab.ports import HOST
from ari_recorder.lab.programs import wait_until
from ari_recorder.lab.smbd import SambaServer
from ari_recorder.model.errors import ConfigError, RecorderError, TransientError
from ari_recorder.targets.share import session as smb_session
from ari_recorder.targets.share.wire import SmbConnection

from .relay import Relay
from .smb_scene import LIMIT, Scene, failure, names_below, scene_of
from .test_contract import PATH, MakeSample, put


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_of(SambaServer(tmp_path / "smb")) as made:
        yield made


# What goes over the wire ---------------------------------------------------------------------------------

MARK = b"what was said in confidence " * 4


@contextmanager
def tapped(server: SambaServer) -> Iterator[tuple[int, bytearray]]:
    """A port in front of the server, and all that went through it."""
    seen = bytearray()

    class Tap(Relay):
        def _counted(self, data: bytes, upward: bool) -> tuple[bytes, bool]:
            seen.extend(data)
            return super()._counted(data, upward)

    with Tap(server.port) as tap:
        yield tap.port, seen


def test_what_is_sent_cannot_be_read_on_the_way(scene: Scene, sample: MakeSample) -> None:
    one = sample(MARK * 1000)
    with tapped(scene.server) as (port, seen):
        put(scene.target(port=port), one)
        assert len(seen) > 2 * one.size
        assert MARK not in seen
        assert PATH.name.encode("utf-16-le") not in seen


def test_encryption_is_ours_also_where_the_server_leaves_it_open(tmp_path: Path, sample: MakeSample) -> None:
    one = sample(MARK * 1000)
    with scene_of(SambaServer(tmp_path / "smb", settings={"server smb encrypt": "off"})) as scene:
        error = failure(scene.target(), one)
        assert (error.code, type(error)) == ("target.insecure", ConfigError)
        assert "encrypt = false" in error.remedy
        assert names_below(scene.root) == []
    with scene_of(SambaServer(tmp_path / "if", settings={"server smb encrypt": "if_required"})) as scene:
        with tapped(scene.server) as (port, seen):
            put(scene.target(port=port), one)
            assert MARK not in seen
        with tapped(scene.server) as (port, seen):
            put(scene.target(port=port, encrypt=False), one, PurePosixPath("open"))
            assert MARK in seen  # the tap can see


@pytest.mark.parametrize("newest", ["SMB2_02", "SMB2_10", "SMB3_00", "SMB3_02", "SMB3_11"])
def test_each_version_of_the_protocol(tmp_path: Path, sample: MakeSample, newest: str) -> None:
    dialect = {"server min protocol": newest, "server max protocol": newest, "server smb encrypt": "default"}
    one = sample(os.urandom(3_000_000))
    with scene_of(SambaServer(tmp_path / "smb", settings=dialect)) as scene:
        if newest < "SMB3":
            assert failure(scene.target(), one).code == "target.insecure"
        else:
            put(scene.target(), one)
        put(scene.target(encrypt=False), one, PurePosixPath("signed"))
        assert (scene.root / "signed").read_bytes() == one.path.read_bytes()


def test_a_server_that_speaks_only_smb1(tmp_path: Path, sample: MakeSample) -> None:
    old = {"server min protocol": "NT1", "server max protocol": "NT1", "server smb encrypt": "off"}
    with scene_of(SambaServer(tmp_path / "smb", settings=old)) as scene:
        error = failure(scene.target(), sample(b"x"))
    assert (error.code, type(error)) == ("target.unreachable", TransientError)
    assert "SMB 1" in error.remedy


class Forger(Relay):
    """Somebody on the way who changes what the server answers. Messages go through whole."""

    def __init__(self, server: int, forge: Callable[[bytes], bytes]) -> None:
        super().__init__(server)
        self._forge = forge
        self._rest = b""
        self.forged = 0

    def _counted(self, data: bytes, upward: bool) -> tuple[bytes, bool]:
        if upward:
            return super()._counted(data, upward)
        self._rest += data
        passed = b""
        while len(self._rest) >= 4 and len(self._rest) >= 4 + (
            size := struct.unpack(">L", self._rest[:4])[0]
        ):
            message, self._rest = self._rest[4 : 4 + size], self._rest[4 + size :]
            told = self._forge(message)
            self.forged += told != message
            passed += struct.pack(">L", len(told)) + told
        return passed, False


def without_signature(message: bytes) -> bytes:
    """The answer to anything but log-in, unsigned, and saying "success" to a write of nothing."""
    if message[:4] != b"\xfeSMB" or struct.unpack("<H", message[12:14])[0] < 3:
        return message
    flags = struct.unpack("<L", message[16:20])[0] & ~0x8
    return message[:16] + struct.pack("<L", flags) + message[20:48] + bytes(16) + message[64:]


def with_a_flipped_bit(message: bytes) -> bytes:
    if message[:4] == b"\xfeSMB" and struct.unpack("<H", message[12:14])[0] < 3:
        return message
    return message[:-1] + bytes([message[-1] ^ 1])


def in_the_clear(message: bytes) -> bytes:
    """Instead of the first encrypted answer, that to the tree connect (message 3), one of our own."""
    if message[:4] != b"\xfdSMB":
        return message
    head = struct.pack("<4sHHLHHLLQLLQ16s", b"\xfeSMB", 64, 1, 0, 3, 64, 1, 0, 3, 0, 5, 0, bytes(16))
    return head + struct.pack("<HBBLLL", 16, 1, 0, 0, 0, 0x001F01FF)


@pytest.mark.parametrize(
    ("forge", "encrypt", "why"),
    [
        (without_signature, False, "without a signature"),
        (with_a_flipped_bit, False, "signature is wrong"),
        (with_a_flipped_bit, True, "changed on the way"),
        (in_the_clear, True, "came unencrypted"),
    ],
)
def test_answers_that_somebody_changed_end_the_connection(
    tmp_path: Path, sample: MakeSample, forge: Callable[[bytes], bytes], encrypt: bool, why: str
) -> None:
    with scene_of(SambaServer(tmp_path / "smb", settings={"server smb encrypt": "desired"})) as scene:
        if not encrypt:
            scene.server.stop()
            text = scene.server.configuration.read_text()
            scene.server.configuration.write_text(text.replace("encrypt = desired", "encrypt = if_required"))
            scene.server.start()
        with Forger(scene.server.port, forge) as forger:
            error = failure(scene.target(port=forger.port, encrypt=encrypt, timeout=LIMIT), sample(b"x"))
            assert forger.forged
        assert (error.code, type(error)) == ("target.torn", TransientError)
        assert why in error.sentence
        assert names_below(scene.root) == []
        put(scene.target(encrypt=encrypt), sample(b"x"))


# Connections ---------------------------------------------------------------------------------------------


def test_a_connection_that_died_while_idle_is_replaced(scene: Scene, sample: MakeSample) -> None:
    target = scene.target()
    for _ in range(5):  # at once, before the connection's own thread need have seen anything
        put(target, sample(b"x"))
        scene.server.cut_sessions()
    put(target, sample(b"x"))


def test_frozen_while_a_file_is_read(scene: Scene, sample: MakeSample) -> None:
    one, target = sample(os.urandom(12_000_000)), scene.target(timeout=LIMIT)
    put(target, one)
    stream = target.open(PATH)
    assert stream.read(10) == one.path.read_bytes()[:10]
    scene.server.freeze()
    with pytest.raises(TransientError) as caught:
        stream.read()
    assert caught.value.code == "target.unreachable"
    stream.close()
    scene.server.thaw()
    assert target.stat(PATH) is not None


def test_a_wire_that_swallows_everything(scene: Scene, sample: MakeSample) -> None:
    """Nothing is closed and nothing comes through: a firewall that forgot the connection."""
    swallow = threading.Event()

    class Swallowing(Relay):
        def _counted(self, data: bytes, upward: bool) -> tuple[bytes, bool]:
            return super()._counted(b"" if swallow.is_set() else data, upward)

    with Swallowing(scene.server.port) as relay:
        target = scene.target(port=relay.port, timeout=LIMIT)
        put(target, sample(b"x"))
        swallow.set()
        begun = time.monotonic()
        assert failure(target, sample(os.urandom(9_000_000)), PurePosixPath("b")).code == "target.unreachable"
        assert time.monotonic() - begun < 3 * LIMIT
        swallow.clear()
        put(target, sample(os.urandom(9_000_000)), PurePosixPath("b"))


def test_closing_ends_work_that_is_under_way(
    scene: Scene, sample: MakeSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, target = sample(os.urandom(12_000_000)), scene.target(timeout=60)
    send = smb_session.Ahead.send
    count = 0

    def counting(ahead: smb_session.Ahead, *words: object) -> None:
        nonlocal count
        count += 1
        if count == 5:
            scene.server.freeze()
            target.close()
        send(ahead, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(smb_session.Ahead, "send", counting)
    begun = time.monotonic()
    assert failure(target, one).code == "target.torn"
    assert failure(target, one).code == "target.torn"
    assert time.monotonic() - begun < 10
    scene.server.thaw()


def test_nothing_is_left_running(scene: Scene, sample: MakeSample) -> None:
    before = threading.active_count()
    target = scene.target()
    put(target, sample(b"x"))
    failure(scene.target(password="wrong"), sample(b"x"))
    failure(scene.target(share="none"), sample(b"x"))
    target.close()
    wait_until("the end of the connection's threads", lambda: threading.active_count() <= before, limit=10)


def test_a_server_that_grants_few_credits(tmp_path: Path, sample: MakeSample) -> None:
    one = sample(os.urandom(5_000_000))
    with scene_of(SambaServer(tmp_path / "smb", settings={"smb2 max credits": "6"})) as scene:
        put(scene.target(), one)
        assert (scene.root / PATH).read_bytes() == one.path.read_bytes()


@pytest.mark.parametrize(
    "greeting",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\0\0\x48\xfeSMB" + b"\xff" * 200,
        b"\0\0\0\x24\xffSMB" + bytes(32),
        b"\0\0\0\0",
        b"\0\xff\xff\xff" + bytes(1000),
        b"",
    ],
    ids=["HTTP", "broken", "SMB 1", "nothing", "endless", "silent"],
)
def test_something_that_is_no_smb_server(scene: Scene, sample: MakeSample, greeting: bytes) -> None:
    with socket.create_server((HOST, 0)) as listener:
        clients: list[socket.socket] = []

        def greet() -> None:
            try:
                while True:
                    client = listener.accept()[0]
                    clients.append(client)
                    client.sendall(greeting)
            except OSError:
                return

        thread = threading.Thread(target=greet)
        thread.start()
        begun = time.monotonic()
        error = failure(scene.target(port=listener.getsockname()[1], timeout=LIMIT), sample(b"x"))
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for client in clients:
            client.close()
    assert error.code in {"target.unreachable", "target.insecure", "target.torn"}
    assert time.monotonic() - begun < 3 * LIMIT


def test_whatever_a_server_answers_is_told_as_an_error(scene: Scene, sample: MakeSample) -> None:
    """Each byte of the first answers, one after the other, is something else."""
    for place in (*range(4, 72, 3), *range(72, 320, 13)):

        def spoil(message: bytes, place: int = place) -> bytes:
            return message[:place] + b"\xa5" + message[place + 1 :] if len(message) > place else message

        with Forger(scene.server.port, spoil) as forger:
            target = scene.target(port=forger.port, timeout=LIMIT)
            with suppress(RecorderError):  # anything else that is raised fails the test
                put(target, sample(b"x"), PurePosixPath(f"file {place}"))
            target.close()


def test_samba_s_own_client_reads_what_was_stored(scene: Scene, sample: MakeSample, tmp_path: Path) -> None:
    one = sample(os.urandom(3_000_000))
    put(scene.target(), one)
    copy = tmp_path / "copy"
    scene.server.smbclient(f'get "root/{PATH}" "{copy}"')
    assert copy.read_bytes() == one.path.read_bytes()


def test_two_targets_on_one_server_share_nothing(scene: Scene, sample: MakeSample) -> None:
    one, other = scene.target(), scene.target()
    put(one, sample(b"x"))
    put(other, sample(b"x"))
    one.close()
    put(other, sample(b"y"), PurePosixPath("other"))
    assert isinstance(other._pool._idle[0][1]._connection, SmbConnection)
