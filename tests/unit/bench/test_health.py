"""How well the recorder kept up, read from its metadata, its log and its polls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench.health import Health, ends_of_calls


def metadata(**assembly: Any) -> dict[str, Any]:
    def segment(started: tuple[str, str], finished: tuple[str, str]) -> dict[str, Any]:
        legs = zip(("remote", "local"), started, finished, strict=True)
        return {side: {"started_at": begin, "finished_at": end} for side, begin, end in legs}

    return {
        "recording": {"id": "20250101T120000000-1", "sealed_at": "2025-01-01T12:00:31.500000Z"},
        "call": {"created_at": "2025-01-01T12:00:00.000000Z"},
        "assembly": {"exact": True, "seconds": 30.5, **assembly},
        "segments": [
            segment(
                ("2025-01-01T12:00:00.020000Z", "2025-01-01T12:00:00.024000Z"),
                ("2025-01-01T12:00:10.000000Z", "2025-01-01T12:00:10.000000Z"),
            ),
            segment(
                ("2025-01-01T12:00:10.500000Z", "2025-01-01T12:00:10.500000Z"),
                ("2025-01-01T12:00:31.000000Z", "2025-01-01T12:00:30.990000Z"),
            ),
        ],
    }


LINES = [
    {"action": "recorder.start", "timestamp": "2025-01-01T11:59:00Z"},
    {
        "action": "recording.finished",
        "recording": "20250101T120000000-1",
        "timestamp": "2025-01-01T12:00:31.030000Z",
    },
]


def test_a_recording_tells_when_it_rolled_ended_and_was_sealed() -> None:
    health = Health()
    health.add_recording(metadata(), ends_of_calls(LINES))
    assert health.rolling == pytest.approx([0.024])  # both legs of the first segment
    assert health.noticed == pytest.approx([0.030])  # since the last file of the last one
    assert health.sealed == pytest.approx([0.5])
    assert (health.recordings, health.exact, health.seconds) == (1, 1, [30.5])


def test_a_recording_with_edits_is_not_exact() -> None:
    health = Health()
    health.add_recording(metadata(exact=False), {})
    assert (health.recordings, health.exact, health.noticed) == (1, 0, [])


def test_polls_of_all_calls_count_but_not_a_line_still_being_written(tmp_path: Path) -> None:
    for name, text in {
        "one/rtp.jsonl": poll(1.5) + poll(25.0),
        "two/rtp.jsonl": poll(3.0) + '{"took_ms": 9',
        "three/rtp.jsonl": '{"record": "ari-recorder/r/1-remote", "took_ms": 50.0}\n',
        ".trash-four/rtp.jsonl": poll(99.0),
    }.items():
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text(text, encoding="ascii")
    health = Health()
    health.add_polls(tmp_path)
    assert sorted(health.polls) == pytest.approx([0.0015, 0.003, 0.025])
    assert health.slow_polls == pytest.approx(1 / 3)


def test_without_polls_none_is_slow() -> None:
    assert Health().slow_polls == 0.0


def poll(took_ms: float) -> str:
    return json.dumps({"channel": "1.1", "took_ms": took_ms, "statistics": {}}) + "\n"
