"""`make bench` in its smallest form: every part of it still runs, and nothing is left behind."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from ari_recorder.lab.engine import Engine
from tests.bench import backlog
from tests.bench.figures import Way
from tests.bench.report import FORMAT
from tests.bench.rounds import QUICK

from .leavings import followed


@pytest.mark.timeout(180)
def test_the_bench_runs_and_leaves_nothing(engine: Engine) -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick", "--json"]
    ended = followed(command, engine=engine, limit=120)
    assert ended.status == 0, ended.out + ended.err
    assert (ended.processes, ended.containers) == ((), ())
    told = json.loads(ended.out)
    assert (told["format"], told["plan"]) == (FORMAT, asdict(QUICK))
    assert {way: len(told["ways"][way.value]["rounds"]) for way in Way} == dict.fromkeys(Way, QUICK.rounds)
    assert told["recorder"]["recordings"] == QUICK.calls * QUICK.rounds
    assert told["recorder"]["sealed"] is not None
    assert told["assembly"]["ours"] > 0
    assert [upload["kind"] for upload in told["uploads"]] == ["local", "smb", "sftp"]


def test_the_backlog_is_measured(tmp_path: Path) -> None:
    found = backlog.run(tmp_path, 20)
    assert found.recordings == 20
    assert 0 < found.connecting_seconds < found.known_seconds
    assert found.first_delivery_seconds > 0
    assert found.lines()
