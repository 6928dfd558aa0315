"""Medians, ratios and percentiles; and the report that is made of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.bench.assembly import Assembly
from tests.bench.figures import Sample, Spread, Way, percentile, ratios
from tests.bench.health import Health
from tests.bench.report import FORMAT, Report
from tests.bench.rounds import Plan


def sample(way: Way, asterisk: float, recorder: float = 0.0) -> Sample:
    """Twenty calls of 20 s: 4 CPU seconds are 1 % of a core for each."""
    return Sample(
        way=way,
        calls=20,
        seconds=20.0,
        asterisk=4 * asterisk,
        recorder=4 * recorder,
        asterisk_once=0.01,
        recorder_once=0.05 if recorder else 0.0,
        others=0.5,
        phones=0.2,
        late=0.01,
    )


def round_(unrecorded: float, mixmonitor: float, asterisk: float, recorder: float) -> list[Sample]:
    return [
        sample(Way.UNRECORDED, unrecorded),
        sample(Way.MIXMONITOR, mixmonitor),
        sample(Way.RECORDER, asterisk, recorder),
    ]


def test_percent_is_of_one_core_and_for_one_call() -> None:
    found = sample(Way.RECORDER, 1.5, 0.25)
    assert found.percent == pytest.approx(1.5)
    assert found.recorder_percent == pytest.approx(0.25)
    assert found.whole_percent == pytest.approx(1.75)


def test_ratios_of_one_round() -> None:
    found = ratios(round_(0.5, 1.0, 1.25, 0.25))
    assert found.asterisk_to_mixmonitor == pytest.approx(1.25)
    assert found.whole_to_mixmonitor == pytest.approx(1.5)
    assert found.asterisk_to_unrecorded == pytest.approx(2.5)
    assert found.whole_to_unrecorded == pytest.approx(3.0)
    assert found.mixmonitor_to_unrecorded == pytest.approx(2.0)
    assert found.asterisk_added == pytest.approx(1.5)
    assert found.whole_added == pytest.approx(2.0)


def test_a_machine_that_grows_slower_changes_no_ratio() -> None:
    drifting = [each for slow in (1, 2, 5) for each in round_(0.5 * slow, 1.0 * slow, 1.2 * slow, 0.2 * slow)]
    assert ratios(drifting).whole_to_mixmonitor == pytest.approx(1.4)
    assert ratios(drifting).whole_added == pytest.approx(1.8)


def test_one_disturbed_round_of_three_changes_no_ratio() -> None:
    calm = round_(0.5, 1.0, 1.2, 0.2)
    disturbed = round_(0.5, 1.0, 9.0, 3.0)
    assert ratios([*calm, *disturbed, *calm]).whole_to_mixmonitor == pytest.approx(1.4)


def test_a_round_that_was_not_finished_does_not_count() -> None:
    unfinished = [*round_(0.5, 1.0, 1.2, 0.2), sample(Way.UNRECORDED, 7.0), sample(Way.MIXMONITOR, 7.0)]
    assert ratios(unfinished) == ratios(unfinished[:3])


@pytest.mark.parametrize("samples", [[], [sample(Way.UNRECORDED, 1.0)]])
def test_without_a_whole_round_there_is_no_ratio(samples: list[Sample]) -> None:
    assert ratios(samples).whole_to_mixmonitor is None


def test_what_was_too_small_to_measure_divides_nothing() -> None:
    found = ratios(round_(1.0, 1.0, 1.2, 0.2))
    assert found.whole_added is None
    assert found.whole_to_mixmonitor == pytest.approx(1.4)


@pytest.mark.parametrize(("percent", "expected"), [(1, 1), (50, 5), (51, 6), (95, 10), (100, 10)])
def test_percentiles_are_values_that_occurred(percent: float, expected: float) -> None:
    assert percentile([10, 1, 9, 2, 8, 3, 7, 4, 6, 5], percent) == expected


@pytest.mark.parametrize(("values", "percent"), [([], 50.0), ([1.0], 0.0), ([1.0], 101.0)])
def test_a_percentile_of_nothing_is_refused(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError):
        percentile(values, percent)


def test_a_spread_of_nothing_is_none() -> None:
    assert Spread.of([]) is None
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(3, 2.0, 3.0, 3.0)


@pytest.fixture
def report() -> Report:
    samples = [*round_(0.5, 1.0, 1.25, 0.25), *round_(0.5, 1.0, 1.25, 0.25)]
    health = Health(
        rolling=[0.03, 0.04],
        polls=[0.001, 0.030],
        recordings=2,
        exact=2,
        seconds=[21.0, 21.5],
        peak_bytes=1 << 26,
    )
    return Report(Plan(20, 20, 2), "22.10.1", samples, health, Assembly(1.0, 0.2, 0.8))


def test_people_see_the_ratios_first(report: Report) -> None:
    text = report.text()
    assert max(len(each) for each in text.splitlines()) <= 100
    assert text.index("as ratios") < text.index("% of a core")
    (pair,) = (each.split() for each in text.splitlines() if "ari-recorder : MixMonitor" in each)
    assert pair[-2:] == ["1.25", "1.50"]
    assert "50.0% over 20 ms" in text
    assert "64 MiB" in text


def test_programs_get_the_same_and_every_sample(report: Report) -> None:
    document = json.loads(json.dumps(report.document()))
    assert document["format"] == FORMAT
    assert document["ratios"]["whole_to_mixmonitor"] == pytest.approx(1.5)
    assert document["ways"]["ari-recorder"]["recorder_percent"] == pytest.approx(0.25)
    assert [len(document["ways"][way]["rounds"]) for way in Way] == [2, 2, 2]
    assert document["recorder"]["rolling"]["p95"] == pytest.approx(0.04)
    assert document["recorder"]["sealed"] is None
    assert document["assembly"]["ratio"] == pytest.approx(4.0)


def test_without_sox_there_is_no_comparison(report: Report) -> None:
    alone = replace(report, assembly=Assembly(1.0, 0.2, None))
    assert "sox is not installed" in alone.text()
    assert alone.document()["assembly"]["ratio"] is None
