"""Conditions begin, change and end; `status` shows those that last."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ari_recorder.cli.app import app
from ari_recorder.model.errors import TransientError
from ari_recorder.runtime import presence
from ari_recorder.runtime.conditions import Change, Condition, Conditions, Severity
from ari_recorder.runtime.presence import MOST_CONDITIONS, PbxPresence, Presence

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Heard:
    """Conditions on a clock of their own, and what a listener was told."""

    def __init__(self) -> None:
        self.now = NOON
        self.conditions = Conditions(lambda: self.now)
        self.told: list[tuple[Change, str, Severity]] = []
        self.conditions.listen(lambda change, one: self.told.append((change, one.code, one.severity)))

    def begin(self, code: str = "target.torn", severity: Severity = Severity.WARNING) -> None:
        self.now += timedelta(seconds=1)
        self.conditions.begin("target:vault", code, f"{code} at {self.now:%H:%M:%S}.", "Do.", severity)


def test_only_news_are_told_and_the_sentence_is_the_last_one() -> None:
    heard = Heard()
    for _ in range(3):
        heard.begin()
    heard.begin("target.login")
    heard.begin("target.login", Severity.CRITICAL)
    (one,) = heard.conditions.active()
    assert (one.since, one.sentence) == (NOON + timedelta(seconds=1), "target.login at 12:00:05.")
    heard.conditions.end("target:vault")
    heard.conditions.end("target:vault")
    assert heard.told == [
        (Change.BEGAN, "target.torn", Severity.WARNING),
        (Change.CHANGED, "target.login", Severity.WARNING),
        (Change.CHANGED, "target.login", Severity.CRITICAL),
        (Change.ENDED, "target.login", Severity.CRITICAL),
    ]
    assert heard.conditions.active() == ()
    assert heard.conditions.get("target:vault") is None


def test_the_oldest_comes_first_and_codes_must_be_known() -> None:
    heard = Heard()
    heard.begin()
    heard.now += timedelta(seconds=1)
    heard.conditions.begin_with("pbx:main", TransientError("ari.timeout", "No answer.", remedy="Look."))
    assert [one.key for one in heard.conditions.active()] == ["target:vault", "pbx:main"]
    assert heard.conditions.active()[1].remedy == "Look."
    with pytest.raises(ValueError, match="not registered"):
        heard.conditions.begin("x", "no.such-code", "…")
    assert Severity.CRITICAL.weight > Severity.WARNING.weight


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    text = '[recorder]\nspool = "spool"\nstate = "state"\n[pbx.lab]\nuser = "u"\npassword = "p"\n'
    path.write_text(text, encoding="utf-8")
    (tmp_path / "state").mkdir()
    return path


def running(*conditions: Condition) -> Presence:
    now = presence.now()
    pbx = PbxPresence("lab", connected=True, since=now, version="22.1.0")
    return presence.with_conditions(Presence(os.getpid(), "0.1.0", now, now, "r1", (pbx,)), conditions)


def status(config: Path, known: Presence, *words: str) -> tuple[int, str]:
    presence.write(config.parent / "state", known)
    assert presence.read(config.parent / "state") == known
    done = CliRunner().invoke(app, ["status", "--config", str(config), *words])
    return done.exit_code, done.output


def test_status_shows_what_is_wrong_since_when_and_what_to_do(config: Path) -> None:
    since = presence.now() - timedelta(minutes=2)
    warning = Condition(
        "recorder:clock", "recorder.clock", "Clock \x1b[31m off.", "Set it.", Severity.WARNING, since
    )
    code, said = status(config, running(warning))
    assert code == 0, "a warning is no reason to fail"
    for words in ("! Clock", "Set it.", "recorder:clock, since 2:0"):
        assert words in said
    assert "\x1b" not in said
    critical = replace(warning, key="pbx:lab", severity=Severity.CRITICAL)
    code, said = status(config, running(warning, critical), "--json")
    assert code == 1
    document = json.loads(said)
    assert document["well"] is False
    assert [one["key"] for one in document["conditions"]] == ["recorder:clock", "pbx:lab"]


def test_thousands_of_conditions_are_counted_not_shown(config: Path) -> None:
    one = Condition("recording:0", "target.conflict", "No.", "", Severity.WARNING, NOON)
    many = running(*(replace(one, key=f"recording:{n}") for n in range(3000)))
    assert len(many.conditions) == MOST_CONDITIONS
    _, said = status(config, many)
    assert f"… and {3000 - MOST_CONDITIONS} more" in said


def test_of_a_recorder_that_has_ended_no_condition_is_shown(config: Path) -> None:
    one = Condition("pbx:lab", "ari.unreachable", "Away.", "", Severity.CRITICAL, NOON)
    code, said = status(config, replace(running(one), ended_at=presence.now()))
    assert code == 1
    assert "Away." not in said
    assert "not running" in said
