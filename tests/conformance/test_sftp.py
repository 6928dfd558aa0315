"""What only a server over a network can do to us: refuse the login, change its key, tear, freeze."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from ari_recorder.lab.ports import HOST
from ari_recorder.lab.programs import wait_until
from ari_recorder.lab.sftpd import SftpServer
from ari_recorder.model.errors import ConfigError, RecorderError, TransientError
from ari_recorder.targets import sftp
from ari_recorder.targets.base import part_name
from ari_recorder.targets.sftp import SftpTarget
from ari_recorder.targets.ssh import connection
from ari_recorder.targets.ssh import session as sftp_session

from .private_sshd import PASSWORD, PrivateSshd
from .rig import Sample
from .rig_sftp import host_fingerprint, password_settings, sftp_settings
from .test_contract import PATH, MakeSample, put

LIMIT = 1.5
"""Seconds that the target under test gives a silent server."""


def names(root: Path) -> list[str]:
    """Every file below the root, part files included."""
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())


class Scene:
    """One server and the targets made for it."""

    def __init__(self, server: SftpServer, folder: Path) -> None:
        self.server = server
        self.root = server.folder / "root"
        self.root.mkdir()
        self.known_hosts = folder / "known_hosts"
        self._folder = folder
        self._made: list[SftpTarget] = []

    def target(self, **changes: object) -> SftpTarget:
        made = SftpTarget(sftp_settings(self.server, self.known_hosts, **changes))
        self._made.append(made)
        return made

    def close(self) -> None:
        for target in self._made:
            target.close()


@pytest.fixture
def scene(sftp_server: SftpServer, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(sftp_server, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSshd]:
    with PrivateSshd(tmp_path_factory.mktemp("private") / "server") as server:
        yield server


def failure(target: SftpTarget, sample: Sample) -> RecorderError:
    with pytest.raises(RecorderError) as caught:
        put(target, sample)
    text = str(caught.value)
    assert "Traceback" not in text
    assert PASSWORD not in text
    return caught.value


# Login ---------------------------------------------------------------------------------------------------


def test_a_password_and_one_from_a_file(private: PrivateSshd, sample: MakeSample, tmp_path: Path) -> None:
    kept = tmp_path / "password"
    kept.write_text(PASSWORD + "\n", encoding="utf-8")
    for number, way in enumerate(({}, {"password": None, "password_file": kept})):
        target = SftpTarget(password_settings(private, **way))
        put(target, sample(b"x"), PurePosixPath(f"password/{number}"))
        target.close()
    assert (private.folder / "password/0").read_bytes() == b"x"


def test_a_wrong_password(private: PrivateSshd, sample: MakeSample) -> None:
    error = failure(SftpTarget(password_settings(private, password="wrong")), sample(b"x"))
    assert (error.code, type(error)) == ("target.login", ConfigError)


def test_a_password_that_is_asked_for_by_keyboard_interactive(sample: MakeSample, tmp_path: Path) -> None:
    with PrivateSshd(tmp_path / "private", keyboard=True) as server:
        target = SftpTarget(password_settings(server))
        put(target, sample(b"x"))
        target.close()
        assert (server.folder / PATH).read_bytes() == b"x"
        error = failure(SftpTarget(password_settings(server, password="wrong")), sample(b"y"))
        assert (error.code, type(error)) == ("target.login", ConfigError)


def test_no_agent_and_no_home_folder_is_asked(
    scene: Scene, sample: MakeSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that would do it, and a key in ~/.ssh: neither is ever looked at."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_bytes(scene.server.client_key.read_bytes())
    monkeypatch.setenv("HOME", str(home))
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        agent.setblocking(False)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        assert failure(scene.target(key_file=None, password="any"), sample(b"x")).code == "target.login"
        assert failure(scene.target(key_file=make_key(tmp_path / "k")), sample(b"x")).code == "target.login"
        with pytest.raises(BlockingIOError):
            agent.accept()


def test_a_password_where_only_keys_are_taken(scene: Scene, sample: MakeSample) -> None:
    error = failure(scene.target(key_file=None, password="any"), sample(b"x"))
    assert (error.code, type(error)) == ("target.login", ConfigError)


def test_a_key_that_the_server_does_not_know(scene: Scene, sample: MakeSample, tmp_path: Path) -> None:
    error = failure(scene.target(key_file=make_key(tmp_path / "key")), sample(b"x"))
    assert (error.code, type(error)) == ("target.login", ConfigError)
    assert str(tmp_path / "key") in error.sentence


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa", "rsa-pem"])
def test_keys_with_a_passphrase(scene: Scene, sample: MakeSample, tmp_path: Path, kind: str) -> None:
    key = make_key(tmp_path / "key", kind, "pässphrase")
    with (scene.server.home / "authorized_keys").open("a") as known:
        known.write(key.with_suffix(".pub").read_text())
    put(scene.target(key_file=key, passphrase="pässphrase"), sample(b"x"))
    for wrong in ({"passphrase": "wrong"}, {}):
        error = failure(scene.target(key_file=key, **wrong), sample(b"x"))
        assert (error.code, type(error)) == ("target.key", ConfigError)
        assert "passphrase" in str(error)


def test_a_key_file_that_is_missing_or_no_key(scene: Scene, sample: MakeSample, tmp_path: Path) -> None:
    (tmp_path / "rubbish").write_text("rubbish")
    for name in ("missing", "rubbish"):
        error = failure(scene.target(key_file=tmp_path / name), sample(b"x"))
        assert (error.code, type(error)) == ("target.key", ConfigError)


# Host key ------------------------------------------------------------------------------------------------


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    words = ["-t", kind.removesuffix("-pem"), *(["-m", "PEM"] if kind.endswith("-pem") else [])]
    subprocess.run(["ssh-keygen", "-q", *words, "-N", passphrase, "-f", str(path)], check=True)
    return path


def refused_for_its_key(scene: Scene, sample: Sample, **changes: object) -> RecorderError:
    target = scene.target(**changes)
    error = failure(target, sample)
    assert (error.code, type(error)) == ("target.host-key-changed", ConfigError)
    assert names(scene.root) == []
    return error


def test_a_pinned_fingerprint(scene: Scene, sample: MakeSample) -> None:
    right = host_fingerprint(scene.server)
    put(scene.target(known_hosts=None, fingerprint=right), sample(b"x"))


def test_a_pinned_fingerprint_of_another_key(scene: Scene, sample: MakeSample) -> None:
    error = refused_for_its_key(scene, sample(b"x"), known_hosts=None, fingerprint="SHA256:" + "A" * 43)
    assert host_fingerprint(scene.server) in error.sentence


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# {line}",
        "@revoked {line}\n{line}",
        "@cert-authority {line}",
        "{line:.30}",
        "!{line}",
        "other.example {key}",
    ],
)
def test_an_unknown_host_key(scene: Scene, sample: MakeSample, tmp_path: Path, line: str) -> None:
    target = scene.target()
    text = line.format(line=scene.server.host_key_line, key=scene.server.host_key)
    scene.known_hosts.write_text(text + "\n")
    error = failure(target, sample(b"x"))
    changed = line.startswith("@revoked")
    assert (error.code, type(error)) == ("target.host-key" + "-changed" * changed, ConfigError)
    assert host_fingerprint(scene.server) in error.sentence
    assert names(scene.root) == []


def test_a_changed_host_key(scene: Scene, sample: MakeSample, tmp_path: Path) -> None:
    target = scene.target()
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text()
    scene.known_hosts.write_text(f"[{HOST}]:{scene.server.port} {other}")
    assert failure(target, sample(b"x")).code == "target.host-key-changed"


def test_a_missing_known_hosts_file(scene: Scene, sample: MakeSample) -> None:
    target = scene.target()
    scene.known_hosts.unlink()
    error = failure(target, sample(b"x"))
    assert error.code == "target.host-key"
    assert "ari-recorder target trust" in error.remedy


def test_hashed_and_pattern_lines_of_known_hosts(scene: Scene, sample: MakeSample) -> None:
    target = scene.target()
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(scene.known_hosts)], check=True, capture_output=True)
    assert scene.known_hosts.read_text().startswith("|1|")
    put(target, sample(b"x"))
    target = scene.target()
    scene.known_hosts.write_text(f"nothing,[127.0.0.?]:* \t{scene.server.host_key} comment\n")
    put(target, sample(b"x"))


def test_a_server_that_holds_a_key_of_a_later_kind_too(
    scene: Scene, sample: MakeSample, tmp_path: Path
) -> None:
    """Pinned is its RSA key, though it would rather show the Ed25519 one."""
    scene.server.stop()
    rsa = make_key(scene.server.home / "host_key_rsa", "rsa")
    settings = scene.server.home / "sshd_config"
    settings.write_text(f"HostKey {rsa}\n" + settings.read_text())
    scene.server.start()
    public = rsa.with_suffix(".pub").read_text()
    listed = subprocess.run(["ssh-keygen", "-lf", f"{rsa}.pub"], check=True, capture_output=True, text=True)
    put(scene.target(known_hosts=None, fingerprint=listed.stdout.split()[1]), sample(b"x"))
    target = scene.target()
    scene.known_hosts.write_text(f"[{HOST}]:{scene.server.port} {public}")
    put(target, sample(b"x"))


# Not there -----------------------------------------------------------------------------------------------


def test_no_such_host_and_no_server(scene: Scene, sample: MakeSample) -> None:
    for changes in ({"host": "no-such-host.invalid"}, {"port": 1}):
        error = failure(scene.target(**changes), sample(b"x"))
        assert (error.code, type(error)) == ("target.unreachable", TransientError)


@pytest.mark.parametrize(
    "greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n" + b"\xff" * 200]
)
def test_something_that_is_no_ssh_server(scene: Scene, sample: MakeSample, greeting: bytes) -> None:
    with socket.create_server((HOST, 0)) as listener:

        def greet() -> None:
            try:
                while True:
                    client = listener.accept()[0]
                    client.sendall(greeting)
                    clients.append(client)
            except OSError:
                return

        clients: list[socket.socket] = []
        thread = threading.Thread(target=greet)
        thread.start()
        begun = time.monotonic()
        error = failure(scene.target(port=listener.getsockname()[1], timeout=LIMIT), sample(b"x"))
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for client in clients:
            client.close()
    assert (error.code, type(error)) == ("target.unreachable", TransientError)
    assert time.monotonic() - begun < 3 * LIMIT


# Torn ----------------------------------------------------------------------------------------------------


def at_write(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], None]) -> None:
    """Have something happen when request `number` of the first transfer is sent: of 64 writes, then reads."""
    send = sftp_session.Ahead.send
    count = 0

    def counting(ahead: sftp_session.Ahead, command: int, *words: Any, **more: Any) -> None:
        nonlocal count
        count += 1
        if count == number:
            act()
        send(ahead, command, *words, **more)

    monkeypatch.setattr(sftp_session.Ahead, "send", counting)


REQUESTS = {
    "the first write": 1,
    "a middle write": 200,
    "the sync": 401,
    "the first read back": 402,
    "a late read": 700,
}
"""400 writes of 32 KiB, one sync, 400 reads."""
LARGE = 400 * 32 * 1024


@pytest.mark.parametrize("number", REQUESTS.values(), ids=REQUESTS)
def test_torn_at(scene: Scene, sample: MakeSample, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    one, target = sample(os.urandom(LARGE)), scene.target()
    at_write(monkeypatch, number, scene.server.kill)
    error = failure(target, one)
    assert (error.code, type(error)) == ("target.torn", TransientError)
    assert not (scene.root / PATH).exists()
    assert failure(target, one).code == "target.unreachable"
    scene.server.start()
    put(target, one)
    assert names(scene.root) == [str(PATH)]
    assert (scene.root / PATH).read_bytes() == one.path.read_bytes()


@pytest.mark.parametrize("renamed", [False, True], ids=["before the rename", "after the rename"])
def test_torn_around_the_final_name(
    scene: Scene, sample: MakeSample, monkeypatch: pytest.MonkeyPatch, renamed: bool
) -> None:
    one, target = sample(os.urandom(100_000)), scene.target()
    published = sftp._published

    def torn(session: sftp_session.Session, part: PurePosixPath, final: PurePosixPath) -> bool:
        if renamed:
            published(session, part, final)
        scene.server.kill()
        return published(session, part, final)

    monkeypatch.setattr(sftp, "_published", torn)
    assert failure(target, one).code == "target.torn"
    assert (scene.root / PATH).exists() is renamed
    monkeypatch.undo()
    scene.server.start()
    put(target, one)
    assert names(scene.root) == [str(PATH)]


@pytest.mark.parametrize(
    ("wrong", "sent"),
    [(None, 1_000_000), (2_999_999, 4_000_000), (0, 5_000_000)],
    ids=["none", "end", "begin"],
)
def test_what_stands_there_is_not_trusted_blindly(
    scene: Scene, sample: MakeSample, monkeypatch: pytest.MonkeyPatch, wrong: int | None, sent: int
) -> None:
    """One byte of a torn upload is wrong: found by a look at the end, or when all is read back."""
    monkeypatch.setattr(sftp, "UNSURE", 1_000_000)
    written = 0
    write = sftp_session.Session.write

    def counted(session: sftp_session.Session, handle: bytes, stream: Any, offset: int = 0) -> int:
        nonlocal written
        end = write(session, handle, stream, offset)
        written += end - offset
        return end

    monkeypatch.setattr(sftp_session.Session, "write", counted)
    one = sample(os.urandom(4_000_000))
    left = bytearray(one.path.read_bytes()[:3_000_000])
    if wrong is not None:
        left[wrong] ^= 1
    part = scene.root / PATH.parent / part_name(PATH.name, one.sha256)
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    put(scene.target(), one)
    assert (scene.root / PATH).read_bytes() == one.path.read_bytes()
    assert names(scene.root) == [str(PATH)]
    assert written == sent


def test_a_connection_that_died_while_idle_is_replaced(scene: Scene, sample: MakeSample) -> None:
    target = scene.target()
    put(target, sample(b"x"))
    scene.server.kill()
    scene.server.start()
    wait_until("the end of the old connection", lambda: not target._pool._idle[0][1].alive, limit=10)
    put(target, sample(b"x"))


# Frozen --------------------------------------------------------------------------------------------------


def thawed_in_the_end(scene: Scene, target: SftpTarget, one: Sample) -> None:
    scene.server.thaw()
    put(target, one)
    assert names(scene.root) == [str(PATH)]
    assert (scene.root / PATH).read_bytes() == one.path.read_bytes()


@pytest.mark.parametrize("number", REQUESTS.values(), ids=REQUESTS)
def test_frozen_at(scene: Scene, sample: MakeSample, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    one, target = sample(os.urandom(LARGE)), scene.target(timeout=LIMIT)
    at_write(monkeypatch, number, scene.server.freeze)
    begun = time.monotonic()
    error = failure(target, one)
    assert time.monotonic() - begun < 3 * LIMIT
    assert (error.code, type(error)) == ("target.unreachable", TransientError)
    thawed_in_the_end(scene, target, one)


def test_frozen_before_the_greeting(scene: Scene, sample: MakeSample) -> None:
    one, target = sample(b"x"), scene.target(timeout=LIMIT)
    scene.server.freeze()
    begun = time.monotonic()
    assert failure(target, one).code == "target.unreachable"
    assert time.monotonic() - begun < 3 * LIMIT
    thawed_in_the_end(scene, target, one)


@pytest.mark.parametrize("moment", ["the login", "the SFTP session"])
def test_frozen_before(
    scene: Scene, sample: MakeSample, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    one, target = sample(b"x"), scene.target(timeout=LIMIT)
    if moment == "the login":
        step: tuple[object, str] = (connection.Login, "_log_in")
    else:
        step = (sftp, "Session")
    inner = getattr(*step)

    def frozen(*words: Any) -> Any:
        scene.server.freeze()
        return inner(*words)

    monkeypatch.setattr(*step, frozen)
    begun = time.monotonic()
    assert failure(target, one).code == "target.unreachable"
    assert time.monotonic() - begun < 3 * LIMIT
    monkeypatch.undo()
    thawed_in_the_end(scene, target, one)


def test_frozen_while_a_file_is_read(scene: Scene, sample: MakeSample) -> None:
    one, target = sample(os.urandom(LARGE)), scene.target(timeout=LIMIT)
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


def test_closing_ends_work_that_is_under_way(
    scene: Scene, sample: MakeSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, target = sample(os.urandom(LARGE)), scene.target(timeout=60)

    def close() -> None:
        scene.server.freeze()
        target.close()

    at_write(monkeypatch, 200, close)
    begun = time.monotonic()
    assert failure(target, one).code == "target.torn"
    assert failure(target, one).code == "target.torn"
    assert time.monotonic() - begun < 10
    scene.server.thaw()


def test_nothing_is_left_running(scene: Scene, sample: MakeSample) -> None:
    before = threading.active_count()
    target = scene.target()
    put(target, sample(b"x"))
    target.close()
    wait_until("the end of the connection's threads", lambda: threading.active_count() <= before, limit=10)
