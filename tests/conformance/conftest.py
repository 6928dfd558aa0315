"""The rigs: one real place for each kind of target. A new kind adds its rig to `RIGS`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ari_recorder.targets import trial
from ari_recorder.targets.trial import Report

from .rig import Rig, Sample
from .rig_local import LocalRig
from .rig_onedrive import OneDriveRig
from .rig_sftp import SftpRig
from .rig_smb import SmbRig

RIGS: dict[str, type[Rig]] = {rig.kind: rig for rig in (LocalRig, SftpRig, SmbRig, OneDriveRig)}
NETWORKED = tuple(kind for kind, rig in RIGS.items() if rig.networked)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Rig]]:
    """A rig by its kind, started when it is first asked for and kept to the end."""
    with ExitStack() as stack:

        @cache
        def rig_of(kind: str) -> Rig:
            return stack.enter_context(RIGS[kind](tmp_path_factory.mktemp(f"rig-{kind}")))

        yield rig_of


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, servers: Callable[[str], Rig], tmp_path: Path) -> Rig:
    """Every kind of target, one after the other, on an empty root."""
    made = servers(request.param)
    folder = tmp_path / "rig"
    folder.mkdir()
    made.renew(folder)
    return made


@pytest.fixture
def sample(tmp_path: Path) -> Callable[..., Sample]:
    """Makes files to be sent."""

    def make(content: bytes, name: str = "sample") -> Sample:
        folder = tmp_path / "sources"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}-{len(list(folder.iterdir()))}"
        path.write_bytes(content)
        return Sample(path, hashlib.sha256(content).hexdigest(), len(content))

    return make


@pytest.fixture(autouse=True)
def provoked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that says what it `provokes` has to see `target test` say so.

    tests/unit/docs/test_symptoms_page.py holds these marks against the page: each symptom has a test.
    """
    mark = request.node.get_closest_marker("provokes")
    seen: set[str] = set()
    run = trial.run

    def watched(*words: Any, **more: Any) -> Report:
        report = run(*words, **more)
        seen.update(one.symptom for one in (report.fault, *report.warnings) if one is not None)
        return report

    if mark is not None:
        monkeypatch.setattr(trial, "run", watched)
    yield
    if mark is not None:
        unseen = set(mark.args or [request.node.callspec.params["symptom"]]) - seen
        assert not unseen, f"not told: {', '.join(sorted(unseen))}"
