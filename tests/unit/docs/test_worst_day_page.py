"""The page for the worst day, typed in: on hosts whose folders stand for those of the page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ari_recorder.evidence.verify import verify
from ari_recorder.model.recording import State
from tests.unit.cli.conftest import dead, foreign_keyring, host, keyring
from tests.unit.cli.spool_host import Host, until
from tests.unit.cli.test_spool_commands import BLOCKED
from tests.unit.cli.test_spool_orphans import leave_legs

from .pages import page

__all__ = ["dead", "foreign_keyring", "host", "keyring"]

(LOOK, ADOPT, RESCUED, MISSING, ANEW, LOST, BOTH, WAITING, EXPORT, TARGET, AGAIN, BY_HAND, ORPHANS, STUCK) = (
    page("docs/howto/worst-day.md").examples("sh")
)


@dataclass(frozen=True)
class Desk:
    """Where somebody sits on that day."""

    host: Host
    folder: Path
    dead: Path = Path("/nonexistent")

    def type(self, text: str, recording: str = "ID", status: int = 0) -> str:
        here = self.host.folder
        for shown, meant in (
            ("/mnt/dead/var/spool/asterisk/recording", self.dead / "asterisk"),
            ("/mnt/dead/var/lib/ari-recorder", self.dead / "state"),
            ("/mnt/dead/var/spool/ari-recorder", self.dead / "spool"),
            ("/mnt/rescued/20261121T225046123-7f3a9c1b", self.dead / "spool" / recording),
            ("/var/lib/ari-recorder", here / "state"),
            ("/var/spool/ari-recorder", here / "spool"),
            ("/srv/archive", here / "archive"),
            ("/root", self.folder),
        ):
            text = text.replace(shown, str(meant))
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ARI_RECORDER_CONFIG": str(self.host.config),
        }
        script = text.replace("/ID", f"/{recording}").replace(" ID", f" {recording}")
        done = subprocess.run(
            ["sh", "-ec", script], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def desk(host: Host, dead: Host, tmp_path: Path) -> Desk:
    (tmp_path / "root").mkdir()
    host.archive.mkdir()
    return Desk(host, tmp_path / "root", dead.folder)


def test_looking_and_the_dead_host(desk: Desk, dead: Host) -> None:
    dead.sealed("r-1")
    dead.captured("r-2", state=State.CAPTURING, legs=False)
    assert "2 recording(s) taken over, 0 refused" in desk.type(ADOPT)
    assert "r-2" in desk.type(LOOK, "r-1")
    with desk.host.recorder():
        until(lambda: desk.host.delivered() == {"r-1", "r-2"}, desk.host.log)
        until(lambda: not desk.host.ids(), desk.host.log)
    report = verify([desk.host.archive])
    assert report.ok, report.findings
    assert len(report.signers) == 2


def test_the_rescued_folder_and_what_is_missing_for_good(desk: Desk, dead: Host) -> None:
    dead.captured("r-9")
    assert "1 recording(s) taken over" in desk.type(RESCUED, "r-9")
    assert not (dead.spool.root / "r-9").exists()
    lost = desk.host.sealed("r-1")
    with desk.host.recorder():
        until(lambda: not desk.host.ids(), desk.host.log)
    assert not lost.path.exists()
    desk.type(MISSING)
    shutil.rmtree(desk.host.sealed("r-2").path)  # the disk died before it was delivered
    assert "missing" in desk.type(MISSING, status=1)


def test_a_log_that_is_too_old_and_a_new_chain(desk: Desk) -> None:
    host, log = desk.host, desk.host.folder / "state/chain.jsonl"
    host.sealed("r-1")
    yesterday = log.read_bytes()
    host.sealed("r-2")
    with host.recorder():
        until(lambda: not host.ids(), host.log)
    log.write_bytes(yesterday)
    assert "is not in the chain's log" in desk.type(MISSING, status=1)
    old = host.keys.fingerprint
    desk.type(ANEW)
    host.captured("r-3")
    with host.recorder():
        until(lambda: host.delivered() == {"r-1", "r-2", "r-3"}, host.log)
        until(lambda: not host.ids(), host.log)
    assert host.keys.fingerprint != old
    assert "3 of 3 recording(s) intact" in desk.type(MISSING)


def test_the_lost_key(desk: Desk) -> None:
    host = desk.host
    host.sealed("r-1")
    old = host.keys.fingerprint
    with host.recorder():
        until(lambda: not host.ids(), host.log)
    (host.folder / "state/seal/key.pem").unlink()
    refused = host.run_command("run")
    assert refused.returncode == 3
    assert "move the old certificate away" in refused.stderr
    desk.type(LOST)
    host.captured("r-2")
    with host.recorder():
        until(lambda: host.delivered() == {"r-1", "r-2"}, host.log)
        until(lambda: not host.ids(), host.log)
    assert host.keys.fingerprint != old
    told = desk.type(BOTH)
    assert "2 of 2 recording(s) intact" in told
    assert told.count("1 signature(s)") == 2
    # Whoever has the old certificate only can still verify what was sealed with it.
    report = verify([host.archive], certificate=desk.folder / "ari-recorder-old.crt", part=True)
    assert report.intact == 1


def test_the_lost_target_the_export_and_what_is_tried_again(desk: Desk) -> None:
    host = desk.host
    host.changed(host.sealed("r-1"), state=State.DELIVERING, deliveries=(BLOCKED,))
    desk.type(WAITING.splitlines()[1], status=1)
    assert "1 of 1 recording(s) intact" in desk.type(EXPORT, "r-1")
    assert len(list((desk.folder / "handed-out").iterdir())) == 1
    desk.type(AGAIN, "r-1")
    assert "1 recording(s) will be tried" not in desk.type(TARGET)  # it is due already
    with host.recorder():
        until(lambda: not host.ids(), host.log)


def test_the_lost_journal(desk: Desk) -> None:
    host = desk.host
    leave_legs(host, "20261121T225046123-7f3a9c1b")
    assert "is taken in" in desk.type(ORPHANS, "20261121T225046123-7f3a9c1b")
    assert host.ids() == ["20261121T225046123-7f3a9c1b"]


def test_the_damaged_journal(desk: Desk) -> None:
    folder = desk.host.sealed("r-1")
    _ = desk.host.keys
    journal = folder.path / "recording.json"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:700])
    assert "1 of 1 recording(s) intact" in desk.type(BY_HAND, "r-1")
    with desk.host.recorder():
        until(lambda: "spool.damaged" in desk.host.actions(), desk.host.log)
        assert journal.read_bytes() == whole[:700]
        journal.write_bytes(whole)
        desk.type(STUCK, "r-1")
        until(lambda: not desk.host.ids(), desk.host.log)
    assert verify([desk.host.archive]).ok
