"""A target behind a real SSH jump host: OpenSSH in front of Samba, and what each of them may do."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ari_recorder.lab.programs import wait_until
from ari_recorder.lab.sftpd import SftpServer
from ari_recorder.lab.smbd import SambaServer
from ari_recorder.model.errors import ConfigError, PermanentError, RecorderError, TransientError
from ari_recorder.targets.smb import SmbTarget
from ari_recorder.targets.steps import Step, watched

from .rig import Sample
from .rig_smb import smb_settings
from .test_contract import PATH, MakeSample, put

BEHIND = "127.0.0.2"
"""Samba's address: the jump host is at another one."""
LIMIT = 1.5
"""Seconds that a silent server gets."""


class Scene:
    """A jump host, a server behind it, and the targets made for both."""

    def __init__(self, jump: SftpServer, server: SambaServer) -> None:
        self.jump = jump
        self.server = server
        self.root = server.folder / "root"
        self.root.mkdir()
        self._made: list[SmbTarget] = []

    def allow(self, words: str) -> None:
        """What the jump host forwards, in the words of sshd_config."""
        self.jump.stop()
        settings = self.jump.home / "sshd_config"
        lines = [line for line in settings.read_text().splitlines() if "Forwarding" not in line]
        settings.write_text("\n".join([words, *lines]) + "\n")
        self.jump.start()

    def target(self, tunnel: dict[str, object] | None = None, **changes: object) -> SmbTarget:
        hosts = self.jump.home / "known_hosts"
        hosts.write_text(self.jump.host_key_line + "\n", encoding="utf-8")
        values: dict[str, object] = {
            "host": self.jump.host,
            "port": self.jump.port,
            "user": self.jump.user,
            "key_file": self.jump.client_key,
            "known_hosts": hosts,
            "timeout": changes.get("timeout", 10.0),
            **(tunnel or {}),
        }
        through = {key: value for key, value in values.items() if value is not None}
        made = SmbTarget(smb_settings(self.server, tunnel=through, **changes))
        self._made.append(made)
        return made

    def close(self) -> None:
        for target in self._made:
            target.close()


@pytest.fixture
def scene(sftp_server: SftpServer, tmp_path: Path) -> Iterator[Scene]:
    with SambaServer(tmp_path / "smb", host=BEHIND) as server:
        made = Scene(sftp_server, server)
        made.allow(f"AllowTcpForwarding yes\nPermitOpen {server.host}:{server.port}")
        yield made
        made.close()


def failure(target: SmbTarget, sample: Sample) -> RecorderError:
    with pytest.raises(RecorderError) as caught:
        put(target, sample)
    assert "Traceback" not in str(caught.value)
    assert caught.value.remedy or caught.value.code == "target.torn"
    return caught.value


def own_connections() -> set[str]:
    """Addresses that this process has TCP connections to, as in /proc/net/tcp (proc(5))."""
    own = set()
    for handle in Path("/proc/self/fd").iterdir():
        try:
            own.add(str(handle.readlink()))
        except OSError:
            continue  # the listing's own handle
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {words[2] for words in lines if f"socket:[{words[9]}]" in own and words[3] == "01"}


def listening() -> set[str]:
    """Ports this process listens on."""
    own = {str(h.readlink()) for h in Path("/proc/self/fd").iterdir() if h.is_symlink() and h.exists()}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {words[1] for words in lines if f"socket:[{words[9]}]" in own and words[3] == "0A"}


def test_everything_goes_through_the_jump_host(scene: Scene, sample: MakeSample) -> None:
    one, target = sample(os.urandom(5_000_000)), scene.target()
    before = listening()
    put(target, one)
    assert (scene.root / PATH).read_bytes() == one.path.read_bytes()
    hexed = f"{int.from_bytes(bytes(map(int, BEHIND.split('.'))), 'little'):08X}:{scene.server.port:04X}"
    connections = own_connections()
    assert hexed not in connections
    assert any(one.endswith(f":{scene.jump.port:04X}") for one in connections)
    assert listening() == before  # nobody else here can use the tunnel
    with target.open(PATH) as stream:
        assert stream.read(10) == one.path.read_bytes()[:10]
    assert target.delete(PATH)


def test_a_jump_host_that_is_not_trusted(scene: Scene, sample: MakeSample) -> None:
    wrong: dict[str, object] = {"known_hosts": None, "fingerprint": "SHA256:" + "A" * 43}
    error = failure(scene.target(wrong), sample(b"x"))
    assert error.code.startswith("target.host-key")
    assert isinstance(error, ConfigError)
    error = failure(scene.target({"user": "nobody-of-that-name"}), sample(b"x"))
    assert (error.code, type(error)) == ("target.login", ConfigError)


def test_a_jump_host_that_does_not_forward(scene: Scene, sample: MakeSample) -> None:
    for words in ("AllowTcpForwarding no", "AllowTcpForwarding yes\nPermitOpen 127.0.0.9:1"):
        scene.allow(words)
        error = failure(scene.target(), sample(b"x"))
        assert (error.code, type(error)) == ("target.denied", PermanentError)
        assert "PermitOpen" in error.remedy


def test_no_jump_host_or_nothing_behind_it(scene: Scene, sample: MakeSample) -> None:
    target = scene.target()
    scene.server.stop()
    error = failure(target, sample(b"x"))
    assert (error.code, type(error)) == ("target.unreachable", TransientError)
    assert "jump host" in error.sentence
    scene.server.start()
    scene.jump.stop()
    assert failure(target, sample(b"x")).code == "target.unreachable"
    scene.jump.start()
    put(target, sample(b"x"))


def at(step: Step, act: Callable[[], None]) -> Callable[[Step], None]:
    """A watcher that acts once."""
    done: list[Step] = []

    def watch(seen: Step) -> None:
        if seen is step and not done:
            done.append(seen)
            act()

    return watch


@pytest.mark.parametrize("end", ["jump", "server"])
@pytest.mark.parametrize("step", [Step.LOGIN, Step.WRITE, Step.RENAME])
def test_torn_at_each_step(scene: Scene, sample: MakeSample, step: Step, end: str) -> None:
    one, target = sample(os.urandom(3_000_000)), scene.target()
    dies: SftpServer | SambaServer = getattr(scene, end)
    with watched(at(step, dies.kill)):
        error = failure(target, one)
    assert isinstance(error, TransientError), error
    assert error.code in {"target.torn", "target.unreachable"}
    assert not (scene.root / PATH).exists()
    dies.start()
    put(target, one)
    assert (scene.root / PATH).read_bytes() == one.path.read_bytes()


@pytest.mark.parametrize("end", ["jump", "server"])
@pytest.mark.parametrize("step", [Step.CONNECT, Step.WRITE])
def test_frozen_at_each_step(scene: Scene, sample: MakeSample, step: Step, end: str) -> None:
    one, target = sample(os.urandom(9_000_000)), scene.target(timeout=LIMIT)
    freezes: SftpServer | SambaServer = getattr(scene, end)
    begun = time.monotonic()
    with watched(at(step, freezes.freeze)):
        error = failure(target, one)
    assert time.monotonic() - begun < 4 * LIMIT
    assert (error.code, type(error)) == ("target.unreachable", TransientError)
    freezes.thaw()
    put(scene.target(), one)
    assert (scene.root / PATH).read_bytes() == one.path.read_bytes()


def test_nothing_is_left_running(scene: Scene, sample: MakeSample) -> None:
    before = threading.active_count()
    target = scene.target()
    put(target, sample(b"x"))
    target.close()
    wait_until("the end of the connection's threads", lambda: threading.active_count() <= before, limit=10)
