"""The forecast, in numbers that can be checked by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.disk.forecast import MEMORY, Rate, forecast

GB = 10**9


def watched(*frees: int, every: float = 10.0) -> Rate:
    rate = Rate()
    for number, free in enumerate(frees):
        rate = rate.seen(number * every, free)
    return rate


def test_a_disk_that_fills_evenly_is_forecast_exactly() -> None:
    frees = [10 * GB - 1_000_000 * 10 * n for n in range(1000)]
    seen = watched(*frees)
    assert seen.bytes_per_second() == pytest.approx(1_000_000, rel=0.01)
    expected = forecast(seen, free=frees[-1], total=20 * GB)
    assert expected.hours == pytest.approx(frees[-1] / 1e6 / 3600, rel=0.01)


def test_the_hours_count_to_the_floor_and_not_to_the_last_byte() -> None:
    seen = watched(*[GB - 1_000_000 * 10 * n for n in range(80)])
    free = seen.free
    plain = forecast(seen, free=free, total=GB)
    floored = forecast(seen, free=free, total=GB, floor=free // 2)
    assert plain.hours is not None
    assert floored.hours == pytest.approx(plain.hours / 2, rel=0.01)
    assert forecast(seen, free=free, total=GB, floor=free + 1).hours == 0
    assert forecast(seen, free=free, total=GB, floor=free + 1).reached


def test_a_disk_that_rests_or_empties_has_no_end() -> None:
    assert forecast(watched(*[GB] * 50), free=GB, total=GB).hours is None
    assert forecast(watched(*range(0, GB, GB // 50)), free=GB, total=GB).hours is None


def test_before_anything_is_measured_the_running_recordings_count() -> None:
    first = forecast(watched(GB), free=GB, total=GB, known=32_000)
    assert first.hours == pytest.approx(GB / 32_000 / 3600)
    # After an hour in which nothing was lost, the measurement has the word.
    assert watched(*[GB] * 720, every=10).bytes_per_second(32_000) < 32_000 / 100


def test_a_large_deletion_does_not_hide_that_the_disk_fills() -> None:
    """50 GB are tidied away once; half an hour later the growth of 1 MB/s is seen again."""
    frees = [100 * GB - 10_000_000 * n for n in range(200)]
    frees += [frees[-1] + 50 * GB - 10_000_000 * n for n in range(180)]
    assert watched(*frees).bytes_per_second() > 800_000


def test_a_steady_flow_through_the_disk_is_no_growth() -> None:
    """Calls of 60 MB a minute that are delivered a minute later."""
    frees = [10 * GB - (60_000_000 if n % 12 >= 6 else 0) for n in range(400)]
    assert watched(*frees).bytes_per_second() < 100_000
    expected = forecast(watched(*frees), free=10 * GB, total=10 * GB)
    assert expected.hours is None or expected.hours > 24


def test_a_clock_that_goes_back_does_no_harm() -> None:
    rate = Rate().seen(100, GB).seen(50, GB - 1000).seen(60, GB - 2000)
    assert 0 <= rate.bytes_per_second() <= 1000 / 10


@given(
    st.lists(st.tuples(st.floats(0.001, 1e6), st.integers(0, 10**15)), min_size=1, max_size=40),
    st.floats(0, 1e9),
)
def test_nothing_makes_it_negative_or_infinite(steps: list[tuple[float, int]], known: float) -> None:
    rate, at = Rate(), 0.0
    for passed, free in steps:
        at += passed
        rate = rate.seen(at, free)
    assert 0 <= rate.seconds <= MEMORY * 1.001
    speed = rate.bytes_per_second(known)
    assert speed >= -1e-6
    assert math.isfinite(speed)
    found = forecast(rate, free=rate.free, total=10**15, known=known)
    assert found.hours is None or found.hours >= 0
