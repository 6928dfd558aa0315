"""A refusal outlives the recorder that spoke it."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ari_recorder.runtime import refusals
from ari_recorder.runtime.conditions import Conditions
from ari_recorder.runtime.refusals import FINAL, KEY, Refusals

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize("reason", [*sorted(FINAL), "no-setting", "not-begun"])
def test_the_next_recorder_knows_final_refusals_only(tmp_path: Path, reason: str) -> None:
    before = Refusals(tmp_path)
    before.add(NOW, "main", "main-1.1", reason, "because")
    before.close(20)
    again = Refusals(tmp_path)
    assert again.holds("main", "main-1.1") is (reason in FINAL)
    assert not again.holds("other", "main-1.1")


def test_what_is_damaged_is_passed_over(tmp_path: Path) -> None:
    before = Refusals(tmp_path)
    before.add(NOW, "main", "1", "forbidden", "because")
    before.close(20)
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
    log.close(20)
    for known in (log, Refusals(tmp_path)):
        assert known.holds("main", "49")
        assert known.holds("main", "40")
        assert not known.holds("main", "0")


async def test_a_disk_that_hangs_takes_one_thread_and_loses_no_line_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, hung = threading.Event(), threading.Event()
    really = Refusals._write

    def hangs(self: Refusals, file: str, row: dict[str, str]) -> None:
        hung.set()
        answers.wait(20)
        really(self, file, row)

    monkeypatch.setattr(Refusals, "_write", hangs)
    monkeypatch.setattr(refusals, "PATIENCE", 0.01)
    conditions = Conditions()
    log = Refusals(tmp_path, conditions, waiting=40)
    before = threading.active_count()
    await log.told(NOW, "main", "first", "forbidden", "because")
    assert hung.wait(20)
    async with asyncio.timeout(20):
        await asyncio.gather(*(log.told(NOW, "main", f"c{n}", "forbidden", "because") for n in range(40)))
    assert threading.active_count() <= before, "each of them took a thread"
    assert conditions.active() == ()
    for channel in ("lost-1", "lost-2"):
        await log.told(NOW, "main", channel, "forbidden", "because")
    told = conditions.get(KEY)
    assert told is not None
    assert "(2 so far)" in told.sentence
    assert log.holds("main", "lost-2"), "it is refused all the same"
    answers.set()
    async with asyncio.timeout(20):
        while conditions.active():  # no other refusal is needed for that
            await asyncio.sleep(0.001)
    lines = (tmp_path / "refusals" / "2026-11.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 40
    log.close(20)
