"""Targets that cannot be used now, or that hang, among others that can: each waits for itself."""

from __future__ import annotations

import threading
from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.config import targets as config
from ari_recorder.disk import faults
from ari_recorder.model.delivery import DeliveryState
from ari_recorder.model.errors import ConfigError
from ari_recorder.spool.folders import Spool
from ari_recorder.spool.retry import WHOLE_TARGET
from ari_recorder.targets.base import Target
from ari_recorder.targets.register import make_target

from ..spool.recordings import SUFFIXES, local_target, sealed, stored
from ..spool.test_delivery import delivering, delivery, eventually


def incomplete(name: str = "vault") -> Target:
    return make_target(config.SftpTarget(kind="sftp", name=name, user="recorder"))


def disabled(folder: Path, name: str = "vault") -> Target:
    return make_target(config.LocalTarget(kind="local", name=name, folder=folder, enabled=False))


def test_every_call_says_what_is_missing(tmp_path: Path) -> None:
    path, target = PurePosixPath("x"), incomplete()
    for work in (
        target.prepare,
        lambda: target.put(tmp_path, path, sha256="", size=0),
        lambda: target.stat(path),
        lambda: target.open(path),
        lambda: target.delete(path),
    ):
        with pytest.raises(ConfigError) as caught:
            work()
        assert caught.value.code == "target.incomplete"
        assert (
            "host; password, password_file or key_file; known_hosts or fingerprint" in caught.value.sentence
        )
    target.close()
    assert {"target.incomplete", "target.disabled"} <= WHOLE_TARGET


@pytest.mark.parametrize("kind", ["incomplete", "disabled"])
async def test_a_recording_waits_for_it_and_goes_to_the_others(tmp_path: Path, kind: str) -> None:
    with Spool(tmp_path / "spool") as spool:
        unusable = incomplete() if kind == "incomplete" else disabled(tmp_path / "off")
        targets = [unusable, local_target(tmp_path / "well", "well")]
        folder = sealed(spool, "r-1", "vault", "well")
        async with delivering(targets) as (deliverer, watched):
            deliverer.submit(folder)
            await watched.until(lambda r: all(d.attempts for d in r.deliveries) and len(r.deliveries) == 2)
        assert delivery(folder, "well").state is DeliveryState.DELIVERED
        waits = delivery(folder, "vault")
        assert (waits.state, waits.error_code) == (DeliveryState.BLOCKED, f"target.{kind}")
        assert "recordings for it wait" in (waits.error or "")
        assert not (tmp_path / "off").exists()
        async with delivering([local_target(tmp_path / "off", "vault"), targets[1]]) as (deliverer, watched):
            deliverer.submit(folder)  # as after a restart with the policy completed
            await watched.delivered()
        assert stored(tmp_path / "off") == stored(tmp_path / "well")


async def test_a_mount_that_hangs_holds_only_its_own_lane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threads at work on one folder stand still inside the file system, as on a frozen NFS server."""
    thaw = threading.Event()

    def frozen(point: str) -> None:
        if point == "local.opened" and threading.current_thread().name == "deliver-hung":
            thaw.wait(20)

    monkeypatch.setattr(faults, "hook", frozen)
    with Spool(tmp_path / "spool") as spool:
        targets = [local_target(tmp_path / name, name) for name in ("hung", "well")]
        async with delivering(targets) as (deliverer, watched):
            for number in range(5):
                deliverer.submit(sealed(spool, f"r-{number}", "hung", "well"))
            await eventually(lambda: len(stored(tmp_path / "well")) >= 5 * len(SUFFIXES))
            await eventually(
                lambda: {h.target: h.waiting for h in deliverer.health()} == {"hung": 5, "well": 0}
            )
            assert not any(path.endswith(".wav") for path in stored(tmp_path / "hung") if ".part" not in path)
            thaw.set()
            for number in range(5):
                await watched.delivered(f"r-{number}")
