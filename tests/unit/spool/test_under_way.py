"""Uploads that stand still are seen, and told as the target's fault; slow ones are not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.config.targets.limits import Limits
from ari_recorder.disk import durable
from ari_recorder.model.errors import TransientError
from ari_recorder.spool import lane
from ari_recorder.spool.folders import Spool
from ari_recorder.spool.lane import Health
from ari_recorder.spool.under_way import UnderWay

from .recordings import ToldTarget, local_target, sealed
from .test_delivery import delivering, eventually
from .test_lanes import Gate

PATH = PurePosixPath("a/file")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool") as made:
        yield made


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "LONGEST_REST", 0.005)


def test_a_slow_upload_moves_and_one_that_waits_for_its_disk_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    under_way = UnderWay(100, clock)
    target = local_target(tmp_path / "archive")
    source = tmp_path / "source"
    source.write_bytes(content := bytes(3 * durable.BLOCK))
    hung: list[bool] = []
    real = durable.write_all

    def slow(handle: int, data: bytes) -> None:
        clock.now += 90
        hung.append(bool(under_way.hung()))
        real(handle, data)

    monkeypatch.setattr(durable, "write_all", slow)
    with under_way.putting("r-1", target):
        target.put(source, PATH, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        assert hung == [False] * 3
        clock.now += 100
        (upload,) = under_way.hung()
        assert (upload.recording, upload.target) == ("r-1", target)
        with target.open(PATH) as stream:
            assert stream.read()
    assert under_way.hung() == []


async def test_a_target_that_never_returns_is_told_and_well_again_when_it_does(spool: Spool) -> None:
    told: list[Health] = []
    gate, clock = Gate(), Clock()
    async with delivering(
        [ToldTarget("a", gate), ToldTarget("b")],
        on_health=told.append,
        limits={"a": Limits(1)},
        under_way=UnderWay(120, clock),
    ) as (deliverer, watched):
        deliverer.submit(sealed(spool, "r-1", "a"))
        deliverer.submit(sealed(spool, "r-2", "b"))
        await watched.delivered("r-2")
        await eventually(lambda: gate.hung == 1)
        clock.now = 119
        assert (deliverer.hung(), deliverer.health()[0].fault) == ({}, None)
        clock.now = 120
        await eventually(lambda: told[-1].target == "a")
        assert told[-1].error_code == "target.unreachable"
        assert not isinstance(told[-1].fault, TransientError)  # so it is told at once
        assert "for 2 minutes" in (told[-1].error or "")
        assert (told[-1].failures, told[-1].running) == (1, 1)
        assert deliverer.hung() == {"r-1": "a"}
        gate.open()
        await watched.delivered("r-1")
        await eventually(lambda: (told[-1].target, told[-1].fault) == ("a", None))
        assert deliverer.hung() == {}


async def test_what_hangs_in_a_target_that_was_taken_away_is_still_known(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_recorder.spool.delivery.RETIRING", 0.01)
    gate, clock = Gate(), Clock()
    async with delivering([ToldTarget("a", gate)], under_way=UnderWay(120, clock)) as (deliverer, _):
        deliverer.submit(sealed(spool, "r-1", "a"))
        await eventually(lambda: gate.hung == 1)
        deliverer.take_out("a")
        clock.now = 120
        assert deliverer.hung() == {"r-1": "a"}
        gate.open()
        await eventually(lambda: deliverer.hung() == {})
