"""`target test` where something is wrong: every fault on the real thing, and what a person is told of it."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ari_recorder.config import targets as config
from ari_recorder.disk import faults
from ari_recorder.lab.ports import HOST
from ari_recorder.lab.sftpd import SftpServer
from ari_recorder.targets import trial
from ari_recorder.targets.base import Target
from ari_recorder.targets.steps import Step
from ari_recorder.targets.trial import Report, Taken, Watcher

from .conftest import RIGS
from .mounts import mount, quota_disk, unmount
from .private_sshd import PrivateSshd
from .rig import Rig
from .rig_sftp import password_settings, sftp_settings


class Log(Watcher):
    def __init__(self) -> None:
        self.begun: list[Step] = []
        self.ended: list[Step] = []

    def begins(self, step: Step) -> None:
        self.begun.append(step)

    def ends(self, taken: Taken) -> None:
        assert taken.seconds >= 0
        self.ended.append(taken.step)


def fault(report: Report, symptom: str, code: str | None = None) -> str:
    """What the report says and recommends; the symptom must be the wanted one."""
    assert report.fault is not None, report
    assert report.fault.symptom == symptom, report.fault
    assert code is None or report.fault.code == f"target.{code}"
    assert report.fault.says
    assert report.fault.remedy
    assert "`" not in report.fault.remedy
    return f"{report.fault.sentence} {report.fault.remedy}"


# Every kind -----------------------------------------------------------------------------------------------


def test_a_target_that_works(rig: Rig) -> None:
    log = Log()
    report = trial.run(rig.settings(), log)
    assert report.works, report.fault
    assert report.warnings == ()
    steps = {taken.step for taken in report.steps}
    assert steps == {Step.CONNECT, *rig.steps, Step.FETCH, Step.DELETE}
    assert log.begun == log.ended == [taken.step for taken in report.steps]
    assert list(log.begun) == sorted(log.begun, key=list(Step).index)
    assert rig.names() == []


@pytest.mark.provokes("clock-off")
def test_a_clock_that_is_wrong_is_a_warning(rig: Rig) -> None:
    for days, word in ((3, "behind"), (-3, "ahead of")):
        ours = datetime.now(UTC) + timedelta(days=days)
        report = trial.run(rig.settings(), clock=partial(max, ours, ours))
        assert report.works
        (warning,) = report.warnings
        assert warning.symptom == "clock-off"
        assert f"3 days {word}" in warning.sentence


@pytest.mark.provokes("folder-missing")
def test_a_root_that_is_gone_and_made_when_asked_to(rig: Rig) -> None:
    rig.remove_root()
    fault(trial.run(rig.settings()), "folder-missing", "missing")
    assert not rig.root_exists
    assert trial.run(rig.settings(), prepare=True).works
    assert rig.root_exists


@pytest.mark.parametrize("rig", [k for k, r in RIGS.items() if r.networked], indirect=True)
def test_servers_that_refuse_freeze_or_are_gone(rig: Rig) -> None:
    settings = rig.settings(timeout=1.5)
    rig.freeze()
    report = trial.run(settings)
    rig.thaw()
    assert report.fault is not None
    assert report.fault.symptom in {"frozen", "no-answer"}
    rig.kill()
    report = trial.run(settings)
    assert report.fault is not None
    assert report.fault.symptom in {"refused", "torn"}  # torn: the listener goes a moment after the server
    rig.start()
    assert trial.run(settings).works
    assert [name for name in rig.names() if not name.endswith((".tmp", ".part"))] == []


# One by one, on OpenSSH -----------------------------------------------------------------------------------


def made_for(server: SftpServer, folder: Path, **changes: object) -> config.SftpTarget:
    (server.folder / "root").mkdir(exist_ok=True)
    return sftp_settings(server, folder / "known_hosts", **changes)


@pytest.mark.provokes("name-unknown")
def test_a_name_that_cannot_be_resolved(sftp_server: SftpServer, tmp_path: Path) -> None:
    report = trial.run(made_for(sftp_server, tmp_path, host="no-such-host.invalid"))
    assert "getent hosts" in fault(report, "name-unknown", "unreachable")


@pytest.mark.provokes("refused")
def test_nothing_listens_there(sftp_server: SftpServer, tmp_path: Path) -> None:
    fault(trial.run(made_for(sftp_server, tmp_path, port=1)), "refused", "unreachable")


@pytest.mark.parametrize(
    ("number", "symptom"),
    [(errno.EHOSTUNREACH, "no-route"), (errno.ENETUNREACH, "no-route"), (errno.ETIMEDOUT, "no-answer")],
)
@pytest.mark.provokes
def test_no_way_there(
    sftp_server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, symptom: str
) -> None:
    """What the system says when packets come back or are dropped; routes are not this test's to change."""

    def nowhere(*_words: object, **_more: object) -> socket.socket:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "create_connection", nowhere)
    fault(trial.run(made_for(sftp_server, tmp_path)), symptom, "unreachable")


@pytest.mark.provokes("wrong-service")
def test_another_service(sftp_server: SftpServer, tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as listener:
        settings = made_for(sftp_server, tmp_path, port=listener.getsockname()[1], timeout=2.0)
        with answering(listener, b"HTTP/1.1 400 Bad Request\r\n\r\n"):
            fault(trial.run(settings), "wrong-service", "unreachable")


@contextmanager
def answering(listener: socket.socket, greeting: bytes) -> Iterator[None]:

    def serve() -> None:
        try:
            while True:
                with listener.accept()[0] as client:
                    client.sendall(greeting)
                    client.recv(1000)
        except OSError:
            return

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.mark.provokes("host-key-unknown", "host-key-changed")
def test_host_keys(sftp_server: SftpServer, tmp_path: Path) -> None:
    settings = made_for(sftp_server, tmp_path)
    known = tmp_path / "known_hosts"
    known.write_text("")
    assert "target trust" in fault(trial.run(settings), "host-key-unknown", "host-key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    known.write_text(f"[{HOST}]:{sftp_server.port} {(tmp_path / 'other.pub').read_text()}")
    assert "--replace" in fault(trial.run(settings), "host-key-changed", "host-key-changed")


@pytest.mark.provokes("passphrase", "key-refused", "key-unreadable", "login-refused", "secret-unreadable")
def test_logins(sftp_server: SftpServer, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(key)], check=True)

    def tried(**changes: object) -> Report:
        return trial.run(made_for(sftp_server, tmp_path, **changes))

    fault(tried(key_file=key), "passphrase", "key")
    fault(tried(key_file=key, passphrase="wrong"), "passphrase", "key")
    assert "authorized_keys" in fault(tried(key_file=key, passphrase="secret"), "key-refused", "login")
    fault(tried(key_file=tmp_path / "none"), "key-unreadable", "key")
    fault(tried(key_file=None, password="x"), "login-refused", "login")
    report = tried(key_file=None, password_file=tmp_path / "none")
    fault(report, "secret-unreadable")
    assert report.fault is not None
    assert report.fault.step is Step.LOGIN


@pytest.mark.parametrize(
    ("options", "symptom", "step"),
    [
        ("-P write", "not-writable", Step.WRITE),
        ("-R", "not-writable", Step.WRITE),
        ("-P rename,posix-rename", "cannot-rename", Step.RENAME),
        ("-P remove", "cannot-delete", Step.DELETE),
        ("-P read", "cannot-read", Step.READ_BACK),
    ],
)
@pytest.mark.provokes
def test_rights_that_lack(
    sftp_server: SftpServer, tmp_path: Path, options: str, symptom: str, step: Step
) -> None:
    settings = made_for(sftp_server, tmp_path)
    restrict(sftp_server, options)
    report = trial.run(settings)
    fault(report, symptom, "denied")
    assert report.fault is not None
    assert report.fault.step is step


def restrict(server: SftpServer, options: str) -> None:
    """Start the server again with options of sftp-server(8)."""
    server.stop()
    path = server.home / "sshd_config"
    text = path.read_text()
    path.write_text(text.replace("ForceCommand internal-sftp", f"ForceCommand internal-sftp {options}"))
    server.start()


def test_a_server_without_posix_rename(sftp_server: SftpServer, tmp_path: Path) -> None:
    restrict(sftp_server, "-P posix-rename,hardlink,fsync,statvfs")
    assert trial.run(made_for(sftp_server, tmp_path)).works


def test_a_server_with_posix_rename_only(sftp_server: SftpServer, tmp_path: Path) -> None:
    restrict(sftp_server, "-P rename")
    assert trial.run(made_for(sftp_server, tmp_path)).works


@pytest.mark.provokes("quota")
def test_a_quota_behind_sftp(sftp_server: SftpServer, tmp_path: Path) -> None:
    settings = made_for(sftp_server, tmp_path)
    with quota_disk(sftp_server.folder / "root", tmp_path / "image", "512k"):
        sftp_server.stop()
        sftp_server.start()  # so that it sees the disk
        assert "quota" in fault(trial.run(settings), "quota", "full")


@pytest.mark.provokes("full")
def test_a_full_disk_behind_sftp(tmp_path: Path) -> None:
    with PrivateSshd(tmp_path / "private", disk="512k") as server:
        fault(trial.run(password_settings(server)), "full", "full")


@pytest.mark.provokes("read-only")
def test_a_read_only_disk_behind_sftp(tmp_path: Path) -> None:
    with PrivateSshd(tmp_path / "private", disk="2m,ro") as server:
        fault(trial.run(password_settings(server)), "read-only", "denied")


# One by one, on a folder ----------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount(place, "-t", "tmpfs", "-o", "size=16m", "none")
    yield place
    if os.path.ismount(place):
        unmount(place, lazily=True)


def local(folder: Path, **more: object) -> config.LocalTarget:
    return config.LocalTarget.model_validate({"kind": "local", "name": "a", "folder": folder, **more})


def test_a_read_only_disk(disk: Path) -> None:
    mount(disk, "-o", "remount,ro")
    fault(trial.run(local(disk)), "read-only", "denied")


@pytest.mark.provokes("not-mounted")
def test_a_disk_that_is_not_mounted(disk: Path) -> None:
    unmount(disk)
    assert f"mount {disk}" in fault(trial.run(local(disk, mount=disk)), "not-mounted", "not-mounted")
    said = fault(trial.run(local(disk, marked=True)), "not-mounted", "not-mounted")
    assert "ari-recorder target test --prepare a" in said
    assert list(disk.iterdir()) == []


@pytest.mark.provokes("unguarded")
def test_a_disk_of_its_own_that_nothing_guards_is_a_warning(disk: Path, tmp_path: Path) -> None:
    """While it is mounted: once it is not, the empty folder beneath takes and confirms everything."""
    (disk / "archive").mkdir()
    (tmp_path / "link").symlink_to(disk / "archive")
    report = trial.run(local(disk / "archive"), own=tmp_path)
    assert report.works
    (warning,) = report.warnings
    assert warning.symptom == "unguarded"
    assert f'mount = "{disk}"' in warning.remedy
    (warning,) = trial.run(local(tmp_path / "link"), own=tmp_path).warnings
    assert "marked = true" in warning.remedy
    assert trial.run(local(disk / "archive", mount=disk), own=tmp_path).warnings == ()
    assert trial.run(local(disk / "archive", marked=True), own=tmp_path, prepare=True).warnings == ()
    assert trial.run(local(disk / "archive"), own=disk / "state").warnings == ()
    assert trial.run(local(tmp_path), own=disk / "state").warnings == ()
    unmount(disk)
    assert trial.run(local(disk), own=tmp_path).warnings == ()


def test_a_full_folder(disk: Path) -> None:
    with (disk / "fill").open("wb") as stream, pytest.raises(OSError, match="space"):
        stream.write(bytes(17_000_000))
    fault(trial.run(local(disk)), "full", "full")


@pytest.mark.provokes("quota")
def test_a_quota(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    with quota_disk(place, tmp_path / "image", "512k"):
        assert shutil.disk_usage(place).free > 10 * trial.SIZE
        fault(trial.run(local(place)), "quota", "full")
        assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "symptom"), [(errno.EDQUOT, "quota"), (errno.ENOSPC, "full"), (errno.EROFS, "read-only")]
)
@pytest.mark.provokes
def test_what_the_disk_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, symptom: str
) -> None:
    def fail(point: str) -> None:
        if point == "local.chunk":
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(faults, "hook", fail)
    fault(trial.run(local(tmp_path)), symptom)


@pytest.mark.provokes("changed-bytes")
def test_bytes_that_are_changed_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(point: str) -> None:
        if point == "local.synced":
            for part in tmp_path.glob(".*.part"):
                part.write_bytes(b"changed")

    monkeypatch.setattr(faults, "hook", spoil)
    fault(trial.run(local(tmp_path)), "changed-bytes", "mismatch")


def test_a_test_file_that_comes_back_changed_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = local(tmp_path)
    monkeypatch.setattr(trial, "digest", lambda _stream: ("0" * 64, trial.SIZE))
    fault(trial.run(settings), "changed-bytes", "mismatch")
    assert settings.folder is not None
    assert list(settings.folder.iterdir()) == []


@pytest.mark.provokes("frozen")
def test_a_folder_that_hangs_does_not_hang_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    thaw = threading.Event()
    monkeypatch.setattr(faults, "hook", lambda point: thaw.wait(20) if point == "local.opened" else None)
    report = trial.run(local(tmp_path), patience=0.5)
    fault(report, "frozen", "unreachable")
    assert [taken.step for taken in report.steps] == [Step.CONNECT]
    thaw.set()


@pytest.mark.provokes("incomplete", "disabled")
def test_incomplete_and_switched_off(tmp_path: Path) -> None:
    nowhere = config.LocalTarget(kind="local", name="a")
    assert "Missing: folder" in fault(trial.run(nowhere), "incomplete", "incomplete")
    fault(trial.run(local(tmp_path, enabled=False)), "disabled", "disabled")


def test_a_fault_of_ours_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_words: object) -> Target:
        raise RuntimeError("oh")

    monkeypatch.setattr(trial, "make_target", broken)
    assert "RuntimeError: oh" in fault(trial.run(local(tmp_path)), "other", "fault")
