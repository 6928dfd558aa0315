"""What `check` says of targets that work."""

from __future__ import annotations

from pathlib import Path

import pytest

from ari_recorder.asterisk.findings import Level
from ari_recorder.cli import check
from ari_recorder.disk.mounts import Mount
from ari_recorder.rules.policy import load_policy
from ari_recorder.targets import trial

from .spool_host import Host


@pytest.mark.parametrize(("more", "warned"), [("", True), ('mount = "{}"\n', False)])
def test_a_folder_that_nothing_guards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, warned: bool
) -> None:
    host = Host(tmp_path / "host")
    folder = host.folder / "nas"
    folder.mkdir(exist_ok=True)
    host.policy("nas", more=more.format("/"))
    monkeypatch.setattr(
        trial, "mount_of", lambda path: Mount(folder if path == folder else Path("/var"), "nfs4")
    )
    policy = load_policy(host.machine.recorder.policy)
    found = {one.code: one for one in check._targets(host.machine, policy)}
    assert found["target.nas"].level is Level.OK
    guard = found.get("target.nas.unguarded")
    assert (guard is not None) is warned
    if guard is not None:
        assert guard.level is Level.WARN
        assert f'mount = "{folder}"' in guard.remedy
