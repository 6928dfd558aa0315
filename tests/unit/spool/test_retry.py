"""Whether and when a delivery is tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.model.delivery import DeliveryState
from ari_recorder.model.errors import (
    CODES,
    ConfigError,
    IntegrityError,
    PermanentError,
    RecorderError,
    TransientError,
)
from ari_recorder.spool.retry import WHOLE_TARGET, Pauses, Verdict, decide

from .recordings import AT

DOWN = TransientError("target.unreachable", "It does not answer.")
TORN = TransientError("target.torn", "It broke.")
LOGIN = ConfigError("target.login", "It refused.")
CONFLICT = PermanentError("target.conflict", "Another file stands there.")
MISMATCH = IntegrityError("target.mismatch", "It gave back something else.")
ALTERED = IntegrityError("evidence.altered", "It is not what was sealed.")
EVEN = Pauses(jitter=0.0)


def verdict(
    error: RecorderError, attempts: int = 1, failures: int = 1, chance: float = 0.5, pauses: Pauses = EVEN
) -> Verdict:
    return decide(
        error, attempts=attempts, target_failures=failures, now=AT, random=lambda: chance, pauses=pauses
    )


def pause(*words: object, **more: object) -> float:
    return (verdict(*words, **more).next_try_at - AT).total_seconds()  # type: ignore[arg-type]


def test_pauses_double_from_five_seconds_to_an_hour() -> None:
    pauses = [pause(TORN, attempts) for attempts in range(1, 13)]
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]


def test_a_passing_fault_stays_waiting_however_often() -> None:
    assert {verdict(TORN, n).state for n in range(1, 100)} == {DeliveryState.WAITING}


@pytest.mark.parametrize("error", [LOGIN, CONFLICT, ALTERED], ids=lambda e: e.code)
def test_what_a_person_must_mend_is_blocked_and_tried_again_slowly(error: RecorderError) -> None:
    assert verdict(error).state is DeliveryState.BLOCKED
    assert [pause(error, n, n) for n in (1, 2, 3, 4, 5)] == [600, 1200, 2400, 3600, 3600]


def test_a_mismatch_is_given_three_chances() -> None:
    states = [verdict(MISMATCH, n).state for n in (1, 2, 3, 4, 5)]
    assert states == [DeliveryState.WAITING] * 3 + [DeliveryState.BLOCKED] * 2
    assert pause(MISMATCH, 1) == 5
    assert pause(MISMATCH, 4) == 3600


def test_a_fault_of_the_whole_target_counts_the_targets_failures() -> None:
    assert verdict(DOWN).whole_target
    assert verdict(LOGIN).whole_target
    assert pause(DOWN, attempts=9, failures=1) == 5
    assert pause(DOWN, attempts=1, failures=4) == 40


def test_a_fault_of_one_recording_counts_its_own() -> None:
    assert not verdict(CONFLICT).whole_target
    assert pause(TORN, attempts=1, failures=9) == 5


@given(
    st.integers(0, 10**9),
    st.floats(0, 1),
    st.sampled_from([DOWN, TORN, LOGIN, CONFLICT, MISMATCH, ALTERED]),
)
def test_no_pause_is_nothing_or_for_ever(attempts: int, chance: float, error: RecorderError) -> None:
    seconds = pause(error, attempts, attempts, chance, Pauses())
    assert 4 <= seconds <= 3600


@pytest.mark.parametrize(("asked", "pause_"), [(None, 5), (0.0, 5), (3.0, 5), (120.0, 120), (7200.0, 7200)])
def test_nobody_asks_before_the_time_that_the_target_named(asked: float | None, pause_: float) -> None:
    error = TransientError("target.busy", "It asks to be left alone.", retry_after=asked)
    assert pause(error) == pause_
    assert verdict(error).whole_target


def test_jitter_keeps_them_apart() -> None:
    assert pause(TORN, 3, chance=0.0, pauses=Pauses()) == 16
    assert pause(TORN, 3, chance=1.0, pauses=Pauses()) == 24


def test_the_codes_of_whole_targets_exist() -> None:
    assert set(CODES) >= WHOLE_TARGET


def test_it_is_pure() -> None:
    assert verdict(DOWN) == verdict(DOWN)
    assert verdict(DOWN).next_try_at == AT + timedelta(seconds=5)
