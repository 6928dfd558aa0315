"""When a fault that ought to pass is worth a person's look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ari_recorder.spool.stubborn import LONGEST, MOST, Stubborn

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_the_fifth_in_a_row_whichever_recordings_they_are() -> None:
    made = Stubborn()
    assert [made.failed(f"r-{n}", NOW) for n in range(MOST)] == [False] * (MOST - 1) + [True]
    assert made.known() == {f"r-{n}" for n in range(MOST)}
    made.answered()
    assert made.known() == set()


def test_the_fifth_of_one_recording_whatever_became_of_others() -> None:
    made = Stubborn()
    for _ in range(MOST):
        made.failed("r-1", NOW)
        made.failed("r-2", NOW)
        made.ended("r-2")
        made.answered()
    assert made.known() == {"r-1"}
    made.ended("r-1")
    assert made.known() == set()


def test_the_second_when_nothing_worked_for_long() -> None:
    made = Stubborn()
    assert not made.failed("r-1", NOW)
    assert not made.failed("r-1", NOW + timedelta(minutes=1))
    assert made.failed("r-1", NOW + LONGEST)
    made.answered()
    assert not made.failed("r-2", NOW + LONGEST)
    assert not made.failed("r-2", NOW + LONGEST + timedelta(minutes=1))
