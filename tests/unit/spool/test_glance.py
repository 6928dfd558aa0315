"""The state from a journal's first bytes: the same as reading it whole tells, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ari_recorder.model.recording import State
from ari_recorder.spool.folders import Spool
from ari_recorder.spool.glance import glance

from .recordings import recording


@pytest.mark.parametrize("state", State)
def test_every_state_is_seen_as_it_was_written(tmp_path: Path, state: State) -> None:
    with Spool(tmp_path) as spool:
        folder = spool.create(recording("r-1", state=state))
        assert [(f.id, told) for f, told in spool.states()] == [("r-1", state)]
        assert folder.load().state is state


def test_the_longest_id_is_seen(tmp_path: Path) -> None:
    own = "r" * 120
    with Spool(tmp_path) as spool:
        spool.create(recording(own))
        assert [told for _, told in spool.states()] == [State.DECIDED]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"recording": {"id": "r-1", "state": "sealed"}}',
        '{"format": "ari-recorder/recording/2", "recording": {"id": "r-1", "state": "sealed"}}',
        '{"format": "ari-recorder/recording/1", "recording": {"id": "r-2", "state": "sealed"}}',
        '{"format": "ari-recorder/recording/1", "recording": {"id": "r-1", "state": "lost"}}',
        '{"format": "ari-recorder/recording/1", "recording": {"state": "sealed", "id": "r-1"}}',
        '{"format": "ari-recorder/recording/1", "recording": {"id": "r-1", "x": "\\"state\\": \\"sealed"}}',
        '{"format": "ari-recorder/recording/1", "recording": {"id": "r-1", "state": "seal',
        "\x00" * 600,
    ],
)
def test_anything_else_is_for_a_whole_reading(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recording.json"
    path.write_text(text)
    assert glance(str(path), "r-1") is None
    assert glance(str(tmp_path), "r-1") is None  # a folder
    assert glance(str(tmp_path / "none"), "r-1") is None


def test_a_journal_in_one_line_as_another_tool_may_write_it_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "recording.json"
    path.write_text('{"format":"ari-recorder/recording/1","recording":{"id":"r-1","state":"captured","x":1}}')
    assert glance(str(path), "r-1") is State.CAPTURED
