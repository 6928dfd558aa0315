"""Targets as the policy writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ari_recorder.config.targets import TEMPLATE, TEMPLATE_WORDS, LocalTarget, SftpTarget, Target

ADAPTER: TypeAdapter[Target] = TypeAdapter(Target)
FINGERPRINT = "SHA256:" + "aB3+/" * 8 + "xyz"
SFTP = {
    "kind": "sftp",
    "name": "vault",
    "host": "h",
    "user": "u",
    "password": "geheim",
    "fingerprint": FINGERPRINT,
}


def target(**values: object) -> LocalTarget | SftpTarget:
    made = ADAPTER.validate_python(values, context={"folder": Path("/etc/x")})
    assert isinstance(made, LocalTarget | SftpTarget)
    return made


def local(path: str) -> LocalTarget:
    made = target(kind="local", name="a", folder="archive", path=path)
    assert isinstance(made, LocalTarget)
    return made


def test_a_folder() -> None:
    made = target(kind="local", name="archive", folder="archive")
    assert made == LocalTarget(kind="local", name="archive", folder=Path("/etc/x/archive"), path="$Y/$M/$D")


def test_an_sftp_server() -> None:
    made = target(**SFTP)
    assert isinstance(made, SftpTarget)
    assert (made.port, made.folder, made.path, made.timeout) == (22, ".", "$Y/$M/$D", 15.0)
    assert made.read_password() == "geheim"
    assert "geheim" not in repr(made) + made.model_dump_json()


def test_a_password_file_and_a_key(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("geheim\n")
    keyed = SFTP | {"password": None, "key_file": "k", "passphrase": "x"}
    made = target(**(SFTP | {"password": None, "password_file": str(tmp_path / "p")}))
    assert isinstance(made, SftpTarget)
    assert made.read_password() == "geheim"
    made = target(**keyed)
    assert isinstance(made, SftpTarget)
    assert made.key_file == Path("/etc/x/k")
    assert made.read_password() is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key_file": "k"}, "only one of"),
        ({"password_file": "p"}, "only one of"),
        ({"passphrase": "x"}, 'no "key_file"'),
        ({"known_hosts": "k"}, 'either "known_hosts" or "fingerprint"'),
        ({"fingerprint": "MD5:aa:bb"}, "ssh-keygen -l"),
        ({"host": "-oProxyCommand=x"}, "host name"),
        ({"host": "a b"}, "host name"),
        ({"port": 0}, "greater than"),
        ({"port": True}, "integer"),
        ({"folder": ""}, "control characters"),
        ({"folder": "a\nb"}, "control characters"),
        ({"timeout": 0}, "greater than"),
        ({"name": "../x"}, "must be a name"),
        ({"name": "a\n"}, "must be a name"),
        ({"path": "/x"}, "stay inside"),
    ],
)
def test_what_cannot_work_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        target(**(SFTP | change))
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("absent", "missing"),
    [
        ({}, ()),
        ({"host": None}, ("host",)),
        ({"user": None, "fingerprint": None}, ("user", "known_hosts or fingerprint")),
        ({"password": None}, ("password, password_file or key_file",)),
        ({"password": None, "key_file": "k"}, ()),
        ({"fingerprint": None, "known_hosts": "k"}, ()),
    ],
)
def test_what_an_sftp_target_still_lacks(absent: dict[str, Any], missing: tuple[str, ...]) -> None:
    made = target(**(SFTP | absent))
    assert made.missing() == missing
    assert "geheim" not in made.place


def test_a_folder_target_without_a_folder_is_incomplete() -> None:
    assert target(kind="local", name="a").missing() == ("folder",)
    assert target(kind="local", name="a", folder="x").missing() == ()


@pytest.mark.parametrize(
    "path", ["", ".", "$Y/$M", "$Y_$M_$D", "${Y}year", "$$", "$h$m$s", "$trunk_number", "ü/$setting"]
)
def test_path_templates(path: str) -> None:
    assert local(path).path == path


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("$calller", r'did you mean "\$caller"'),
        ("$Yx", r"\$Yx"),
        ("${z}", "known are"),
        ("${Y", "not known"),
        ("$", "not known"),
        ("a/../b", "stay inside"),
        ("/a", "stay inside"),
        ("a\\b", "backslash"),
        ("a\0b", "control"),
        ("x" * 501, "at most 500"),
    ],
)
def test_wrong_path_templates(path: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        local(path)


@given(
    st.lists(
        st.sampled_from([f"${{{word}}}" for word in TEMPLATE_WORDS] + ["$$", "-", "x", "/"]), max_size=10
    )
)
def test_every_word_is_found(parts: list[str]) -> None:
    text = "".join(["a", *parts])
    assert local(text).path == text
    assert sum(found["braced"] is not None for found in TEMPLATE.finditer(text)) == sum(
        "{" in p for p in parts
    )
