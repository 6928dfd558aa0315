"""How targets do, as conditions: told once it matters, and over when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from ari_recorder.config.targets.limits import Limits
from ari_recorder.model.errors import ConfigError, PermanentError, RecorderError, TransientError
from ari_recorder.rules.policy import parse_policy
from ari_recorder.runtime.conditions import Conditions, Severity
from ari_recorder.runtime.deliveries import Deliveries
from ari_recorder.runtime.foundations import Foundations
from ari_recorder.spool.folders import Spool
from ari_recorder.spool.lane import Health
from tests.unit.cli.spool_host import Host
from tests.unit.spool.recordings import ToldTarget, recording, sealed
from tests.unit.spool.test_delivery import Failing, eventually

UNREACHABLE = TransientError("target.unreachable", "It does not answer.")
LOGIN = ConfigError("target.login", "It refused.", remedy="Check the password.")
OFF = ConfigError("target.disabled", "It is switched off.")
DENIED = PermanentError("target.denied", "It may not write there.", remedy="Give it the right.")


@pytest.fixture
def conditions() -> Conditions:
    return Conditions()


@pytest.fixture
def deliveries(tmp_path: Path, conditions: Conditions) -> Iterator[Deliveries]:
    host = Host(tmp_path / "host")
    policy = parse_policy((host.folder / "policy.toml").read_text(encoding="utf-8"))
    with Spool(tmp_path / "spool") as spool:
        base = SimpleNamespace(machine=host.machine, policy=policy, spool=spool)
        yield Deliveries(cast(Foundations, base), conditions, lambda _: None)


def failing(fault: RecorderError | None, failures: int) -> Health:
    return Health("archive", 5, 0, failures, fault)


def test_what_may_pass_by_itself_is_told_when_it_fails_again(
    deliveries: Deliveries, conditions: Conditions
) -> None:
    deliveries._heard(failing(UNREACHABLE, 1))
    assert conditions.active() == ()
    deliveries._heard(failing(UNREACHABLE, 2))
    (one,) = conditions.active()
    assert (one.key, one.code, one.severity) == ("target:archive", "target.unreachable", Severity.CRITICAL)
    deliveries._heard(failing(None, 0))
    assert conditions.active() == ()


@pytest.mark.parametrize(("fault", "severity"), [(LOGIN, Severity.CRITICAL), (OFF, Severity.WARNING)])
def test_what_a_person_must_mend_is_told_at_once(
    deliveries: Deliveries, conditions: Conditions, fault: RecorderError, severity: Severity
) -> None:
    deliveries._heard(failing(fault, 1))
    (one,) = conditions.active()
    assert (one.code, one.severity, one.remedy) == (fault.code, severity, fault.remedy)


def test_recordings_that_are_blocked_one_by_one_are_one_condition(
    deliveries: Deliveries, conditions: Conditions
) -> None:
    deliveries._heard(Health("archive", 20_000, 0, 0, blocked=19_000, obstacle=DENIED))
    (one,) = conditions.active()
    assert (one.key, one.code) == ("deliveries:archive", "target.denied")
    assert one.sentence.startswith('19000 recordings cannot be delivered to target "archive".')
    deliveries._heard(Health("archive", 0, 0, 0))
    assert conditions.active() == ()


async def test_a_target_whose_connections_break_for_ever_is_told(
    deliveries: Deliveries, conditions: Conditions
) -> None:
    torn = TransientError("target.torn", "The connection broke.", remedy="Look at the network.")
    target = ToldTarget("archive", Failing(torn))
    deliveries._deliverer.put_in(target, Limits())
    running = asyncio.create_task(deliveries.run())
    for number in range(5):
        deliveries.submit(sealed(deliveries._base.spool, f"r-{number}", "archive"))
    await eventually(conditions.active)
    (one,) = conditions.active()
    assert (one.key, one.code, one.remedy) == ("deliveries:archive", "target.torn", torn.remedy)
    assert one.sentence == '5 recordings cannot be delivered to target "archive". The connection broke.'
    await deliveries.close(5)
    await running


def test_what_failed_in_an_earlier_life_is_told_with_its_code(
    deliveries: Deliveries, conditions: Conditions
) -> None:
    reasons = {"r-1": "Nothing there. [capture.no-legs]", "r-2": "Odd. [no.such-code]", "r-3": None}
    deliveries.failed([replace(recording(own), reason=reason) for own, reason in reasons.items()])
    assert {c.key: c.code for c in conditions.active()} == {
        "recording:r-1": "capture.no-legs",
        "recording:r-2": "audio.leg",
        "recording:r-3": "audio.leg",
    }
