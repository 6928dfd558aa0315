"""A bandwidth, on a real server: all uploads together keep to it, and a torn one goes on all the same."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

import pytest

from ari_recorder.targets.pace import BURST, Pace, paced
from ari_recorder.targets.ssh import session as ssh

from .conftest import NETWORKED
from .relay import Relay
from .rig import Rig
from .test_contract import PATH, MakeSample, part_of, put

each_kind = pytest.mark.parametrize("rig", NETWORKED, indirect=True)
each_that_holds_a_connection = pytest.mark.parametrize("rig", ["sftp", "smb"], indirect=True)


@each_kind
def test_uploads_side_by_side_keep_to_it_together(rig: Rig, sample: MakeSample) -> None:
    rate, size, many = 1_000_000, 400_000, 4
    samples = [sample(os.urandom(size)) for _ in range(many)]
    with Relay(rig.port) as relay:
        target, pace = rig.through(relay.port, timeout=10), Pace(rate)

        def upload(number: int) -> None:
            with paced(pace):
                put(target, samples[number], PurePosixPath(f"{number}"))

        begun = time.monotonic()
        with ThreadPoolExecutor(many) as pool:
            list(pool.map(upload, range(many)))
        seconds = time.monotonic() - begun
        assert size * many <= relay.sent
    assert size * many / rate - BURST <= seconds < 3 * size * many / rate + 5
    assert pace.taken == size * many  # nothing was sent twice, and what was read back does not count


@each_that_holds_a_connection
def test_waiting_for_our_own_turn_is_not_the_servers_silence(rig: Rig, sample: MakeSample) -> None:
    """As with many uploads at once: each waits for all the others between two of its pieces."""
    one, target = sample(os.urandom(10_000)), rig.impatient(0.5)
    target.stat(PATH)
    with paced(crowded := Crowded(20_000)):
        put(target, one)
    assert crowded.waits >= 2
    assert rig.read(PATH) == one.path.read_bytes()


class Crowded(Pace):
    """Its every piece has to wait for those of many others."""

    waits = 0

    def take(self, size: int) -> None:
        self.waits += 1
        for _ in range(8):
            super().take(size // 2)


@each_that_holds_a_connection
def test_a_torn_upload_goes_on_at_once_whatever_the_bandwidth(rig: Rig, sample: MakeSample) -> None:
    """What stands there already is compared at full speed: at the pace that would last for ever."""
    size, left, rate = 3_000_000, 40_000, 20_000
    one, pace = sample(os.urandom(size)), Pace(rate)
    assert size - left < ssh.UNSURE
    rig.plant(part_of(one), one.path.read_bytes()[: size - left])
    begun = time.monotonic()
    with paced(pace):
        put(rig.impatient(3.0), one)
    assert time.monotonic() - begun < left / rate + 10
    assert pace.taken == left
    assert rig.read(PATH) == one.path.read_bytes()
    assert rig.names() == [str(PATH)]
