"""The machine's settings: defaults, places, secrets, and what is said when they are wrong."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ari_recorder.config.machine import (
    USUAL,
    LogFormat,
    LogLevel,
    Machine,
    find_machine,
    load_machine,
    parse_machine,
)
from ari_recorder.config.monitoring import MonitoringSettings
from ari_recorder.config.problems import ConfigFileError
from ari_recorder.config.starter import MACHINE, PASSWORD_FILE
from ari_recorder.model.errors import ConfigError

PBX = '[pbx.berlin]\nuser = "recorder"\npassword = "geheim-4711"\n'
FOLDER = Path("/etc/ari-recorder")


def machine(text: str = PBX) -> Machine:
    return parse_machine(text, folder=FOLDER)


def test_defaults() -> None:
    got = machine()
    assert got.recorder.spool == Path("/var/spool/ari-recorder")
    assert got.recorder.state == Path("/var/lib/ari-recorder")
    assert got.recorder.policy == Path("/etc/ari-recorder/policy.toml")
    assert (got.recorder.log_level, got.recorder.log_format) == (LogLevel.INFO, LogFormat.TEXT)
    assert got.seal.key == Path("/var/lib/ari-recorder/seal/key.pem")
    assert got.seal.certificate == Path("/var/lib/ari-recorder/seal/certificate.pem")
    assert got.seal.passphrase_file == FOLDER / "seal.passphrase"
    assert got.seal.key_bits == 3072
    pbx = got.pbx["berlin"]
    assert pbx.url == "http://127.0.0.1:8088"
    assert pbx.recording_folder == Path("/var/spool/asterisk/recording")
    assert pbx.sounds_folder == Path("/usr/share/asterisk/sounds")
    assert pbx.technologies == ("PJSIP",)
    assert pbx.read_password() == "geheim-4711"


@pytest.mark.parametrize(
    ("more", "recordings"),
    [
        ("", Path("/var/spool/asterisk/recording")),
        ('recordings = "ari"', None),
        ('recordings = "shared"', FOLDER / "shared"),
        ('url = "http://[::1]:8088"', Path("/var/spool/asterisk/recording")),
        ('url = "https://pbx.example:8089"', None),
        ('url = "https://pbx.example:8089"\nrecordings = "/mnt/pbx"', Path("/mnt/pbx")),
    ],
)
def test_legs_come_from_a_folder_or_through_ari(more: str, recordings: Path | None) -> None:
    assert machine(PBX + more).pbx["berlin"].recording_folder == recordings


def test_relative_paths_count_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    text = '[recorder]\nspool = "spool"\npolicy = "../policy.toml"\n' + PBX.replace(
        "password =", "password_file ="
    )
    (tmp_path / "conf" / "config.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    got = load_machine(Path("conf/config.toml"))
    assert got.recorder.spool == tmp_path / "conf" / "spool"
    assert got.recorder.policy == tmp_path / "conf" / "../policy.toml"
    assert got.pbx["berlin"].password_file == tmp_path / "conf" / "geheim-4711"


def test_the_key_follows_the_state_folder() -> None:
    got = machine('[recorder]\nstate = "st"\n[seal]\ncertificate = "my.pem"\n' + PBX)
    assert got.seal.key == FOLDER / "st/seal/key.pem"
    assert got.seal.certificate == FOLDER / "my.pem"


def test_several_pbxs_keep_their_order() -> None:
    text = PBX + PBX.replace("berlin", "a.b-c_2".join('""')) + '[pbx.x]\nuser = "u"\npassword_file = "p"\n'
    assert list(machine(text).pbx) == ["berlin", "a.b-c_2", "x"]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://127.0.0.1:8088/", "http://127.0.0.1:8088"),
        ("http://127.0.0.1:8088/ari", "http://127.0.0.1:8088"),
        ("https://pbx.example.org/asterisk/ari/", "https://pbx.example.org/asterisk"),
        ("http://[::1]:8088", "http://[::1]:8088"),
    ],
)
def test_addresses(given: str, url: str) -> None:
    assert machine(f'{PBX}url = "{given}"').pbx["berlin"].url == url


@pytest.mark.parametrize("show", [repr, str, Machine.model_dump_json, lambda m: str(m.model_dump())])
def test_secrets_are_never_shown(show: object) -> None:
    assert callable(show)
    assert "geheim" not in str(show(machine()))


def test_settings_are_frozen() -> None:
    got = machine()
    with pytest.raises(ValueError, match="frozen"):
        got.seal.key_bits = 4096
    assert pickle.loads(pickle.dumps(got)) == got  # noqa: S301 - our own bytes


def test_password_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(b"first line \r\nsecond\n")
    text = PBX.replace('password = "geheim-4711"', 'password_file = "p"')
    assert parse_machine(text, folder=tmp_path).pbx["berlin"].read_password() == "first line "
    (tmp_path / "p").unlink()
    with pytest.raises(ConfigError, match="No such file") as caught:
        parse_machine(text, folder=tmp_path).pbx["berlin"].read_password()
    assert caught.value.code == "config.unreadable"
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ("", None, "", 'the file needs "pbx".'),
        ("[pbx]\n", None, "pbx", "names no PBX"),
        ("pbx = 5\n", 1, "pbx", "must be a table, not 5."),
        ('[pbx]\nurl = "x"\n', 2, "pbx.url", "must be a table"),
        (PBX + 'pasword = "x"\n', 4, "pbx.berlin.pasword", 'did you mean "password"?'),
        (PBX + 'password_file = "x"\n', 1, "pbx.berlin", 'exactly one of "password" and "password_file"'),
        ('[pbx.a]\nuser = "u"\n', 1, "pbx.a", 'exactly one of "password" and "password_file"'),
        ('[pbx.a]\npassword = "geheim"\n', 1, "pbx.a", 'needs "user"'),
        ('[pbx.a]\nuser = ""\npassword = "x"\n', 2, "pbx.a.user", "must not be empty"),
        ("[pbx.a]\nuser = 'u'\npassword = 4711\n", 3, "pbx.a.password", "must be text in quotes."),
        ("[pbx.'a b']\nuser = 'u'\npassword = 'x'\n", 1, 'pbx."a b"', "must be a name of at most 64"),
        (PBX + 'url = "127.0.0.1:8088"', 4, "pbx.berlin.url", "such as http://127.0.0.1:8088"),
        (PBX + 'url = "http://u:geheim@h"', 4, "pbx.berlin.url", "must not hold a user or password"),
        (PBX + 'url = "http://h:99999"', 4, "pbx.berlin.url", "must be an address"),
        (PBX + 'url = "http://h/?a"', 4, "pbx.berlin.url", "must not hold"),
        (PBX + "technologies = []", 4, "pbx.berlin.technologies", "must not be empty"),
        (PBX + 'technologies = ["PJSIP",\n"P/x"]', 5, "pbx.berlin.technologies[2]", "such as PJSIP"),
        (PBX + "recordings = ''", 4, "pbx.berlin.recordings", "must not be empty"),
        (PBX + 'sounds = "\\u0000"', 4, "pbx.berlin.sounds", "NUL"),
        (PBX + "[seal]\nkey_bits = 2048\n", 5, "seal.key_bits", "must be at least 3072"),
        (PBX + '[seal]\nkey_bits = "4096"\n', 5, "seal.key_bits", 'must be a whole number, not "4096"'),
        (PBX + "[seal]\nkey_bits = true\n", 5, "seal.key_bits", "must be a whole number, not true"),
        (PBX + "[seal]\nkeybits = 4096\n", 5, "seal.keybits", 'did you mean "key_bits"?'),
        ('[recorder]\nlog_level = "warn"\n' + PBX, 2, "recorder.log_level", 'did you mean "warning"?'),
        ('[recorder]\nLog_Format = "json"\n' + PBX, 2, "recorder.Log_Format", 'did you mean "log_format"?'),
        ("[recorder]\nspool = 5\n" + PBX, 2, "recorder.spool", "must be a path in quotes, not 5"),
        ("[recoder]\n" + PBX, 1, "recoder", 'did you mean "recorder"?'),
        ("recorder = 'x'\n" + PBX, 1, "recorder", "must be a table"),
    ],
)
def test_mistakes(text: str, line: int | None, key: str, says: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        machine(text)
    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (line, key)
    assert says in problem.sentence
    assert "geheim" not in str(caught.value)
    assert "4711" not in str(caught.value)


def test_where_the_file_is_looked_for() -> None:
    there = {"ARI_RECORDER_CONFIG": "/there.toml"}
    assert find_machine(Path("/here.toml"), there) == Path("/here.toml")
    assert find_machine(None, there) == Path("/there.toml")
    assert find_machine(None, {"ARI_RECORDER_CONFIG": ""}) == USUAL
    assert find_machine(None, {}) == USUAL


def test_the_starter_file_is_valid() -> None:
    got = machine(MACHINE)
    assert got.pbx["asterisk"].password_file == FOLDER / PASSWORD_FILE
    assert got.recorder.policy == FOLDER / "policy.toml"


def test_the_starter_files_comments_are_valid_and_show_the_defaults() -> None:
    lines = [
        line.removeprefix("# ") if " = " in line or "[" in line[:3] else line for line in MACHINE.split("\n")
    ]
    got = machine("\n".join(lines))
    assert [outlet.name for outlet in got.alerts.outlets] == ["ops", "chat"]
    assert got.monitoring == MonitoringSettings()
    assert got.recorder == machine(MACHINE).recorder
    (pbx,), (usual,) = got.pbx.values(), machine(MACHINE).pbx.values()
    assert (pbx.recordings, pbx.sounds) == (usual.recording_folder, usual.sounds_folder)
    assert pbx.model_copy(update={"recordings": None, "sounds": None}) == usual
    assert got.seal.common_name == "Example Ltd, call recording"
    assert got.seal.model_copy(update={"common_name": "ari-recorder"}) == machine(MACHINE).seal
