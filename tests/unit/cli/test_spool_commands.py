"""The tools for the worst day: list, show, retry, adopt, export, with and without a recorder that runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ari_recorder.disk.faults import TOOLS
from ari_recorder.evidence.verify import verify
from ari_recorder.model.delivery import Delivery, DeliveryState
from ari_recorder.model.recording import ADOPTED, Note, State
from ari_recorder.spool.adoption import Adoption
from ari_recorder.spool.places import Spools
from ari_recorder.targets.paths import base_name

from .spool_host import Host, until

BLOCKED = Delivery(
    "archive",
    "2026",
    DeliveryState.BLOCKED,
    attempts=3,
    next_try_at=datetime.now(UTC) + timedelta(hours=1),
    error_code="target.denied",
    error="It refused.",
)


def blocked(host: Host, own: str) -> None:
    host.changed(host.sealed(own), state=State.DELIVERING, deliveries=(BLOCKED,))


# List and show ---------------------------------------------------------------------------------------------


def test_the_spool_is_listed_and_chosen_from(host: Host) -> None:
    host.captured("r-1", state=State.CAPTURING)
    host.changed(host.captured("r-2"), state=State.FAILED, reason="No audio.\x1b[31m [capture.no-legs]")
    host.sealed("r-3")
    blocked(host, "r-4")
    host.captured("r-5", "vault")
    document = host.told("spool", "list", status=1)
    assert [r["id"] for r in document["recordings"]] == ["r-1", "r-2", "r-3", "r-4", "r-5"]
    assert [r["stuck"] for r in document["recordings"]] == [False, True, False, True, False]

    def ids(*words: str, status: int = 0) -> list[str]:
        return [r["id"] for r in host.told("spool", "list", *words, status=status)["recordings"]]

    assert ids("--state", "sealed") == ["r-3"]
    assert ids("--stuck", status=1) == ["r-2", "r-4"]
    assert ids("--target", "vault") == ["r-5"]
    assert ids("--since", "2026-11-23") == []
    assert ids("--since", "2026-11-20", "--state", "captured") == ["r-5"]
    text = host.ask("spool", "list").output
    assert "+4930123456 → 1001" in text
    assert "● recording" in text
    assert "✗ archive" in text
    assert text.count("It refused.") == 1, "the reason stands below the table, once"
    assert "\x1b[31m" not in text
    assert "Nothing in the spool is so." in host.ask("spool", "list", "--state", "refused").output


def test_of_many_the_newest_are_shown_and_the_others_counted(host: Host) -> None:
    for number in range(5):
        host.captured(f"r-{number}")
    text = host.ask("spool", "list", "--limit", "2").output
    assert "r-4" in text
    assert "r-3" in text
    assert "r-2" not in text
    assert "3 older ones were not looked at" in text
    assert "r-0" in host.ask("spool", "list", "--limit", "0").output


def test_what_cannot_be_read_is_named(host: Host) -> None:
    folder = host.sealed("r-1")
    path = folder.path / "recording.json"
    path.write_bytes(path.read_bytes()[:900])
    assert "r-1" in host.told("spool", "list", status=1)["damaged"]
    assert host.told("spool", "show", "r-1", status=5)["error"]["code"] == "spool.damaged"


def test_one_recording_is_shown_whole(host: Host) -> None:
    blocked(host, "r-1")
    text = host.ask("spool", "show", "r-1").output
    for words in ("+4930123456", "blocked in 2026", "3 attempt(s)", "next try", "It refused.", ".wav", ".sig",
                  "recording.json", "8000 Hz"):  # fmt: skip
        assert words in text, words
    document = host.told("spool", "show", "r-1")
    assert document["recording"]["deliveries"][0]["error_code"] == "target.denied"
    assert document["files"]["recording.json"] > 1000
    assert host.told("spool", "show", "r-9", status=5)["error"]["code"] == "spool.no-recording"
    assert host.told("spool", "show", "../r-1", status=5)["error"]["code"] == "spool.no-recording"


# Retry -----------------------------------------------------------------------------------------------------


def test_without_a_recorder_everything_is_due_at_its_start(host: Host) -> None:
    blocked(host, "r-1")
    host.changed(host.captured("r-2"), state=State.FAILED, reason="No. [capture.no-legs]")
    assert "1 recording(s) will be tried" in host.told("spool", "retry", "--target", "archive")["sentence"]
    first = host.spool.get("r-1")
    assert first is not None
    assert first.load().deliveries == (replace(BLOCKED, state=DeliveryState.WAITING, next_try_at=None),)
    assert "1 recording(s)" in host.told("spool", "retry", "r-2")["sentence"]
    second = host.spool.get("r-2")
    assert second is not None
    assert second.load().state is State.CAPTURED
    assert "Nothing waits" in host.told("spool", "retry", "--all")["sentence"]


def test_a_damaged_journal_is_not_said_to_be_tried_again(host: Host) -> None:
    blocked(host, "r-1")
    (host.sealed("r-2").path / "recording.json").write_text("{")
    assert host.told("spool", "retry", "r-2", status=5)["error"]["code"] == "spool.damaged"
    said = host.ask("spool", "retry", "--all")
    assert said.exit_code == 0
    assert "1 recording(s) will be tried" in said.output
    assert "! r-2: " in said.output


def test_what_is_meant_must_be_said_and_be_there(host: Host) -> None:
    host.captured("r-1")
    assert host.told("spool", "retry", "r-1", "r-9", status=5)["error"]["code"] == "spool.no-recording"
    assert host.told("spool", "retry", "--target", "archiv", status=3)["error"]["code"] == "config.reference"
    for words in ((), ("r-1", "--all"), ("--all", "--target", "a")):
        assert host.ask("spool", "retry", *words).exit_code == 2


def conditions(host: Host) -> set[str]:
    return {condition["key"] for condition in host.told("status", status=1)["conditions"]}


def test_the_running_recorder_is_asked(host: Host) -> None:
    """A target whose folder is not there, and a recording that could not be assembled, both mended."""
    host.sealed("r-1")
    folder = host.captured("r-2")
    legs = list(folder.legs.iterdir())
    aside = host.folder / "aside"
    aside.mkdir()
    for path in legs:
        path.rename(aside / path.name)
    (host.folder / "asterisk/ari-recorder").mkdir()
    with host.recorder():
        until(lambda: (f := host.spool.get("r-2")) and f.load().state is State.FAILED, host.log)
        until(lambda: "delivery.blocked" in host.actions(), host.log)
        until(lambda: {"target:archive", "recording:r-2"} <= conditions(host), host.log)
        assert host.told("status", status=1)["targets"][0]["waiting"] == 1
        host.archive.mkdir()
        for path in aside.iterdir():
            path.rename(folder.legs / path.name)
        assert "tried again now" in host.told("spool", "retry", "--target", "archive")["sentence"]
        until(lambda: host.delivered() == {"r-1"}, host.log)
        assert host.told("spool", "retry", "r-2")["outcome"] == "done"
        until(lambda: host.delivered() == {"r-1", "r-2"}, host.log)
        until(lambda: not host.ids(), host.log)
        until(lambda: not {"target:archive", "recording:r-2"} & conditions(host), host.log)
    assert verify([host.archive]).ok


def test_evidence_that_is_not_what_it_was_is_shown_as_stuck_until_it_is_mended(host: Host) -> None:
    host.archive.mkdir()
    folder = host.captured("r-2")
    stray = folder.path / f"{base_name(folder.load())}.sig"
    stray.write_bytes(b"who put this here?")
    with host.recorder():
        until(lambda: any(n.what == "stuck" for n in folder.load().notes), host.log)
        document = host.told("status", status=1)
        (shown,) = document["recordings"]
        assert shown["stuck"]
        assert "seal.chain" in shown["reason"]
        until(lambda: "recording:r-2" in conditions(host), host.log)
        assert "seal.chain" in host.ask("spool", "list", "--stuck").output
        stray.unlink()
        assert host.told("spool", "retry", "r-2")["outcome"] == "done"
        until(lambda: host.delivered() == {"r-2"}, host.log)
    assert verify([host.archive]).ok


def test_a_recording_whose_pbx_was_renamed_is_stuck_and_told(host: Host) -> None:
    host.captured("r-1", state=State.CAPTURING)
    host.pbx = "old"
    folder = host.captured("r-2", state=State.CAPTURING)
    document = host.told("spool", "list", status=1)
    assert [(r["id"], r["stuck"]) for r in document["recordings"]] == [("r-1", False), ("r-2", True)]
    assert "Put [pbx.old] back" in host.ask("spool", "show", "r-2").output
    with host.recorder():
        until(lambda: "homeless:old" in conditions(host), host.log)
        document = host.told("status", status=1)
        assert document["stuck"] == 1
        (told,) = (one for one in document["conditions"] if one["key"] == "homeless:old")
        assert (told["code"], told["severity"]) == ("capture.no-pbx", "critical")
        assert "Put [pbx.old] back" in told["remedy"]
    assert folder.load().notes == (), "it goes on as if nothing had been when the PBX is back"


# A policy with other targets -------------------------------------------------------------------------------


def test_targets_are_exchanged_without_a_restart(host: Host, dead: Host) -> None:
    host.policy("archive")
    for own in ("r-1", "r-2"):
        host.sealed(own, "archive", "vault")
    host.archive.mkdir()
    with host.recorder() as recorder:
        until(lambda: host.delivered() == {"r-1", "r-2"}, host.log)
        until(lambda: host.told("status", status=1)["stuck"] == 2, host.log)
        (host.folder / "vault").mkdir()
        host.policy("archive", "vault")
        recorder.send_signal(signal.SIGHUP)
        until(lambda: not host.ids(), host.log)
        assert host.delivered("vault") == {"r-1", "r-2"}
        begin, end = (datetime.now() + timedelta(hours=hours) for hours in (6, 7))
        host.policy("vault", more=f'hours = ["{begin:%H:%M}-{end:%H:%M}"]')
        recorder.send_signal(signal.SIGHUP)
        until(lambda: "target.removed" in host.actions(), host.log)
        until(lambda: [t["name"] for t in host.told("status", status=1)["targets"]] == ["vault"], host.log)
        host.told("spool", "adopt", str(dead.captured("r-3", "vault").path))
        until(lambda: "waits for its hours, from" in host.ask("status").output, host.log)
        (host.folder / "policy.toml").write_text("[[target]]\nkind = 3\n", encoding="utf-8")
        recorder.send_signal(signal.SIGHUP)
        until(lambda: "policy.refused" in host.actions(), host.log)
        assert recorder.poll() is None
    assert host.actions().count("recorder.start") == 1


# Adopt -----------------------------------------------------------------------------------------------------


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_dead_hosts_spool_goes_on_here(host: Host, dead: Host, tmp_path: Path) -> None:
    foreign = dead.sealed("r-1")
    dead.captured("r-2")
    dead.captured("r-3", state=State.CAPTURING, legs=False)  # its call ran when the host died
    dead.changed(dead.captured("r-4"), state=State.FAILED, reason="No. [audio.leg]")
    dead.captured("r-5", state=State.REFUSED)
    before = tree(dead.folder / "spool")
    certificate = tmp_path / "foreign.crt"
    certificate.write_bytes(dead.keys.certificate_pem)
    host.archive.mkdir()
    with host.recorder():
        document = host.told(
            "spool", "adopt", str(dead.spool.root), "--recordings", str(dead.folder / "asterisk"),
            "--certificate", str(certificate), status=1,
        )  # fmt: skip
        assert document["adopted"] == ["r-1", "r-2", "r-3", "r-4"]
        (refused,) = document["refused"].values()
        assert "its call was refused" in refused
        assert document["certificates_missing"] == []
        until(lambda: host.delivered() == {"r-1", "r-2", "r-3", "r-4"}, host.log)
        until(lambda: not host.ids(), host.log)
    report = verify([host.archive])
    assert report.ok, report.findings
    assert sorted(signer.signatures for signer in report.signers) == [1, 3]
    assert tree(dead.folder / "spool") == before  # copied, nothing changed there
    sealed = {file.name: file.sha256 for file in foreign.load().sealed.files}  # type: ignore[union-attr]
    assert {p.name for p in host.archive.rglob("*")} >= sealed.keys()
    for path in host.archive.rglob("*.json"):
        content = json.loads(path.read_bytes())
        adopted = [note for note in content["notes"] if note["what"] == ADOPTED]
        assert bool(adopted) == (content["recording"]["id"] != "r-1")
        for note in adopted:
            assert str(dead.spool.root) in note["detail"]


def test_moving_removes_the_source_and_may_be_repeated(host: Host, dead: Host) -> None:
    dead.captured("r-1")
    source = dead.spool.root / "r-1"
    assert host.told("spool", "adopt", str(source))["adopted"] == ["r-1"]
    assert host.told("spool", "adopt", str(source))["adopted"] == ["r-1"]  # the same one again: no harm
    assert host.told("spool", "adopt", str(source), "--move")["adopted"] == ["r-1"]
    assert not source.exists()
    folder = host.spool.get("r-1")
    assert folder is not None
    assert [note.what for note in folder.load().notes] == [ADOPTED]
    assert host.told("spool", "adopt", str(source), status=5)["error"]["code"] == "spool.no-recording"


def test_what_must_not_be_taken_is_refused_with_a_sentence(host: Host, dead: Host, tmp_path: Path) -> None:
    host.captured("r-1")
    dead.captured("r-1")
    altered = dead.sealed("r-2")
    next(altered.path.glob("*.wav")).write_bytes(b"other sound")
    trap = dead.captured("r-3")
    (trap.legs / "passwd").symlink_to("/etc/passwd")
    copy = dead.captured("r-4")
    copy.path.rename(copy.path.with_name("r-5"))
    broken = dead.captured("r-6")
    (broken.path / "recording.json").write_text("{")
    refused = host.told("spool", "adopt", str(dead.spool.root), status=1)["refused"]
    told = {Path(path).name: text.rpartition("[")[2].rstrip("]") for path, text in refused.items()}
    assert told == {
        "r-1": "spool.clash",
        "r-2": "evidence.altered",
        "r-3": "spool.no-recording",
        "r-5": "spool.damaged",
        "r-6": "spool.damaged",
    }
    assert host.ids() == ["r-1"]
    assert host.told("spool", "adopt", str(host.spool.root), status=1)["adopted"] == []
    assert host.told("spool", "adopt", str(tmp_path / "none"), status=5)["error"]["code"]
    with dead.spool:  # another recorder works there
        refused = host.told("spool", "adopt", str(dead.spool.root / "r-2"), status=1)["refused"]
    assert "spool.in-use" in next(iter(refused.values()))


def test_a_seal_that_its_journal_does_not_know_of_stays(host: Host, dead: Host) -> None:
    """The dead host was killed between the seal and its journal: the legs are gone already."""
    folder = dead.sealed("r-1")
    sealed = folder.load().sealed
    assert sealed is not None
    assembled = replace(folder.load(), state=State.ASSEMBLED, sealed=None)
    with dead.spool:
        folder.save(assembled)
    document = host.told("spool", "adopt", str(folder.path))
    assert document["certificates_missing"] == [sealed.certificate_sha256]
    here = host.spool.get("r-1")
    assert here is not None
    assert here.load().state is State.SEALED
    assert here.load().sealed == sealed


@pytest.mark.parametrize("point", [point for point in TOOLS if point.startswith("adopt")])
def test_an_adoption_that_is_killed_is_done_again_once(host: Host, dead: Host, point: str) -> None:
    dead.sealed("r-1")
    whole = tree(dead.spool.root / "r-1")
    command = ("spool", "adopt", str(dead.spool.root / "r-1"), "--move")
    assert host.run_command(*command, fault=point).returncode == -signal.SIGKILL
    places = [host.spool.root / "r-1", dead.spool.root / "r-1"]
    assert any(place.is_dir() and tree(place).keys() == whole.keys() for place in places)
    again = host.run_command(*command)
    gone = point == "adopt.cleared"
    assert again.returncode == (5 if gone else 0), again.stderr
    with host.spool:
        assert host.ids() == ["r-1"]
        assert not list(host.spool.root.glob(".adopt-*"))
    found = tree(host.spool.root / "r-1")
    assert {n: d for n, d in found.items() if n != "recording.json"} == {
        n: d for n, d in whole.items() if n != "recording.json"
    }
    folder = host.spool.get("r-1")
    assert folder is not None
    assert [note.what for note in folder.load().notes] == [ADOPTED]
    assert not places[1].exists()


def test_a_retry_that_kills_the_recorder_is_done_by_its_next_life(host: Host) -> None:
    blocked(host, "r-1")
    with host.recorder(fault="retry.applied") as recorder:
        asking = subprocess.Popen(
            [*_command(), "spool", "retry", "r-1", "--config", str(host.config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert recorder.wait(30) == -signal.SIGKILL
    host.archive.mkdir()
    with host.recorder():
        assert asking.wait(60) == 0
        until(lambda: host.delivered() == {"r-1"}, host.log)


def _command() -> list[str]:
    return [sys.executable, "-m", "ari_recorder"]


# Export ----------------------------------------------------------------------------------------------------


def test_a_stranger_can_verify_an_export(host: Host, tmp_path: Path) -> None:
    folder = host.sealed("r-1")
    document = host.told("spool", "export", "r-1", "--to", str(tmp_path / "out"))
    (one,) = document["exported"]
    assert one["sealed"]
    assert one["verified"]
    there = Path(one["folder"])
    (certificate,) = there.glob("*.crt")
    assert certificate.read_bytes() == host.keys.certificate_pem
    done = subprocess.run(
        ["sh", "check.sh", "-p", "-c", certificate.name, "."], cwd=there, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.keys.fingerprint in (there / "READ-ME.txt").read_text(encoding="utf-8")
    assert folder.path.exists()
    again = host.told("spool", "export", "r-1", "--to", str(tmp_path / "out"), status=5)
    assert again["error"]["code"] == "config.exists"


def test_what_is_not_sealed_is_exported_as_such(host: Host, tmp_path: Path) -> None:
    folder = host.captured("r-1")
    (one,) = host.told("spool", "export", "r-1", "--to", str(tmp_path / "out"))["exported"]
    assert not one["sealed"]
    there = Path(one["folder"])
    assert there.name == "r-1_NOT-SEALED"
    assert tree(there / "legs") == tree(folder.legs)
    assert "proves anything" in (there / "NOT-SEALED.txt").read_text(encoding="utf-8")
    assert "not sealed" in host.ask("spool", "export", "r-1", "--to", str(tmp_path / "other")).output


def test_an_altered_recording_is_not_handed_out(host: Host, tmp_path: Path) -> None:
    folder = host.sealed("r-1")
    next(folder.path.glob("*.wav")).write_bytes(b"other sound")
    error = host.told("spool", "export", "r-1", "--to", str(tmp_path / "out"), status=6)["error"]
    assert error["code"] == "evidence.altered"


def test_an_export_that_is_killed_leaves_nothing_under_its_name(host: Host, tmp_path: Path) -> None:
    host.sealed("r-1")
    command = ("spool", "export", "r-1", "--to", str(tmp_path / "out"))
    assert host.run_command(*command, fault="export.copied").returncode == -signal.SIGKILL
    assert [path for path in (tmp_path / "out").iterdir() if path.name[0] != "."] == []
    assert host.run_command(*command).returncode == 0
    assert len(list((tmp_path / "out").iterdir())) == 1


# Root types it ---------------------------------------------------------------------------------------------


def test_what_root_does_stays_the_recorders_own(host: Host, dead: Host) -> None:
    blocked(host, "r-1")
    dead.captured("r-2")
    user = 65534 if os.geteuid() == 0 else os.geteuid()  # for anybody else there is nothing to hand over
    for parent in host.folder.parents:  # pytest's own folders are closed to others
        if not parent.stat().st_mode & 0o011:
            parent.chmod(0o755)
    for path in (host.folder, *host.folder.rglob("*")):
        os.chown(path, user, -1)
    assert host.told("spool", "retry", "--all")["outcome"] == "done"
    assert host.told("spool", "adopt", str(dead.spool.root))["adopted"] == ["r-2"]
    assert {path.stat().st_uid for path in host.folder.rglob("*")} == {user}


def test_the_note_of_where_it_came_from_is_not_doubled(host: Host, dead: Host) -> None:
    """Adopted here, and from here by a third."""
    dead.captured("r-1")
    host.told("spool", "adopt", str(dead.spool.root))
    third = Spools(host.folder / "third", state=host.folder / "third-state")
    third.root.mkdir()
    told: list[str] = []
    Adoption(third, told.append).take(host.spool.root / "r-1")
    assert told == ["r-1"]
    folder = third.get("r-1")
    assert folder is not None
    notes: list[Note] = [note for note in folder.load().notes if note.what == ADOPTED]
    assert len(notes) == 2
