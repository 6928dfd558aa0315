"""What the recorder makes of a spool folder that is back. Whole recorders run in tests/integration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ari_recorder.model.errors import PermanentError
from ari_recorder.model.recording import Recording, State
from ari_recorder.runtime.backlog import Backlog
from ari_recorder.runtime.conditions import Conditions
from ari_recorder.runtime.service import Service
from ari_recorder.spool.folders import Locks, RecordingFolder
from tests.unit.spool.recordings import recording


class Told:
    """A service of which only that is there which a backlog is told to."""

    def __init__(self, tmp_path: Path) -> None:
        self.failed: list[Recording] = []
        self.damaged: list[str] = []
        self.refused: list[str] = []
        self.taken_up: list[Recording] = []
        self.folder = RecordingFolder(tmp_path, "r-bad", Locks())
        self.service = cast(Any, Service.__new__(Service))
        self.service.conditions = Conditions()
        self.service._base = SimpleNamespace(machine=SimpleNamespace(pbx={recording().call.pbx: None}))
        self.service._completion = SimpleNamespace(submit=lambda _folder: None)
        self.service._deliveries = SimpleNamespace(
            submit=lambda _folder: None,
            failed=self.failed.extend,
            damaged=lambda folder, _error: self.damaged.append(folder.id),
        )
        self.service._refusals = SimpleNamespace(
            holds=lambda _pbx, _channel: False, add=lambda *told: self.refused.append(told[3])
        )
        self.service.lookout = SimpleNamespace(metrics=SimpleNamespace(refused=lambda _reason: None))
        self.service._waiting = []
        self.service._links = {recording().call.pbx: SimpleNamespace(take_up=self.taken_up.extend)}


def test_what_a_late_spool_folder_holds_is_told_as_at_the_start(tmp_path: Path) -> None:
    told = Told(tmp_path)
    failed = replace(recording(), state=State.FAILED)
    refused = replace(recording(), state=State.REFUSED, reason="not-announced")
    running = replace(recording(), state=State.CAPTURING)
    found = Backlog(
        running=[running],
        failed=[failed],
        refused=[refused],
        damaged=[(told.folder, PermanentError("spool.damaged", "It is."))],
    )
    told.service._spool_back(found)
    assert told.failed == [failed]
    assert told.damaged == ["r-bad"]
    assert told.refused == ["not-announced"]
    assert told.taken_up == [running]


@pytest.mark.parametrize("there", [False, True])
def test_a_spool_folder_that_comes_back_between_two_questions_hides_nothing(
    tmp_path: Path, there: bool
) -> None:
    """Whether all can be reached is asked first: what is not found then is nowhere."""

    class Returning:
        whole = False

        def get(self, _own: str) -> object:
            self.whole = True  # in this very moment: too late for this look
            return None

    class Whole:
        whole = True

        def get(self, _own: str) -> object:
            return object() if there else None

    service = Told(tmp_path).service
    service._links = {}
    service._base = SimpleNamespace(spool=Returning())
    assert service._is_at_work("r-1")
    service._base = SimpleNamespace(spool=Whole())
    assert service._is_at_work("r-1") is there
