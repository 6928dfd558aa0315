"""Logging in at Microsoft 365, finding the drive, and whom to trust. On the stand-in of `graph_peer`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest
import requests

from ari_recorder.model.errors import ConfigError, PermanentError, TransientError
from ari_recorder.targets.graph import wire
from tests.graph_peer import tls
from tests.graph_peer.server import GraphPeer
from tests.graph_peer.wire import Answer

from .onedrive_scene import LARGE, Scene, failure, put
from .rig_onedrive import ROOT
from .test_contract import PATH, MakeSample


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    with made.peer:
        yield made
        made.close()


# Login ---------------------------------------------------------------------------------------------------


def test_a_secret_from_a_file(scene: Scene, sample: MakeSample, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(scene.peer.entra.secret + "\n")
    scene.put(sample(b"x"), client_secret=None, client_secret_file=tmp_path / "secret")
    assert scene.peer.entra.granted == ["client_credentials"]


@pytest.mark.parametrize("order", ["key first", "certificate first"])
@pytest.mark.parametrize("passphrase", [None, "pässphrase"])
def test_a_certificate(
    scene: Scene, sample: MakeSample, tmp_path: Path, order: str, passphrase: str | None
) -> None:
    path = tmp_path / "app.pem"
    scene.peer.entra.certificate = tls.client_certificate(path, order=order, passphrase=passphrase)
    scene.put(sample(b"x"), client_secret=None, certificate_file=path, passphrase=passphrase)
    if passphrase is not None:
        error = scene.failure(sample(b"x"), client_secret=None, certificate_file=path, passphrase="wrong")
        assert (error.code, type(error)) == ("target.login", ConfigError)
        assert "certificate_file" in error.remedy


def test_a_certificate_that_is_not_registered(scene: Scene, sample: MakeSample, tmp_path: Path) -> None:
    tls.client_certificate(tmp_path / "app.pem")
    scene.peer.entra.certificate = tls.client_certificate(tmp_path / "other.pem")
    error = scene.failure(sample(b"x"), client_secret=None, certificate_file=tmp_path / "app.pem")
    assert error.code == "target.login"
    assert "AADSTS700027" in error.sentence


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_wrong(scene: Scene, sample: MakeSample, tmp_path: Path, hours: int) -> None:
    scene.peer.entra.certificate = tls.client_certificate(tmp_path / "app.pem")
    right = scene.peer.entra.clock
    scene.peer.entra.clock = lambda: right() + hours * 3600
    error = scene.failure(sample(b"x"), client_secret=None, certificate_file=tmp_path / "app.pem")
    assert error.code == "target.login"
    assert "clock" in error.sentence


@pytest.mark.parametrize(
    "content", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_a_file_that_is_no_certificate(
    scene: Scene, sample: MakeSample, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "app.pem").write_bytes(content)
    error = scene.failure(sample(b"x"), client_secret=None, certificate_file=tmp_path / "app.pem")
    assert (error.code, type(error)) == ("target.login", ConfigError)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (7000215, "client_secret_file"),
        (7000222, "new one"),
        (700027, "Upload the certificate"),
        (700016, "client_id"),
        (65001, "consent"),
        (50057, "Enable the account"),
        (50076, "app login"),
        (53003, "app login"),
        (700082, "ari-recorder target login archive"),
        (50173, "ari-recorder target login archive"),
    ],
)
def test_a_login_that_is_refused_says_what_to_do(
    scene: Scene, sample: MakeSample, code: int, says: str
) -> None:
    scene.peer.entra.refusing = code
    target, one = scene.target(), sample(b"x")
    error = failure(target, one)
    assert (error.code, type(error)) == ("target.login", ConfigError)
    assert f"AADSTS{code}" in error.sentence
    assert says in error.remedy
    scene.peer.entra.refusing = None
    put(target, one)  # the person has mended it: no restart is needed


def test_no_such_tenant_and_app(scene: Scene, sample: MakeSample) -> None:
    assert "tenant" in scene.failure(sample(b"x"), tenant="other.example").remedy
    error = scene.failure(sample(b"x"), client_id="00000000-0000-0000-0000-000000000000")
    assert (error.code, "client_id" in error.remedy) == ("target.login", True)


@pytest.mark.parametrize(
    ("permission", "enough"),
    [
        ("Sites.ReadWrite.All", True),
        ("Sites.Selected", True),
        ("Files.ReadWrite.All", False),
        ("Files.Read.All", False),
    ],
)
def test_what_an_app_must_be_granted(scene: Scene, sample: MakeSample, permission: str, enough: bool) -> None:
    """By Microsoft's page, `Files.ReadWrite.All` is not enough for an app's upload session."""
    scene.peer.entra.permissions = frozenset({permission})
    if enough:
        scene.put(sample(b"x"))
    else:
        error = scene.failure(sample(b"x"))
        assert (error.code, type(error)) == ("target.denied", PermanentError)
        assert "docs/howto/deliver-to-onedrive.md" in error.remedy


def test_a_token_that_is_taken_no_more_is_renewed_once(scene: Scene, sample: MakeSample) -> None:
    target = scene.target()
    put(target, sample(b"x"), PurePosixPath("one"))
    scene.peer.entra.revoke()
    put(target, sample(b"x"), PurePosixPath("two"))
    assert len(scene.peer.entra.granted) == 2
    scene.peer.faults.refuse("item", 401, "InvalidAuthenticationToken", times=2)
    error = failure(target, sample(b"x"))
    assert (error.code, type(error)) == ("target.login", ConfigError)


def test_a_token_is_not_used_to_its_very_end(scene: Scene, sample: MakeSample) -> None:
    scene.peer.entra.lifetime = 301  # of which the last 300 s are not trusted
    target = scene.target()
    put(target, sample(b"x"), PurePosixPath("one"))
    target.session.login._until = time.monotonic()
    put(target, sample(b"x"), PurePosixPath("two"))
    assert len(scene.peer.entra.granted) == 2


def test_a_redirected_login_tells_the_secret_to_nobody(
    scene: Scene, sample: MakeSample, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever is asked for a token keeps it to himself where to go next."""
    with GraphPeer(tmp_path / "other") as other:
        trusted = tmp_path / "both.pem"
        trusted.write_bytes(scene.peer.ca_file.read_bytes() + other.ca_file.read_bytes())
        elsewhere = Answer(307, {"access_token": "geheim"}, headers={"Location": f"{other.address}/x/token"})
        scene.peer.faults.plan("token", elsewhere)
        error = scene.failure(sample(b"x"), ca_file=trusted)
        assert error.code in ("target.unreachable", "target.login")
        assert other.log == []
        assert "geheim" not in caplog.text


def test_what_is_no_token_is_not_logged(
    scene: Scene, sample: MakeSample, caplog: pytest.LogCaptureFixture
) -> None:
    scene.peer.faults.plan("token", Answer(200, body=b'{"access_token": "geheim", cut off'))
    assert scene.failure(sample(b"x")).code == "target.unreachable"
    assert "geheim" not in caplog.text


def test_an_answer_without_an_end_is_given_up(scene: Scene, sample: MakeSample) -> None:
    scene.peer.faults.plan("item", Answer(200, body=b"[" * (wire.LARGEST + 1)))
    assert scene.failure(sample(b"x")).code == "target.torn"


def test_an_answer_that_drips_is_given_up() -> None:
    class Drip:
        def read1(self, _size: int, *, decode_content: bool) -> bytes:
            return b" " if decode_content else b""

        def close(self) -> None:
            self.closed = True

        release_conn = close

    answer = requests.Response()
    answer.raw = Drip()
    with pytest.raises(requests.ReadTimeout):
        wire._take_in(answer, 0.05)
    assert answer.raw.closed


def test_what_ends_soon_is_told_also_while_the_login_service_is_away(scene: Scene) -> None:
    soon = datetime.now(UTC).date() + timedelta(days=3)
    ending, lasting = scene.target(secret_expires=soon), scene.target()
    assert [error.code for error in ending.login_warnings()] == ["target.expiring"]
    assert lasting.login_warnings() == ()
    scene.peer.faults.refuse("token", 503, times=2)
    lasting.session.login._until = ending.session.login._until = time.monotonic()
    assert [error.code for error in ending.login_warnings()] == ["target.expiring"]
    with pytest.raises(TransientError):
        lasting.login_warnings()


# Place ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        {"user": None, "site": "https://contoso.example/sites/archive", "library": "recordings"},
        {"user": None, "site": "contoso.example/sites/archive"},
        {"user": None, "drive": "b!drive-1"},
    ],
    ids=["library", "site", "drive"],
)
def test_drives(scene: Scene, sample: MakeSample, place: dict[str, object]) -> None:
    one = sample(b"x")
    found = put(scene.target(**place), one)
    assert scene.stands(one)
    assert found.link == f"https://contoso.example/Documents/{ROOT}/2026/11/21"


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ({"user": "nobody@contoso.example"}, "nobody@contoso.example"),
        ({"user": None, "site": "contoso.example/sites/none"}, "sites/none"),
        ({"user": None, "site": "contoso.example/sites/archive", "library": "none"}, "Recordings"),
        ({"user": None, "drive": "b!none"}, "b!none"),
        ({"folder": "none"}, "none"),
    ],
)
def test_places_that_do_not_exist(
    scene: Scene, sample: MakeSample, place: dict[str, object], says: str
) -> None:
    error = scene.failure(sample(b"x"), **place)
    if "folder" in place:
        assert (error.code, type(error)) == ("target.missing", PermanentError)
    else:
        assert (error.code, type(error)) == ("target.no-drive", ConfigError)
    assert says in str(error)


def test_the_root_of_a_drive_and_deep_folders(scene: Scene, sample: MakeSample) -> None:
    scene.put(sample(b"x"), PurePosixPath("at-root"), folder="")
    scene.put(sample(b"y"), PurePosixPath("a/b/c/d"), folder="")
    assert (scene.peer.drive.folder / "a/b/c/d").read_bytes() == b"y"
    target = scene.target(folder="new/place")
    target.prepare()
    target.prepare()
    put(target, sample(b"z"))
    assert (scene.peer.drive.folder / "new/place" / PATH).read_bytes() == b"z"


def test_a_file_where_a_folder_should_be(scene: Scene, sample: MakeSample) -> None:
    (scene.root / "2026").write_bytes(b"a file")
    error = scene.failure(sample(b"x"))
    assert (error.code, type(error)) == ("target.denied", PermanentError)


def test_names_differ_by_more_than_case(scene: Scene, sample: MakeSample) -> None:
    target = scene.target()
    put(target, sample(b"one"), PurePosixPath("Folder/NAME"))
    with pytest.raises(PermanentError) as caught:
        put(target, sample(b"two"), PurePosixPath("folder/name"))
    assert caught.value.code == "target.conflict"


def test_a_folder_that_is_renamed_takes_no_file_along(scene: Scene, sample: MakeSample) -> None:
    """Its id stays, and the recorder remembers ids."""
    target, one = scene.target(), sample(b"one")
    put(target, sample(b"before"), PATH.with_name("before"))
    scene.peer.drive.rename((scene.root / PATH).parent, "renamed")
    assert failure(target, one).code == "target.torn"
    assert [p.name for p in scene.root.rglob("*") if p.is_file()] == ["before"]
    put(target, one)
    assert scene.stands(one)


# Trust ---------------------------------------------------------------------------------------------------


def test_a_server_that_is_not_trusted(scene: Scene, sample: MakeSample, tmp_path: Path) -> None:
    other, _ = tls.make(tmp_path / "other")
    for ca_file in (other, None):
        error = scene.failure(sample(b"x"), ca_file=ca_file)
        assert (error.code, type(error)) == ("target.certificate", ConfigError)
        assert "ca_file" in error.remedy


def test_the_environment_changes_nothing(
    scene: Scene, sample: MakeSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, _ = tls.make(tmp_path / "other")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    for name, value in {
        "REQUESTS_CA_BUNDLE": str(other),
        "CURL_CA_BUNDLE": str(other),
        "SSL_CERT_FILE": str(other),
        "NETRC": str(tmp_path / "netrc"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    one = sample(os.urandom(LARGE))
    scene.put(one)
    assert scene.stands(one)


def test_a_proxy_that_is_not_there(scene: Scene, sample: MakeSample) -> None:
    error = scene.failure(sample(b"x"), proxy="http://127.0.0.1:9")
    assert (error.code, type(error)) == ("target.unreachable", TransientError)
    assert "proxy" in error.remedy
