"""Settings of SMB targets and of tunnels, right and wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ari_recorder.config.targets import SmbTarget
from ari_recorder.model.errors import ConfigError
from ari_recorder.targets.incomplete import IncompleteTarget
from ari_recorder.targets.register import make_target
from ari_recorder.targets.share.errors import account
from ari_recorder.targets.smb import SmbTarget as Target

WHOLE = {"kind": "smb", "name": "n", "host": "h", "share": "s", "user": "u", "password": "p"}
TUNNEL = {"host": "gate", "user": "t", "key_file": "/k", "fingerprint": "SHA256:" + "A" * 43}


def settings(**changes: object) -> SmbTarget:
    values = {**WHOLE, **changes}
    return SmbTarget.model_validate({key: value for key, value in values.items() if value is not None})


def test_what_is_usual() -> None:
    made = settings()
    assert (made.port, made.encrypt, made.folder, made.missing()) == (445, True, "", ())
    assert made.place == "\\\\h\\s"
    assert isinstance(make_target(made), Target)


@pytest.mark.parametrize("key", ["host", "share", "user", "password"])
def test_what_may_come_later(key: str) -> None:
    made = settings(**{key: None})
    assert [missing.split()[0] for missing in made.missing()] == [key]
    assert isinstance(make_target(made), IncompleteTarget)


def test_a_tunnel_that_lacks_something() -> None:
    assert settings(tunnel=TUNNEL).missing() == ()
    assert settings(tunnel={**TUNNEL, "host": None}).missing() == ("tunnel: host",)
    assert settings(tunnel=TUNNEL).place == "\\\\h\\s through gate:22"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"share": "a\\b"}, "share"),
        ({"share": "\\\\server\\share"}, "share"),
        ({"share": ""}, "share"),
        ({"folder": "../out"}, ".."),
        ({"folder": "a/../b"}, ".."),
        ({"folder": "a:b"}, "Windows"),
        ({"host": "h/s"}, "host"),
        ({"port": 0}, "port"),
        ({"timeout": 0.0}, "timeout"),
        ({"encrypt": "no"}, "encrypt"),
        ({"user": "a\nb"}, "control"),
        ({"password_file": "/p"}, "not both"),
        ({"tunnel": {**TUNNEL, "passphrase": "x", "key_file": None}}, "key_file"),
        ({"tunnel": {**TUNNEL, "port": "22"}}, "port"),
        ({"sign": False}, "sign"),
    ],
)
def test_what_cannot_work(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("written", "kept"),
    [("a/b", "a/b"), ("\\a\\b\\", "a/b"), ("/a//b/", "a/b"), (".", ""), ("./a", "a"), ("ü ä", "ü ä")],
)
def test_folders_with_either_slash(written: str, kept: str) -> None:
    assert settings(folder=written).folder == kept


def test_accounts() -> None:
    assert account(settings()) == "u"
    assert account(settings(domain="CORP")) == "CORP\\u"
    assert account(settings(user="u@corp.example")) == "u@corp.example"


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    made = settings(password="hush", tunnel={**TUNNEL, "passphrase": "quiet"})
    assert "hush" not in repr(made)
    assert "quiet" not in repr(made)
    made = settings(password=None, password_file=tmp_path / "none")
    with pytest.raises(ConfigError) as caught:
        made.read_password()
    assert caught.value.code == "config.unreadable"
