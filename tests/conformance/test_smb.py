"""What only SMB can do to us: accounts, shares, DFS, encryption that is not there, tampering."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest
from smbprotocol.open import CreateDisposition, CreateOptions, FilePipePrinterAccessMask, Open

from ari_recorder.lab.ports import HOST
from ari_recorder.lab.programs import wait_until
from ari_recorder.lab.smbd import DFS_SHARE, PASSWORD, SHARE, SambaServer
from ari_recorder.model.errors import ConfigError, PermanentError, RecorderError, TransientError
from ari_recorder.targets import paths, smb_session, trial
from ari_recorder.targets.base import part_name
from ari_recorder.targets.smb import SmbTarget
from ari_recorder.targets.smb_wire import SmbConnection
from ari_recorder.targets.steps import Step, watched

from .relay import Relay
from .rig import Sample
from .rig_smb import smb_settings
from .test_contract import PATH, MakeSample, put

LIMIT = 1.5
"""Seconds that the target under test gives a silent server."""


class Scene:
    """One server and the targets made for it."""

    def __init__(self, server: SambaServer) -> None:
        self.server = server
        self.root = server.folder / "root"
        self.root.mkdir(exist_ok=True)
        self._made: list[SmbTarget] = []

    def target(self, **changes: object) -> SmbTarget:
        made = SmbTarget(smb_settings(self.server, **changes))
        self._made.append(made)
        return made

    def close(self) -> None:
        for target in self._made:
            target.close()


@contextmanager
def scene_of(server: SambaServer) -> Iterator[Scene]:
    with server:
        made = Scene(server)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_of(SambaServer(tmp_path / "smb")) as made:
        yield made


def failure(target: SmbTarget, sample: Sample, path: PurePosixPath = PATH) -> RecorderError:
    with pytest.raises(RecorderError) as caught:
        put(target, sample, path)
    text = str(caught.value)
    assert "Traceback" not in text
    assert PASSWORD not in text
    assert caught.value.remedy or caught.value.code == "target.torn"
    return caught.value


def names_below(root: Path) -> list[str]:
    """Every file below a folder, part files included."""
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())


# Login ---------------------------------------------------------------------------------------------------


def test_a_password_from_a_file(scene: Scene, sample: MakeSample, tmp_path: Path) -> None:
    kept = tmp_path / "password"
    kept.write_text(scene.server.password + "\n", encoding="utf-8")
    put(scene.target(password=None, password_file=kept), sample(b"x"))
    kept.unlink()
    assert failure_of_reading(scene, kept, sample(b"y")).code == "config.unreadable"


def failure_of_reading(scene: Scene, kept: Path, one: Sample) -> RecorderError:
    with pytest.raises(ConfigError) as caught:
        put(scene.target(password=None, password_file=kept), one)
    return caught.value


@pytest.mark.parametrize("changes", [{"password": "wrong"}, {"user": "nobody-of-that-name"}])
def test_a_wrong_user_or_password(scene: Scene, sample: MakeSample, changes: dict[str, object]) -> None:
    error = failure(scene.target(**changes), sample(b"x"))
    assert (error.code, type(error)) == ("target.login", ConfigError)
    assert "password is wrong" in error.sentence


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-c", "[D]"], "disabled"),
        (["-c", "[L]"], "locked out"),
        (["--kickoff-time=1000000000"], "expired"),
    ],
)
def test_an_account_that_may_not_log_in(scene: Scene, sample: MakeSample, words: list[str], why: str) -> None:
    scene.server.mark_account(*words)
    error = failure(scene.target(), sample(b"x"))
    assert (error.code, type(error)) == ("target.login", ConfigError)
    assert why in error.sentence


def test_a_password_that_has_expired(scene: Scene, sample: MakeSample) -> None:
    scene.server.let_passwords_expire(1)

    def refused() -> RecorderError | None:
        try:
            put(scene.target(), sample(b"x"))
        except RecorderError as error:
            return error
        return None

    error = wait_until("the password's end", refused, limit=20)
    assert (error.code, type(error)) == ("target.login", ConfigError)
    assert "password" in error.sentence
    assert "wrong" not in error.sentence


def test_a_login_that_ends_as_a_guest(tmp_path: Path, sample: MakeSample) -> None:
    lenient = {"map to guest": "Bad User", "guest account": "nobody", "server smb encrypt": "off"}
    with scene_of(SambaServer(tmp_path / "smb", settings=lenient, share={"guest ok": "yes"})) as scene:
        for encrypt in (True, False):
            error = failure(scene.target(user="nobody-of-that-name", encrypt=encrypt), sample(b"x"))
            if encrypt:
                assert error.code in {"target.login", "target.insecure"}
            else:
                assert (error.code, "guest" in error.sentence) == ("target.login", True)


def test_a_share_that_is_missing_or_closed(tmp_path: Path, sample: MakeSample) -> None:
    with scene_of(SambaServer(tmp_path / "smb", share={"valid users": "nobody"})) as scene:
        error = failure(scene.target(share="no such share"), sample(b"x"))
        assert (error.code, type(error)) == ("target.missing", PermanentError)
        assert "no such share" in error.sentence
        error = failure(scene.target(), sample(b"x"))
        assert (error.code, type(error)) == ("target.denied", PermanentError)
        assert "right" in error.remedy


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


def symptom(scene: Scene, **changes: object) -> str | None:
    """What `target test` calls it; None when the target works."""
    report = trial.run(smb_settings(scene.server, **changes))
    print(report)  # noqa: T201 - shown when the test fails
    return None if report.fault is None else report.fault.symptom


def test_what_target_test_says(tmp_path: Path) -> None:
    with scene_of(SambaServer(tmp_path / "smb")) as scene:
        assert symptom(scene) is None
        assert names_below(scene.root) == []
        assert symptom(scene, password="wrong") == "login-refused"
        assert symptom(scene, share="no such share") == "folder-missing"
        assert symptom(scene, folder="no such folder") == "folder-missing"
        assert symptom(scene, port=1) == "refused"
        scene.server.freeze()
        assert symptom(scene, timeout=LIMIT) == "frozen"
        scene.server.thaw()
    with scene_of(SambaServer(tmp_path / "old", settings={"server smb encrypt": "off"})) as scene:
        assert symptom(scene) == "insecure"
    with scene_of(SambaServer(tmp_path / "read-only", share={"read only": "yes"})) as scene:
        assert symptom(scene) == "not-writable"


# Names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [300, 1500])
def test_long_paths(scene: Scene, sample: MakeSample, length: int) -> None:
    name = "Müller-Straße-" + "n" * 100
    deep = PurePosixPath(*[name] * (length // len(name)), "file.wav")
    assert len(str(deep)) > length - 120
    one = sample(b"deep")
    put(scene.target(), one, deep)
    assert (scene.root / deep).read_bytes() == b"deep"


@pytest.mark.parametrize(
    "name", ["CON", "nul.txt", "a:b", "trailing.", "trailing ", 'x"y', "\u0001", "a\\b", "Łódź", "~$x", "é"]
)
def test_what_the_path_template_makes_is_what_a_share_takes(
    scene: Scene, sample: MakeSample, name: str
) -> None:
    folder = paths.component(name)
    put(scene.target(), sample(b"x"), PurePosixPath(folder, "file"))
    assert (scene.root / folder / "file").read_bytes() == b"x"


@pytest.mark.parametrize("name", ["stream:of another", "dot.", "space ", "a\\b", "\ud800"])
def test_what_a_share_would_bend_is_refused(scene: Scene, sample: MakeSample, name: str) -> None:
    for path in (PurePosixPath(name), PurePosixPath(name, "file")):
        assert failure(scene.target(), sample(b"x"), path).code == "target.denied"
    assert list(scene.root.iterdir()) == []


def test_a_name_in_other_letters_is_the_same_name(scene: Scene, sample: MakeSample) -> None:
    put(scene.target(), sample(b"first"), PurePosixPath("File.WAV"))
    assert failure(scene.target(), sample(b"other"), PurePosixPath("file.wav")).code == "target.conflict"
    assert names_below(scene.root) == ["File.WAV"]


def test_a_link_under_the_final_name(scene: Scene, sample: MakeSample, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"not ours")
    for number, leads_to in enumerate((str(tmp_path / "elsewhere"), "nowhere", "..")):
        (scene.root / str(number)).symlink_to(leads_to)
        error = failure(scene.target(), sample(b"x"), PurePosixPath(str(number)))
        assert (error.code, type(error)) == ("target.conflict", PermanentError), (leads_to, error)
        assert (scene.root / str(number)).is_symlink()
    assert (tmp_path / "elsewhere").read_bytes() == b"not ours"


def test_a_file_in_the_way_of_a_folder(scene: Scene, sample: MakeSample) -> None:
    (scene.root / "2026").write_bytes(b"")
    error = failure(scene.target(), sample(b"x"))
    assert error.code in {"target.denied", "target.conflict"}


@pytest.mark.parametrize("moment", [0, 2**33, -(2**33), 253402300799, 2**40])
def test_times_beyond_all_measure(scene: Scene, sample: MakeSample, moment: int) -> None:
    put(scene.target(), sample(b"x"))
    try:
        os.utime(scene.root / PATH, (moment, moment))
    except OSError:
        os.utime(scene.root / PATH, (2**34 - 1, 2**34 - 1))
    found = scene.target().stat(PATH)
    assert found is not None
    assert found.modified_at is None or found.modified_at.tzinfo is not None
    put(scene.target(), sample(b"x"))


@pytest.mark.parametrize("clock", ["-9y", "+5y"])
def test_a_server_whose_clock_is_wrong(tmp_path: Path, sample: MakeSample, clock: str) -> None:
    with scene_of(SambaServer(tmp_path / "smb", clock=clock)) as scene:
        put(scene.target(), sample(b"x"))
        (scene.root / PATH.parent / part_name(PATH.name, sample(b"y").sha256)).write_bytes(b"")
        found = scene.target().stat(PATH)
        assert found is not None
        assert found.modified_at is not None
        assert abs((found.modified_at - datetime.now(UTC)).days) > 365
        assert scene.target().delete(PATH)


# Other programs at the same files ------------------------------------------------------------------------


@contextmanager
def held(target: SmbTarget, path: PurePosixPath) -> Iterator[None]:
    """As a virus scanner or backup holds a file: shared with nobody."""
    session = target._take()
    file = Open(session._tree, target._name(session.root, path))
    file.create(
        2, FilePipePrinterAccessMask.FILE_READ_DATA, 0, 0, CreateDisposition.FILE_OPEN_IF,
        CreateOptions.FILE_NON_DIRECTORY_FILE,
    )  # fmt: skip
    try:
        yield
    finally:
        file.close()
        target._give_back(session)


def test_a_part_file_that_somebody_holds(scene: Scene, sample: MakeSample) -> None:
    one, path = sample(b"whole"), PurePosixPath("file")
    with held(scene.target(), path.with_name(part_name(path.name, one.sha256))):
        error = failure(scene.target(), one, path)
        assert (error.code, type(error)) == ("target.locked", TransientError)
        assert "another program" in error.sentence
    put(scene.target(), one, path)
    assert names_below(scene.root) == ["file"]


def test_a_final_file_that_somebody_holds(scene: Scene, sample: MakeSample) -> None:
    one = sample(b"whole")
    put(scene.target(), one)
    with held(scene.target(), PATH):
        assert failure(scene.target(), one).code == "target.locked"
        with pytest.raises(TransientError):
            scene.target().delete(PATH)
    put(scene.target(), one)


def test_the_rename_overwrites_nothing(scene: Scene, sample: MakeSample) -> None:
    """Somebody else's file appears between the look and the rename."""
    one = sample(b"ours")

    def appear(step: Step) -> None:
        if step is Step.RENAME:
            (scene.root / PATH).write_bytes(b"theirs")

    with watched(appear):
        error = failure(scene.target(), one)
    assert error.code == "target.conflict"
    assert (scene.root / PATH).read_bytes() == b"theirs"


# DFS -----------------------------------------------------------------------------------------------------


def link(server: SambaServer, name: str, *targets: str) -> None:
    (server.namespace / name).symlink_to("msdfs:" + ",".join(targets))


def test_a_folder_behind_a_dfs_link(scene: Scene, sample: MakeSample) -> None:
    (scene.root / "deeper").mkdir()
    link(scene.server, "recordings", f"{HOST}\\{SHARE}")
    one = sample(os.urandom(2_000_000))
    put(scene.target(share=DFS_SHARE, folder="recordings/root/deeper"), one)
    assert (scene.root / "deeper" / PATH).read_bytes() == one.path.read_bytes()
    assert names_below(scene.root / "deeper") == [str(PATH)]
    target = scene.target(share=DFS_SHARE, folder="recordings/made")
    assert failure(target, one).code == "target.missing"
    target.prepare()
    put(target, one)
    assert (scene.server.folder / "made" / PATH).exists()


def test_a_folder_in_the_dfs_root_itself(scene: Scene, sample: MakeSample) -> None:
    one = sample(b"x")
    for folder in ("", "here"):
        target = scene.target(share=DFS_SHARE, folder=folder)
        target.prepare()
        put(target, one)
        assert (scene.server.namespace / folder / PATH).read_bytes() == b"x"
        put(target, one)
        assert target.delete(PATH)


def test_a_dfs_link_whose_first_server_is_dead(scene: Scene, sample: MakeSample) -> None:
    link(scene.server, "recordings", f"127.9.9.9\\{SHARE}", f"{HOST}\\{SHARE}")
    put(scene.target(share=DFS_SHARE, folder="recordings/root"), sample(b"x"))
    assert (scene.root / PATH).exists()


def test_dfs_links_that_lead_in_a_circle_or_nowhere(scene: Scene, sample: MakeSample) -> None:
    link(scene.server, "circle", f"{HOST}\\{DFS_SHARE}\\circle2")
    link(scene.server, "circle2", f"{HOST}\\{DFS_SHARE}\\circle")
    link(scene.server, "nowhere", f"{HOST}\\no such share")
    for folder in ("circle", "nowhere", "no link"):
        error = failure(scene.target(share=DFS_SHARE, folder=folder), sample(b"x"))
        assert (error.code, type(error)) == ("target.missing", PermanentError), folder


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
    assert isinstance(other._idle[0]._connection, SmbConnection)
