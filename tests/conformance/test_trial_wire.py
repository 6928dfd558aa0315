"""`target test` over a network: what breaks, holds or distrusts, what is told, and what is left behind."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import pytest
from smbprotocol.open import ShareAccess

from ari_recorder.disk import faults
from ari_recorder.lab.ports import HOST
from ari_recorder.lab.smbd import SambaServer
from ari_recorder.targets import trial
from ari_recorder.targets.steps import Step
from tests.graph_peer import tls

from .relay import Relay
from .rig import Rig
from .rig_onedrive import OneDriveRig
from .rig_smb import smb_settings
from .smb_scene import Scene, names_below, scene_of
from .test_smb import WITH_ALL, held
from .test_trial import answering, fault


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_of(SambaServer(tmp_path / "smb")) as made:
        yield made


@pytest.mark.provokes("torn")
@pytest.mark.parametrize("rig", ["sftp", "smb"], indirect=True)
def test_a_connection_that_breaks_leaves_nothing_behind(rig: Rig) -> None:
    with Relay(rig.port) as whole:
        assert trial.run(rig.settings(port=whole.port)).works
    for part in (0.2, 0.5, 0.8):
        with Relay(rig.port, cut_after=int(whole.total * part)) as relay:
            report = trial.run(rig.settings(port=relay.port))
            assert relay.cuts == 1
        fault(report, "torn", "torn")
        assert rig.names() == []


@pytest.mark.provokes("locked")
def test_a_scanner_that_opens_the_file_alone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as holding:
        scan_at("smb.renamed", scene, holding, monkeypatch, shared=0)
        report = trial.run(smb_settings(scene.server))
    assert "scanner" in fault(report, "locked", "locked")
    assert report.fault is not None
    assert report.fault.step is Step.FETCH


@pytest.mark.provokes("locked")
def test_a_scanner_that_lets_the_file_be_deleted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A good deletion: the file goes as soon as the scanner lets go of it."""
    with ExitStack() as holding:
        scan_at("smb.renamed", scene, holding, monkeypatch, shared=WITH_ALL)
        report = trial.run(smb_settings(scene.server))
        assert report.works, report.fault
        (warning,) = report.warnings
        assert (warning.symptom, warning.step) == ("locked", Step.DELETE)
        assert "scanner" in warning.remedy
    assert names_below(scene.root) == []


def scan_at(
    point: str, scene: Scene, holding: ExitStack, monkeypatch: pytest.MonkeyPatch, shared: ShareAccess | int
) -> None:
    """Have another program open what stands there when that point is reached."""

    def scan(reached: str) -> None:
        if reached == point:
            (name,) = names_below(scene.root)
            holding.enter_context(held(scene.target(), PurePosixPath(name), shared))

    monkeypatch.setattr(faults, "hook", scan)


@pytest.mark.provokes("insecure")
def test_a_server_that_cannot_encrypt(tmp_path: Path) -> None:
    with scene_of(SambaServer(tmp_path / "smb", settings={"server smb encrypt": "off"})) as scene:
        said = fault(trial.run(smb_settings(scene.server)), "insecure", "insecure")
    assert "encrypt = false" in said


@pytest.mark.provokes("unreachable")
def test_an_smb_server_that_is_none(scene: Scene) -> None:
    with socket.create_server((HOST, 0)) as listener:
        settings = smb_settings(scene.server, port=listener.getsockname()[1], timeout=2.0)
        with answering(listener, b"HTTP/1.1 400 Bad Request\r\n\r\n"):
            assert "port" in fault(trial.run(settings), "unreachable", "unreachable")


@pytest.mark.provokes("certificate")
@pytest.mark.parametrize("rig", ["onedrive"], indirect=True)
def test_a_certificate_that_nobody_trusts(rig: OneDriveRig, tmp_path: Path) -> None:
    other, _ = tls.make(tmp_path / "other")
    report = trial.run(rig.settings(ca_file=other), vault=rig.vault)
    assert "ca_file" in fault(report, "certificate", "certificate")


def test_a_slow_line_is_given_the_time_for_the_test_file(scene: Scene, tmp_path: Path) -> None:
    """A server's silence is its kind's to find; a mount has no other limit than the trial's."""
    slowest = 8_000  # bytes a second, the slowest `bandwidth`
    assert trial._patience(smb_settings(scene.server)) > trial.SIZE / slowest + 15
