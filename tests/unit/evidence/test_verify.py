"""E2, E4, E8: every tampering is found and named, by both verifiers; nothing hostile stops them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ari_recorder.cli.app import app
from ari_recorder.evidence.chain import Chain
from ari_recorder.evidence.keys import Keys
from ari_recorder.evidence.verify import verify
from ari_recorder.model.errors import CODES, ConfigError

from .archives import Archive, base_name, seal_one
from .tamperings import Tampering, table
from .verifiers import check, told


@pytest.fixture
def certificate(pristine: Archive, tmp_path: Path) -> Path:
    """The true certificate, brought from elsewhere."""
    path = tmp_path / "confirmed.pem"
    path.write_bytes(pristine.keys.certificate_pem)
    return path


# The table -----------------------------------------------------------------------------------------------


def named(tampering: Tampering) -> str:
    return tampering.name


@pytest.mark.parametrize("tampering", table(), ids=named)
def test_python_finds_it(tampering: Tampering, archive: Archive, foreign: Keys, certificate: Path) -> None:
    expected = tampering.act(archive, foreign)
    report = verify(
        [archive.root],
        chain_log=archive.log if tampering.with_log else None,
        certificate=certificate if tampering.with_certificate else None,
    )
    assert not report.ok
    assert [text for text in expected if text not in told(report)] == []
    assert all(finding.code in CODES and finding.file for finding in report.findings)
    assert all(str(finding).isprintable() for finding in report.findings)


@pytest.mark.parametrize("tampering", [one for one in table() if not one.with_log], ids=named)
def test_the_script_finds_it(
    tampering: Tampering, archive: Archive, foreign: Keys, certificate: Path
) -> None:
    expected = tampering.act(archive, foreign)
    given = ["-c", str(certificate)] if tampering.with_certificate else []
    done = check("-q", *given, archive.root, cwd=archive.root.parent)
    findings = [line for line in done.stdout.splitlines() if line.startswith("WRONG /")]
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr == ""
    assert [text for text in expected if text not in "\n".join(findings)] == []
    assert len(findings) == len(done.stdout.splitlines()) - 1, "one finding, one line"
    assert not (archive.root.parent / "hacked").exists()


@pytest.mark.parametrize("tampering", [one for one in table() if one.name.startswith("flip")], ids=named)
def test_one_changed_byte_makes_few_findings(tampering: Tampering, archive: Archive, foreign: Keys) -> None:
    tampering.act(archive, foreign)
    report = verify([archive.root])
    assert len(report.findings) <= 3, told(report)
    assert report.intact == 5


# Archives that are in order ------------------------------------------------------------------------------


def test_an_intact_archive(pristine: Archive) -> None:
    report = verify([pristine.root], chain_log=pristine.log)
    assert report.ok, told(report)
    assert (report.recordings, report.intact, report.files) == (6, 6, 19)
    assert report.bytes == sum(p.stat().st_size for n in range(1, 7) for p in pristine.files(n)[:-2])
    assert [(one.fingerprint, one.signatures) for one in report.signers] == [(pristine.keys.fingerprint, 6)]
    assert [(one.checked_as, one.last, one.with_log) for one in report.coverage] == [("whole chain", 6, True)]


def test_an_intact_archive_by_the_script(pristine: Archive) -> None:
    done = check(pristine.root)
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""
    assert "6 recordings checked, 6 intact by themselves, 0 findings" in done.stdout
    assert pristine.keys.fingerprint in done.stdout
    assert "whole chain" in done.stdout


def test_a_single_recording(pristine: Archive) -> None:
    for suffix in ("_local.wav", "_info.txt", ".json", ".sha256", ".sig", ""):
        report = verify([pristine.file(3, suffix)])
        assert report.ok, told(report)
        assert report.recordings == 1
        done = check(pristine.file(3, suffix))
        assert done.returncode == 0, done.stdout
        assert "1 recordings checked" in done.stdout


def test_relative_paths_and_other_folders(pristine: Archive) -> None:
    for given in (".", "odd", base_name(1) + ".wav"):
        cwd = pristine.root / "odd" if given.endswith(".wav") else pristine.root
        done = check("-p", given, cwd=cwd)
        assert done.returncode == 0, done.stdout


def test_recordings_may_move_to_other_folders(archive: Archive) -> None:
    (archive.root / "new place").mkdir()
    for path in archive.files(4):
        path.rename(archive.root / "new place" / path.name)
    assert verify([archive.root]).ok
    assert check(archive.root).returncode == 0


def test_a_part_is_not_searched_for_gaps(pristine: Archive) -> None:
    even = pristine.root / "even"
    assert not verify([even]).ok
    report = verify([even], part=True)
    assert report.ok, told(report)
    assert report.coverage[0].checked_as == "part"
    assert check(even).returncode == 1
    assert check("-p", even).returncode == 0


def test_the_same_path_twice_is_no_copy(pristine: Archive) -> None:
    assert verify([pristine.root, pristine.root / "odd"]).ok
    assert check(pristine.root, pristine.root / "odd").returncode == 0


def test_other_files_in_an_archive_are_nobodys_business(archive: Archive) -> None:
    (archive.root / "notes.json").write_text("{}")
    (archive.root / "Thumbs.db").write_bytes(b"x")
    (archive.root / "company-ca.crt").write_text("not a certificate")
    assert verify([archive.root]).ok
    assert check(archive.root).returncode == 0


def test_a_given_certificate_needs_none_in_the_archive(archive: Archive, certificate: Path) -> None:
    archive.certificate.unlink()
    report = verify([archive.root], certificate=certificate)
    assert report.ok, told(report)
    assert check("-c", certificate, archive.root).returncode == 0


def test_a_given_certificate_may_be_der(archive: Archive, tmp_path: Path) -> None:
    der = tmp_path / "confirmed.der"
    command = ["openssl", "x509", "-in", str(archive.certificate), "-outform", "DER", "-out", str(der)]
    subprocess.run(command, check=True)
    archive.certificate.unlink()
    assert verify([archive.root], certificate=der).ok
    assert check("-c", der, archive.root).returncode == 0


# Archives that hold a part of the chain ------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_targets(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> dict[str, Path]:
    """Recordings 1…8; all go to `near`, every second one also to `far`, number 5 only to `far`."""
    return two_archives(tmp_path_factory.mktemp("two"), keys, {5: ("far",)})


@pytest.fixture(scope="module")
def far_within_near(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> dict[str, Path]:
    """Recordings 1…8; all go to `near`, every second one also to `far`."""
    return two_archives(tmp_path_factory.mktemp("within"), keys, {})


def two_archives(place: Path, keys: Keys, special: dict[int, tuple[str, ...]]) -> dict[str, Path]:
    archives = {name: place / name for name in ("near", "far", "log")}
    for root in archives.values():
        root.mkdir()
        (root / keys.certificate_name).write_bytes(keys.certificate_pem)
    with Chain(archives["log"] / "chain.log") as chain:
        for number in range(1, 9):
            targets = special.get(number, ("near", "far") if number % 2 == 0 else ("near",))
            work = place / str(number)
            work.mkdir()
            sealed = seal_one(number, work, keys, chain, targets=targets)
            for target in targets:
                for file in sealed.files:
                    shutil.copy(work / file.name, archives[target])
    return archives


@pytest.mark.parametrize(("target", "count"), [("near", 7), ("far", 5)])
def test_each_archive_proves_itself(two_targets: dict[str, Path], target: str, count: int) -> None:
    report = verify([two_targets[target]], chain_log=two_targets["log"] / "chain.log")
    assert report.ok, told(report)
    assert [(one.checked_as, one.last) for one in report.coverage] == [(f"archive of target {target}", count)]
    done = check(two_targets[target])
    assert done.returncode == 0, done.stdout
    assert f"counted as archive of target {target}, last number {count}" in done.stdout
    assert "was guessed" in done.stdout
    assert "was guessed" not in check("-t", target, two_targets[target]).stdout
    told_by_command = CliRunner().invoke(app, ["verify", str(two_targets[target])]).output
    assert "was guessed: name its target with --target" in " ".join(told_by_command.split())


def test_a_gap_in_an_archive_of_a_part(two_targets: dict[str, Path], tmp_path: Path) -> None:
    far = tmp_path / "far"
    shutil.copytree(two_targets["far"], far)
    for path in far.glob(f"{base_name(5)}*"):
        path.unlink()
    report = verify([far], target="far")
    assert f"number 3 is missing ({base_name(5)}, named by {base_name(6)})" in told(report)
    done = check("-t", "far", far)
    assert done.returncode == 1
    assert f"number 3 is missing ({base_name(5)}, named by {base_name(6)})" in done.stdout


def thinned(near: Path, tmp_path: Path) -> Path:
    """A copy of `near` that holds nothing but what `far` holds too."""
    copy = tmp_path / "near"
    shutil.copytree(near, copy)
    for number in (1, 3, 5, 7):
        for path in copy.glob(f"{base_name(number)}*"):
            path.unlink()
    return copy


def test_a_thinned_out_archive_by_name(far_within_near: dict[str, Path], tmp_path: Path) -> None:
    near = thinned(far_within_near["near"], tmp_path)
    assert "number 1 is missing" in told(verify([near], target="near"))
    assert "number 1 is missing" in check("-t", "near", near).stdout


def test_a_thinned_out_archive_does_not_pass_as_anothers(
    far_within_near: dict[str, Path], certificate: Path, tmp_path: Path
) -> None:
    """Whole when counted as `far`: whoever does not name the target is told that all may not be well."""
    near = thinned(far_within_near["near"], tmp_path)
    expected = (
        f"{base_name(2)}.sig: this may be the archive of target far, or the archive of target near with 4 "
        "missing: name the target (--target, -t)."
    )
    report = verify([near], certificate=certificate, chain_log=far_within_near["log"] / "chain.log")
    assert not report.ok
    assert [finding.code for finding in report.findings] == ["evidence.unnamed"]
    assert expected in told(report)
    assert report.intact == 4, "each recording is intact by itself"
    done = check("-c", certificate, near)
    assert done.returncode == 1
    assert expected in done.stdout
    assert "4 intact by themselves, 1 findings" in done.stdout
    assert done.stderr == ""


def test_the_target_decides_between_two_that_fit(far_within_near: dict[str, Path], tmp_path: Path) -> None:
    log = far_within_near["log"] / "chain.log"
    for name in ("near", "far"):
        report = verify([far_within_near[name]], chain_log=log, target=name)
        assert report.ok, told(report)
        assert check("-t", name, far_within_near[name]).returncode == 0
    near = far_within_near["near"]
    assert verify([near], chain_log=log).ok, "nothing is missing by any count"
    assert check(near).returncode == 0
    part = thinned(near, tmp_path)
    assert verify([part], part=True).ok
    assert check("-p", part).returncode == 0


def test_recordings_that_belong_elsewhere(two_targets: dict[str, Path]) -> None:
    report = verify([two_targets["near"], two_targets["far"]], target="near", part=True)
    assert f"{base_name(5)}.sig: was never meant for the target near." in told(report)
    done = check("-t", "near", "-p", two_targets["near"], two_targets["far"])
    assert f"{base_name(5)}.sig: was never meant for the target near." in done.stdout


def test_two_recorders_share_an_archive(archive: Archive, foreign: Keys, tmp_path: Path) -> None:
    (archive.root / foreign.certificate_name).write_bytes(foreign.certificate_pem)
    (archive.root / "second").mkdir()
    with Chain(tmp_path / "second.log") as chain:
        for number in (11, 12):
            seal_one(number, archive.root / "second", foreign, chain)
    report = verify([archive.root])
    assert report.ok, told(report)
    assert {one.fingerprint for one in report.signers} == {archive.keys.fingerprint, foreign.fingerprint}
    assert len(report.coverage) == 2
    assert check(archive.root).returncode == 0


# The chain's log -----------------------------------------------------------------------------------------


def test_a_log_that_knows_another_signature(archive: Archive) -> None:
    archive.log.write_bytes(
        archive.log.read_bytes().replace(b'"name-', b"").replace(b'sha256":"', b'sha256":"0', 1)
    )
    assert "chain's log has as number 1" in told(verify([archive.root], chain_log=archive.log))


@pytest.mark.parametrize("line", [b"{}\n", b"[" * 50_000 + b"\n", b"\xff\n", b"torn"])
def test_a_damaged_log_is_a_finding(archive: Archive, line: bytes) -> None:
    archive.log.write_bytes(archive.log.read_bytes() + line)
    assert "line 7 is damaged" in told(verify([archive.root], chain_log=archive.log))


def test_a_log_alone_tells_what_is_missing(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    report = verify([tmp_path / "void"], chain_log=archive.log)
    assert not report.ok
    assert f"numbers 1 to 6 are missing (among them {base_name(1)}" in told(report)


def test_files_that_cannot_be_read_at_all(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        verify([archive.root], chain_log=tmp_path / "absent")
    with pytest.raises(ConfigError, match="cannot be read as a certificate"):
        verify([archive.root], certificate=archive.log)
    assert check("-c", archive.log, archive.root).returncode == 2
    assert check("-c", tmp_path / "absent", archive.root).returncode == 2


# Size ----------------------------------------------------------------------------------------------------


def test_progress_and_pace(tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    count = 300
    with Chain(tmp_path / "chain.log") as chain:
        for number in range(count):
            seal_one(number, tmp_path, keys, chain)
    (tmp_path / keys.certificate_name).write_bytes(keys.certificate_pem)
    steps: list[tuple[int, int, str]] = []
    begin = time.process_time()
    report = verify([tmp_path], progress=lambda *step: steps.append(step))
    took = time.process_time() - begin
    assert report.ok
    assert [step[:2] for step in steps] == [(number, count) for number in range(1, count + 1)]
    assert took / count < 0.02, "10 000 recordings must not take minutes"
