"""A refusal outlives the recorder that spoke it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ari_recorder.runtime import refusals
from ari_recorder.runtime.refusals import FINAL, Refusals

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize("reason", [*sorted(FINAL), "no-setting", "not-begun"])
def test_the_next_recorder_knows_final_refusals_only(tmp_path: Path, reason: str) -> None:
    Refusals(tmp_path).add(NOW, "main", "main-1.1", reason, "because")
    again = Refusals(tmp_path)
    assert again.holds("main", "main-1.1") is (reason in FINAL)
    assert not again.holds("other", "main-1.1")


def test_what_is_damaged_is_passed_over(tmp_path: Path) -> None:
    Refusals(tmp_path).add(NOW, "main", "1", "forbidden", "because")
    file = tmp_path / "refusals" / "2026-11.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + b"\xff\n[]\n{}\n" + whole.replace(b'"1"', b'"2"') + whole[:20])
    again = Refusals(tmp_path)
    assert again.holds("main", "1")
    assert again.holds("main", "2")


def test_the_newest_are_remembered_when_there_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "REMEMBERED", 10)
    log = Refusals(tmp_path)
    for number in range(50):
        log.add(NOW, "main", str(number), "exception", "because")
    for known in (log, Refusals(tmp_path)):
        assert known.holds("main", "49")
        assert known.holds("main", "40")
        assert not known.holds("main", "0")
