"""The commands as a shell and a machine see them: words, JSON, exit codes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from ari_recorder import __version__
from ari_recorder.cli.app import app
from ari_recorder.cli.console import emit, errors_explained
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.delivery import Delivery, DeliveryState
from ari_recorder.model.recording import Call, Chosen, Recording, State
from ari_recorder.runtime import presence
from ari_recorder.runtime.presence import PbxPresence, Presence
from ari_recorder.spool.folders import Spool


def ask(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration made by `init`, with its folders moved below tmp_path."""
    assert ask("init", "--folder", str(tmp_path)).exit_code == 0
    path = tmp_path / "config.toml"
    text = path.read_text(encoding="utf-8")
    text = text.replace('policy = "policy.toml"', 'policy = "policy.toml"\nspool = "spool"\nstate = "state"')
    path.write_text(text, encoding="utf-8")
    (tmp_path / "state").mkdir()
    return path


def test_help_is_good_enough_to_work_from() -> None:
    text = ask("--help").output
    for command in ("init", "check", "run", "explain", "status", "verify", "demo"):
        assert command in text
        page = ask(command, "--help")
        assert page.exit_code == 0
        assert "--json" in page.output
        assert "To come" not in page.output


def test_version() -> None:
    assert ask("--version").output.strip() == f"ari-recorder {__version__}"


def test_wrong_usage_is_2() -> None:
    assert ask("explain", "--form", "1").exit_code == 2
    assert ask("verify").exit_code == 2
    assert ask("nonsense").exit_code == 2


def test_init_writes_once_and_keeps_what_is_there(tmp_path: Path) -> None:
    first = ask("init", "--folder", str(tmp_path), "--json")
    assert first.exit_code == 0
    written = json.loads(first.output)["written"]
    assert str(tmp_path / "policy.toml") in written
    secret = (tmp_path / "asterisk.password").read_text(encoding="utf-8").strip()
    conf = (tmp_path / "asterisk" / "ari-recorder_password.conf").read_text(encoding="utf-8")
    assert f"password = {secret}\n" in conf
    assert len(secret) >= 32
    assert stat.S_IMODE((tmp_path / "asterisk.password").stat().st_mode) == 0o600
    (tmp_path / "policy.toml").write_text("# mine\n", encoding="utf-8")
    second = json.loads(ask("init", "--folder", str(tmp_path), "--json").output)
    assert second["written"] == []
    assert (tmp_path / "policy.toml").read_text(encoding="utf-8") == "# mine\n"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_a_locale_that_is_not_utf_8_loses_marks_and_no_command(tmp_path: Path, encoding: str) -> None:
    def said(*words: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "ari_recorder", *words]
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        return subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)

    folder = tmp_path / "Büro"
    made = said("init", "--folder", str(folder))
    assert (made.returncode, made.stderr) == (0, b"")
    missing = said("check", "--config", str(folder / "none.toml"))
    assert missing.returncode == 3
    assert b"Traceback" not in missing.stderr
    assert b"config.missing" in missing.stderr
    document = json.loads(said("init", "--folder", str(folder), "--json").stdout.decode(encoding))
    assert str(folder / "policy.toml") in document["kept"]


def test_check_finds_a_setting_for_a_pbx_that_is_not_configured(config: Path) -> None:
    policy = config.with_name("policy.toml")
    text = policy.read_text(encoding="utf-8")
    policy.write_text(text.replace("[[setting]]\n", '[[setting]]\npbx = ["mian"]\n', 1), encoding="utf-8")
    told = json.loads(ask("check", "--config", str(config), "--json").output)
    (found,) = [f for part in told["sections"].values() for f in part if f["code"] == "policy.pbx"]
    assert "mian; known are asterisk" in found["detail"]


def test_what_is_logged_meanwhile_does_not_stand_in_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with errors_explained(as_json=True):
        structlog.get_logger().error("of a room", action="test")
        emit({"answer": 1})
    said = capsys.readouterr()
    assert json.loads(said.out) == {"answer": 1}
    assert "of a room" in said.err


def test_init_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = ask("init", "--folder", str(tmp_path / "file"))
    assert result.exit_code == 3
    assert "Traceback" not in result.output


def test_a_missing_configuration_is_said_with_a_remedy(tmp_path: Path) -> None:
    for command in ("check", "run", "status", "explain"):
        words = [command, "--config", str(tmp_path / "none.toml"), "--json"]
        result = ask(*words)
        assert result.exit_code == 3, command
        error = json.loads(result.output)["error"]
        assert error["code"] == "config.missing"
        assert "ari-recorder init" in error["remedy"]


def test_explain_takes_what_a_real_call_brings(config: Path) -> None:
    policy = config.with_name("policy.toml")
    line = 'name = "Line"\ndirections = ["outbound"]\ntrunk_numbers = ["+4930100"]\nusers = ["bob"]\n'
    policy.write_text(f"{policy.read_text(encoding='utf-8')}\n[[setting]]\n{line}", encoding="utf-8")
    words = ("explain", "--config", str(config), "--from", "1001", "--to", "+4915112345678", "--json")
    known = ("--trunk-number", "+4930100", "--from-user", "PJSIP/bob")
    assert not json.loads(ask(*words).output)["decision"]["record"]
    told = json.loads(ask(*words, *known).output)
    assert (told["decision"]["setting"], told["facts"]["caller_names"]) == ("Line", ["PJSIP/bob"])
    assert told["prevented"] == ""


def test_explain_says_which_setting_decides(config: Path) -> None:
    policy = config.with_name("policy.toml")
    policy.write_text(policy.read_text(encoding="utf-8").replace("enabled = false", "enabled = true"))
    words = ("explain", "--config", str(config), "--from", "+4915112345678", "--to", "1001")
    answer = json.loads(ask(*words, "--json").output)
    assert answer["decision"]["record"] is True
    assert answer["decision"]["setting"] == "Outside calls"
    assert "Recorded (selected)" in ask(*words).output
    refused = ask(*words[:4], "+4930123456", "--to", "1001")
    assert "works council" in refused.output
    forbidden = json.loads(ask(*words, "--wish", "forbid", "--json").output)
    assert forbidden["decision"]["reason"] == "forbidden"
    assert "Outside calls" in ask("explain", "--config", str(config)).output
    assert ask(*words[:-2]).exit_code == 2


def a_recording(number: int, **changes: object) -> Recording:
    recording = Recording(
        id=f"20261121T12000000{number}-aaaa",
        state=State.CAPTURING,
        decided_at=presence.now() - timedelta(seconds=65),
        call=Call("asterisk", "c1", Direction.INBOUND, Party("+4930\x1b[31m", "x"), Party("1001")),
        setting=Chosen("Sales", "r1", targets=("archive",)),
        deliveries=(Delivery("archive"),),
    )
    return Recording(**{**{f: getattr(recording, f) for f in recording.__slots__}, **changes})


def test_status_shows_recorder_pbx_recordings_and_what_is_stuck(config: Path) -> None:
    folder = config.parent
    nothing = ask("status", "--config", str(config))
    assert nothing.exit_code == 1
    assert "No recorder has run here yet" in nothing.output
    now = presence.now()
    pbx = PbxPresence("asterisk", connected=True, since=now, version="22.10.1")
    presence.write(folder / "state", Presence(os.getpid(), "0.1.0", now, now, "abc", (pbx,)))
    with Spool(folder / "spool") as spool:
        spool.create(a_recording(1))
        well = ask("status", "--config", str(config))
        assert well.exit_code == 0, well.output
        assert "● recording" in well.output
        assert "\x1b[31m" not in well.output
        delivery = Delivery(
            "archive", state=DeliveryState.BLOCKED, attempts=3, error_code="target.login", error="No."
        )
        spool.create(a_recording(2, state=State.DELIVERING, deliveries=(delivery,)))
        (folder / "spool" / "broken").mkdir()
        (folder / "spool" / "broken" / "recording.json").write_text("{", encoding="utf-8")
    stuck = ask("status", "--config", str(config), "--json")
    assert stuck.exit_code == 1
    document = json.loads(stuck.output)
    assert document["well"] is False
    assert document["damaged"].keys() == {"broken"}, document["damaged"]
    states = {r["state"] for r in document["recordings"]}
    assert states == {"capturing", "delivering"}


def test_a_recorder_that_no_longer_beats_is_not_running(config: Path) -> None:
    past = presence.now() - timedelta(minutes=5)
    presence.write(config.parent / "state", Presence(os.getpid(), "0.1.0", past, past, "abc"))
    document = json.loads(ask("status", "--config", str(config), "--json").output)
    assert document["recorder"]["running"] is False


def test_verify_of_nothing_is_a_finding(tmp_path: Path) -> None:
    result = ask("verify", str(tmp_path), "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["ok"] is False
    assert ask("verify", "--script").output.startswith("#!/bin/sh")


def test_check_names_what_is_missing_and_how_to_mend_it(config: Path) -> None:
    text = config.read_text(encoding="utf-8").replace("127.0.0.1:8088", "127.0.0.1:9")
    sounds = config.parent / "sounds"
    sounds.mkdir()
    text = text.replace('# sounds = "/usr/share/asterisk/sounds"', f'sounds = "{sounds}"')
    config.write_text(text, encoding="utf-8")
    policy = config.with_name("policy.toml")
    archive = policy.read_text(encoding="utf-8").replace(
        "/var/lib/ari-recorder/archive", str(config.parent / "a")
    )
    policy.write_text(archive, encoding="utf-8")
    result = ask("check", "--config", str(config), "--json")
    assert result.exit_code == 1
    document = json.loads(result.output)
    assert document["ok"] is False
    found = {f["code"]: f for findings in document["sections"].values() for f in findings}
    assert found["pbx.reachable"]["level"] == "fail"
    assert found["pbx.reachable"]["remedy"]
    assert found["policy.settings"]["level"] == "warn"
    assert found["policy.valid"]["level"] == "ok"


def test_check_says_why_a_prompt_cannot_be_played(config: Path) -> None:
    text = config.read_text(encoding="utf-8").replace("127.0.0.1:8088", "127.0.0.1:9")
    nowhere = config.parent / "nowhere"
    config.write_text(text.replace("# sounds =", f'sounds = "{nowhere}" #'), encoding="utf-8")
    result = ask("check", "--config", str(config), "--json")
    found = json.loads(result.stdout)["sections"]["PBX asterisk"]
    (said,) = [finding for finding in found if finding["code"] == "prompt.installed"]
    assert said["detail"] == f"Asterisk's folder for sounds {nowhere} is not there."
    assert 'Correct "sounds"' in said["remedy"]
