"""Deliveries to a real OpenSSH server that dies, freezes and comes back, beside a folder that does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ari_recorder.evidence.verify import verify
from ari_recorder.lab.recorder import Recorder
from ari_recorder.lab.sftpd import SftpServer
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.delivery import Delivery
from ari_recorder.model.recording import Call, Chosen, Leg, Recording, Segment, State
from ari_recorder.spool.folders import Spool
from ari_recorder.targets.base import is_part

from .cable import NoPbx
from .scene import assert_clean, policy
from .vault import vault_policy

BIG = 64 << 20
"""Bytes of each leg of a prepared recording: 70 minutes, and as much again once they are assembled."""
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def recorder(tmp_path: Path, sftp_server: SftpServer) -> Iterator[Recorder]:
    """Configured for archive and vault, not started; its log must be clean in the end."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "recording").mkdir()
    (tmp_path / "sounds").mkdir()
    nothing = NoPbx(tmp_path / "recording", tmp_path / "sounds" / "ari-recorder")
    rules = policy(more=vault_policy(sftp_server), targets='["archive", "vault"]')
    made = Recorder(tmp_path, nothing, rules)  # type: ignore[arg-type]
    made.configure()
    yield made
    made.close()
    assert_clean(made)


def prepare(recorder: Recorder, *sizes: int, targets: tuple[str, ...] = ("archive", "vault")) -> None:
    """Recordings whose calls are over, with legs of so many bytes, as a killed recorder leaves them."""
    with Spool(recorder.spool) as spool:
        for number, size in enumerate(sizes, 1):
            recording = captured(f"20261121T12000{number}000-0000000{number}", size, targets)
            folder = spool.create(recording)
            for side in ("remote", "local"):
                leg = folder.legs / f"1-{side}.sln"
                leg.write_bytes(bytes([number, 0]) * (size // 2))


def captured(identity: str, size: int, targets: tuple[str, ...] = ("archive", "vault")) -> Recording:
    began = NOW + timedelta(seconds=1)
    leg = Leg("ari-recorder/x/1", "x", began, began, began + timedelta(seconds=size / 16000), size)
    segment = Segment(1, 8000, "alaw", "start", leg, leg)
    call = Call("lab", "1.1", Direction.INBOUND, Party("+4930123"), Party("1001"), created_at=NOW,
                answered_at=began, ended_at=leg.finished_at)  # fmt: skip
    setting = Chosen("everything", "r1", targets=targets)
    deliveries = tuple(Delivery(target) for target in setting.targets)
    made = Recording(identity, State.DECIDED, NOW, call, setting, segments=(segment,), deliveries=deliveries)
    return replace(made, state=State.CAPTURED)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def finished(folder: Path) -> list[str]:
    return [name for name in names(folder) if not is_part(name)]


def assert_both_whole(recorder: Recorder, server: SftpServer, count: int) -> None:
    """Both archives hold the same, each recording once; nothing torn, nothing left in the spool."""
    archive = recorder.folder / "archive"
    assert names(archive) == names(server.folder)
    assert len(names(archive)) == 5 * count + 1
    assert recorder.states() == []
    for place, target in ((archive, "archive"), (server.folder, "vault")):
        report = verify([place], certificate=recorder.certificate, chain_log=recorder.chain, target=target)
        assert report.ok, report.findings
        assert report.intact == count


def part_grows(server: SftpServer) -> bool:
    """Some of a large file, and not all of it, is on the server."""
    sizes = [p.stat().st_size for p in server.folder.rglob(".*.wav.*.part")]
    return any(0 < size < BIG for size in sizes)


def test_a_server_killed_in_mid_upload_gets_it_once_and_whole(
    recorder: Recorder, sftp_server: SftpServer
) -> None:
    prepare(recorder, BIG)
    recorder.start(connected=False)
    kill_in_mid_upload(recorder, sftp_server)
    assert not [name for name in finished(sftp_server.folder) if name.endswith(".wav")]
    recorder.wait_for("the torn delivery", lambda: delivery(recorder)["error_code"], limit=30)
    waiting = delivery(recorder)
    assert waiting["error_code"] in ("target.torn", "target.unreachable"), waiting
    assert waiting["state"] == "waiting"
    assert "vault" in waiting["error"]
    sftp_server.start()
    recorder.wait_delivered(1, limit=60)
    assert_both_whole(recorder, sftp_server, 1)


def delivery(recorder: Recorder, target: str = "vault") -> dict[str, str]:
    found = [d for r in recorder.journals() for d in r["deliveries"] if d["target"] == target]
    return found[0] if found else {"error_code": "", "state": ""}


def kill_in_mid_upload(recorder: Recorder, server: SftpServer) -> None:
    recorder.wait_for("a part of the upload", lambda: part_grows(server), limit=60)
    server.kill()


def test_one_target_down_the_other_gets_it_at_once_and_the_copy_stays(
    recorder: Recorder, sftp_server: SftpServer
) -> None:
    """Also over a restart, and nothing is sent to the archive a second time."""
    prepare(recorder, 32000, 64000)
    sftp_server.stop()
    archive = recorder.folder / "archive"
    recorder.start(connected=False)
    recorder.wait_for("two deliveries to the archive", lambda: len(list(archive.rglob("*.sig"))) == 2)
    recorder.wait_for("a failure of the vault", lambda: delivery(recorder)["error_code"])
    assert delivery(recorder)["error_code"] == "target.unreachable"
    assert [s for s in recorder.states() if s != "delivering"] == []
    assert len(recorder.states()) == 2
    inodes = {path: path.stat().st_ino for path in archive.rglob("*.*")}
    recorder.kill()
    recorder.start(connected=False)
    recorder.wait_for("another failure", lambda: int(delivery(recorder)["attempts"]) > 1)
    assert len(recorder.states()) == 2
    sftp_server.start()
    recorder.wait_delivered(2, limit=60)
    assert_both_whole(recorder, sftp_server, 2)
    assert inodes == {path: path.stat().st_ino for path in archive.rglob("*.*")}
    said = [line for line in recorder.lines() if line.get("action") == "delivery.failed"]
    assert {line["code"] for line in said} == {"target.unreachable"}
    assert all(line["next_try_at"] for line in said)


def test_the_recorder_is_killed_in_mid_upload(recorder: Recorder, sftp_server: SftpServer) -> None:
    prepare(recorder, BIG)
    recorder.start(connected=False)
    recorder.wait_for("a part of the upload", lambda: part_grows(sftp_server), limit=60)
    recorder.kill()
    assert not [name for name in finished(sftp_server.folder) if name.endswith(".wav")]
    recorder.start(connected=False)
    recorder.wait_delivered(1, limit=60)
    assert_both_whole(recorder, sftp_server, 1)


def test_a_frozen_server_holds_up_nobody_else(recorder: Recorder, sftp_server: SftpServer) -> None:
    prepare(recorder, 32000)
    sftp_server.freeze()
    try:
        recorder.start(connected=False)
        archive = recorder.folder / "archive"
        recorder.wait_for("the delivery to the archive", lambda: list(archive.rglob("*.sig")))
        recorder.wait_for("the vault's time-out", lambda: delivery(recorder)["error_code"], limit=20)
        assert delivery(recorder)["error_code"] == "target.unreachable"
    finally:
        sftp_server.thaw()
    recorder.wait_delivered(1, limit=60)
    assert_both_whole(recorder, sftp_server, 1)
