"""What may be written as a target's limits, and when its hours are: also over midnight and on the days when
the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ari_recorder.config.targets.limits import Limits, rate, window
from ari_recorder.model.errors import ConfigError
from ari_recorder.rules.policy import parse_policy

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "bytes_a_second"),
    [
        ("20 Mbit/s", 2_500_000),
        ("20Mbit/s", 2_500_000),
        ("2 MB/s", 2_000_000),
        ("1.5 MiB/s", 1_572_864),
        ("500 kB/s", 500_000),
        ("64 kbit/s", 8_000),
        ("1 Gbit/s", 125_000_000),
        ("100000 B/s", 100_000),
    ],
)
def test_a_rate_is_read(text: str, bytes_a_second: int) -> None:
    assert rate(text).bytes == bytes_a_second
    assert str(rate(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "20", "20 Mbit", "20 Mbps", "20 mb/s", "-1 MB/s", "1e9 B/s", "1 kB/s", "0 MB/s", "nan MB/s", 20],
)
def test_a_rate_that_is_none_is_refused(text: object) -> None:
    with pytest.raises(ValueError):
        rate(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "18-6", "18:00", "25:00-26:00", "24:00-06:00", "18:00-18:00", "Mo-Fr", "Mon-Fri-Sun",
     "18:60-19:00", "mon 18:00-19:00", "18:00-19:00 ", "Mon  18:00-19:00", "Mon-", 18, None],
)  # fmt: skip
def test_hours_that_are_none_are_refused(text: object) -> None:
    with pytest.raises(ValueError):
        window(text)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def limits(*windows: str) -> Limits:
    return Limits(hours=tuple(window(text) for text in windows))


@pytest.mark.parametrize(
    ("windows", "at", "opens"),
    [
        (["18:00-06:00"], "2026-11-21T17:59:59", "2026-11-21T18:00"),
        (["18:00-06:00"], "2026-11-21T18:00", None),
        (["18:00-06:00"], "2026-11-22T05:59:59", None),
        (["18:00-06:00"], "2026-11-22T06:00", "2026-11-22T18:00"),
        # A window over midnight belongs to the day it begins on: Friday's ends on Saturday morning.
        (["Mon-Fri 18:00-06:00"], "2026-11-21T05:59", None),
        (["Mon-Fri 18:00-06:00"], "2026-11-21T06:00", "2026-11-23T18:00"),
        (["Mon-Fri 18:00-06:00"], "2026-11-23T05:00", "2026-11-23T18:00"),
        (["Sat-Sun"], "2026-11-20T23:59", "2026-11-21T00:00"),
        (["Sat,Sun 00:00-24:00"], "2026-11-22T23:59", None),
        (["Fri-Mon 08:00-09:00"], "2026-11-23T09:00", "2026-11-27T08:00"),
        (["Mon-Fri 18:00-06:00", "Sat-Sun"], "2026-11-21T12:00", None),
        ([], "2026-11-21T12:00", None),
        # The night in which 02:00 to 03:00 does not exist, and the one in which it comes twice.
        (["02:30-06:00"], "2027-03-28T01:59", "2027-03-28T03:00"),
        (["02:30-06:00"], "2027-03-28T03:00", None),
        (["22:00-02:30"], "2027-03-28T03:00", "2027-03-28T22:00"),
        (["18:00-06:00"], "2027-03-27T12:00", "2027-03-27T18:00"),
        (["03:00-04:00"], "2026-10-25T01:00", "2026-10-25T03:00"),
    ],
)
def test_hours(windows: list[str], at: str, opens: str | None) -> None:
    told = limits(*windows).opens_at(berlin(at), BERLIN)
    assert told == (None if opens is None else berlin(opens))
    assert limits(*windows).open_at(berlin(at), BERLIN) is (opens is None)


def test_the_hour_that_comes_twice_counts_twice() -> None:
    first, second = datetime(2026, 10, 25, 0, 45, tzinfo=UTC), datetime(2026, 10, 25, 1, 45, tzinfo=UTC)
    for at in (first, second):
        assert at.astimezone(BERLIN).hour == 2
        assert limits("02:30-03:00").open_at(at, BERLIN)
    between = datetime(2026, 10, 25, 1, 20, tzinfo=UTC)
    assert between.astimezone(BERLIN).strftime("%H:%M") == "02:20"
    assert limits("02:30-06:00").opens_at(between, BERLIN) == between + timedelta(minutes=10)


def test_a_policy_has_them() -> None:
    head = '[[target]]\nname = "a"\nkind = "local"\nfolder = "x"\n'
    text = 'at_once = 3\nbandwidth = "2 MB/s"\nhours = ["Mon-Fri 18:00-06:00", "Sat-Sun"]\n'
    (target,) = parse_policy(head + text).targets
    found = target.limits
    assert found.bandwidth is not None
    assert (found.at_once, found.bandwidth.bytes, [str(w) for w in found.hours]) == (
        3, 2_000_000, ["Mon-Fri 18:00-06:00", "Sat-Sun"]
    )  # fmt: skip
    (plain,) = parse_policy(head).targets
    assert plain.limits == Limits()
    assert parse_policy(head + text).targets[0] == target
    assert parse_policy(head + text.replace("2 MB/s", "3 MB/s")).targets[0] != target


@pytest.mark.parametrize("text", ["at_once = 0", 'bandwidth = "fast"', "bandwidth = 3", 'hours = ["18"]'])
def test_what_is_wrong_is_said_in_the_files_words(text: str) -> None:
    head = '[[target]]\nname = "a"\nkind = "local"\nfolder = "x"\n'
    with pytest.raises(ConfigError) as caught:
        parse_policy(head + text)
    assert text.partition(" ")[0] in str(caught.value)
