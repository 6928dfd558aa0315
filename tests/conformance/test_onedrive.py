"""What only Microsoft 365 does to us: sessions, throttling, logins that end, labels. On `graph_peer`."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.config import targets as config
from ari_recorder.disk.faults import FAULT_VARIABLE
from ari_recorder.model.delivery import Receipt
from ari_recorder.model.errors import (
    ConfigError,
    IntegrityError,
    PermanentError,
    RecorderError,
    TransientError,
)
from ari_recorder.targets.onedrive import OneDriveTarget
from tests.graph_peer import tls
from tests.graph_peer.drives import Drive
from tests.graph_peer.faults import Tear
from tests.graph_peer.server import GraphPeer

from .rig import Sample
from .rig_onedrive import ROOT, onedrive_settings, vault_in
from .test_contract import PATH, MakeSample

FRAGMENT_KIB = 320
FRAGMENT = FRAGMENT_KIB * 1024
LARGE = 5 * FRAGMENT + 1


class Scene:
    """One peer, and the targets made for it, all of one recorder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.peer = GraphPeer(folder / "peer")
        self.root = self.peer.drive.folder / ROOT
        self.root.mkdir()
        self.vault = vault_in(folder)
        self._made: list[OneDriveTarget] = []

    def settings(self, **changes: object) -> config.OneDriveTarget:
        return onedrive_settings(self.peer, **({"fragment": FRAGMENT_KIB} | changes))

    def target(self, **changes: object) -> OneDriveTarget:
        made = OneDriveTarget(self.settings(**changes), self.vault)
        self._made.append(made)
        return made

    def put(self, sample: Sample, path: PurePosixPath = PATH, **changes: object) -> Receipt:
        return put(self.target(**changes), sample, path)

    def failure(self, sample: Sample, **changes: object) -> RecorderError:
        return failure(self.target(**changes), sample)

    def stands(self, sample: Sample) -> bool:
        return (self.root / PATH).exists() and (self.root / PATH).read_bytes() == sample.path.read_bytes()

    def close(self) -> None:
        for target in self._made:
            target.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    with made.peer:
        yield made
        made.close()


def put(target: OneDriveTarget, sample: Sample, path: PurePosixPath = PATH) -> Receipt:
    return target.put(sample.path, path, sha256=sample.sha256, size=sample.size)


def failure(target: OneDriveTarget, sample: Sample) -> RecorderError:
    with pytest.raises(RecorderError) as caught:
        put(target, sample)
    text = str(caught.value)
    assert "geheim" not in text
    assert "tempauth" not in text
    assert caught.value.remedy or caught.value.code == "target.torn"
    return caught.value


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


# Sessions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tear", Tear)
@pytest.mark.parametrize(
    ("operation", "nth"),
    [("item", 1), ("folder", 1), ("folder", 3), ("create-session", 1), ("fragment", 1), ("fragment", 3),
     ("last-fragment", 1), ("token", 1), ("login", 1), ("drive", 1)],
)  # fmt: skip
def test_torn_before_and_after_each_request(
    scene: Scene, sample: MakeSample, tear: Tear, operation: str, nth: int
) -> None:
    one, target = sample(os.urandom(LARGE)), scene.target()
    scene.peer.faults.plan(operation, tear, nth=nth)
    error = failure(target, one)
    assert (error.code, type(error)) == ("target.torn", TransientError)
    put(target, one)
    assert scene.stands(one)
    assert scene.peer.uploads.received == LARGE, "what the service had was sent again"


@pytest.mark.parametrize("tear", Tear)
def test_an_empty_file_torn(scene: Scene, sample: MakeSample, tear: Tear) -> None:
    one, target = sample(b""), scene.target()
    scene.peer.faults.plan("empty", tear)
    assert failure(target, one).code == "target.torn"
    put(target, one)
    assert scene.stands(one)


def resumed_elsewhere(scene: Scene, one: Sample) -> OneDriveTarget:
    """A target of the next life of the recorder: the upload broke off in this one."""
    scene.peer.faults.plan("fragment", Tear.BEFORE, nth=3)
    assert scene.failure(one).code == "target.torn"
    return scene.target()


def test_resumed_after_a_restart(scene: Scene, sample: MakeSample) -> None:
    one = sample(os.urandom(LARGE))
    put(resumed_elsewhere(scene, one), one)
    assert scene.stands(one)
    assert (scene.peer.uploads.received, scene.peer.uploads.made) == (LARGE, 1)


def test_the_address_of_an_upload_is_kept_secret(scene: Scene, sample: MakeSample) -> None:
    resumed_elsewhere(scene, sample(os.urandom(LARGE)))
    (number,) = scene.peer.uploads.sessions
    kept = [path for path in scene.folder.joinpath("state").rglob("*") if path.is_file()]
    assert [path.name for path in kept] == ["archive.uploads"]
    for path in kept:
        assert number.encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoilt", ["expired", "unreadable", "other passphrase"])
def test_an_upload_that_cannot_go_on_begins_anew(scene: Scene, sample: MakeSample, spoilt: str) -> None:
    one = sample(os.urandom(LARGE))
    target = resumed_elsewhere(scene, one)
    if spoilt == "expired":
        scene.peer.uploads.forget()
    elif spoilt == "unreadable":
        (scene.folder / "state/archive.uploads").write_bytes(b"rubbish")
    else:
        (scene.folder / "seal.passphrase").write_text("another\n")
    put(target, one)
    assert scene.stands(one)
    assert scene.peer.uploads.made == 2


def test_a_session_that_ends_in_the_middle(scene: Scene, sample: MakeSample) -> None:
    one, target = sample(os.urandom(LARGE)), scene.target()
    scene.peer.faults.refuse("fragment", 404, "itemNotFound", nth=3)
    error = failure(target, one)
    assert (error.code, type(error)) == ("target.torn", TransientError)
    put(target, one)
    assert scene.stands(one)


def test_a_range_that_the_service_has_already_is_asked_for(scene: Scene, sample: MakeSample) -> None:
    one = sample(os.urandom(LARGE))
    scene.peer.faults.refuse("fragment", 416, "invalidRange", nth=3)
    scene.put(one)
    assert scene.stands(one)
    assert scene.peer.count("session") == 1
    scene.peer.faults.refuse("fragment", 416, "invalidRange", times=2)
    other = scene.target()
    with pytest.raises(RecorderError):
        put(other, one, PurePosixPath("other"))  # but not for ever


@pytest.mark.parametrize("same", [True, False])
def test_another_writer_is_faster(scene: Scene, sample: MakeSample, same: bool) -> None:
    """409 with the last fragment."""
    one = sample(os.urandom(LARGE))

    class Faster(Drive):
        def commit(self, part: Path, parent: Path, name: str, *, replace: bool) -> Path:
            (parent / name).write_bytes(one.path.read_bytes() if same else os.urandom(LARGE))
            return super().commit(part, parent, name, replace=replace)

    scene.peer.drive.__class__ = Faster
    if same:
        assert scene.put(one).how == "read-back"
    else:
        assert scene.failure(one).code == "target.conflict"
    assert ("last-fragment", 409) in scene.peer.log
    assert not scene.peer.uploads.sessions, "the session was not given up"


@pytest.mark.parametrize(
    ("operation", "status", "code", "wanted", "kind"),
    [
        ("create-session", 507, "quotaLimitReached", "target.full", PermanentError),
        ("last-fragment", 507, "quotaLimitReached", "target.full", PermanentError),
        ("fragment", 507, "insufficientStorage", "target.full", PermanentError),
        ("create-session", 423, "resourceLocked", "target.locked", TransientError),
        ("create-session", 403, "accessDenied", "target.denied", PermanentError),
        ("folder", 403, "accessDenied", "target.denied", PermanentError),
        ("create-session", 400, "invalidRequest", "target.denied", PermanentError),
        ("fragment", 500, "generalException", "target.unreachable", TransientError),
        ("item", 502, "badGateway", "target.unreachable", TransientError),
        ("item", 503, "serviceNotAvailable", "target.unreachable", TransientError),
        ("token", 503, "x", "target.unreachable", TransientError),
        ("login", 500, "x", "target.unreachable", TransientError),
    ],
)
def test_refusals_end_in_the_right_class(
    scene: Scene,
    sample: MakeSample,
    operation: str,
    status: int,
    code: str,
    wanted: str,
    kind: type[RecorderError],
) -> None:
    one, target = sample(os.urandom(LARGE)), scene.target()
    scene.peer.faults.refuse(operation, status, code)
    error = failure(target, one)
    assert (error.code, type(error)) == (wanted, kind), error
    put(target, one)
    assert scene.stands(one)


@pytest.mark.parametrize("operation", ["item", "create-session", "fragment", "last-fragment", "folder"])
@pytest.mark.parametrize("status", [429, 503])
def test_throttling_is_obeyed_by_everybody(
    scene: Scene, sample: MakeSample, operation: str, status: int
) -> None:
    one, target = sample(os.urandom(LARGE)), scene.target()
    scene.peer.faults.refuse(operation, status, "activityLimitReached", Retry_After="120")
    error = failure(target, one)
    assert (error.code, type(error)) == ("target.busy", TransientError)
    assert isinstance(error, TransientError)
    assert error.retry_after == 120
    asked = len(scene.peer.log)
    again = failure(target, sample(b"another"))
    assert isinstance(again, TransientError)
    assert again.retry_after is not None
    assert 100 < again.retry_after <= 120
    assert len(scene.peer.log) == asked, "the service was asked before its time"


def test_a_date_to_wait_for(scene: Scene, sample: MakeSample) -> None:
    at = datetime.now(UTC) + timedelta(seconds=90)
    scene.peer.faults.refuse("item", 429, "tooManyRequests", Retry_After=format_datetime(at, usegmt=True))
    error = scene.failure(sample(b"x"))
    assert isinstance(error, TransientError)
    assert error.retry_after is not None
    assert 60 < error.retry_after <= 90


@pytest.mark.parametrize(
    "fault", ["onedrive.session:1", "onedrive.fragment:1", "onedrive.fragment:4", "onedrive.committed:1"]
)
def test_killed_in_the_middle(scene: Scene, sample: MakeSample, tmp_path: Path, fault: str) -> None:
    """SIGKILL; the next process goes on with the same session and sends no confirmed fragment again."""
    one = sample(os.urandom(LARGE))
    (tmp_path / "settings").write_bytes(pickle.dumps(scene.settings()))
    words = [tmp_path / "settings", tmp_path / "state", tmp_path / "seal.passphrase", one.path, PATH]

    def run(**environment: str) -> int:
        return subprocess.run(
            [sys.executable, "-m", "tests.conformance.killed_upload", *map(str, words)],
            env=os.environ | environment,
            cwd=Path(__file__).parents[2],
            timeout=60,
            check=False,
        ).returncode

    assert run(**{FAULT_VARIABLE: fault}) == -signal.SIGKILL
    assert (scene.root / PATH).exists() is fault.startswith("onedrive.committed")
    assert run() == 0
    assert scene.stands(one)
    assert (scene.peer.uploads.received, scene.peer.uploads.made) == (LARGE, 1)


def test_closed_while_it_uploads(scene: Scene, sample: MakeSample) -> None:
    one, target = sample(os.urandom(LARGE)), scene.target()
    ask = target.session.ask

    def closing(method: str, *words: object, **more: object) -> object:
        if method == "PUT":
            target.close()
        return ask(method, *words, **more)  # type: ignore[arg-type]

    target.session.ask = closing  # type: ignore[assignment, method-assign]
    assert isinstance(failure(target, one), TransientError)
    assert not (scene.root / PATH).exists()


# Confirmation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hashes", "read_back", "how"),
    [("quickXorHash", False, "server-hash"), ("", False, "read-back"), ("quickXorHash", True, "read-back")],
)
def test_how_it_is_confirmed(
    scene: Scene, sample: MakeSample, hashes: str, read_back: bool, how: str
) -> None:
    scene.peer.drive.hashes = hashes
    assert scene.put(sample(os.urandom(LARGE)), read_back=read_back).how == how
    assert (scene.peer.count("download") > 0) is (how == "read-back")


@pytest.mark.parametrize("hashes", ["quickXorHash", ""])
def test_what_is_stored_wrongly_is_deleted_again(scene: Scene, sample: MakeSample, hashes: str) -> None:
    scene.peer.drive.hashes = hashes
    scene.peer.uploads.spoil = True
    one, target = sample(os.urandom(LARGE)), scene.target()
    error = failure(target, one)
    assert (error.code, type(error)) == ("target.mismatch", IntegrityError)
    assert not (scene.root / PATH).exists()
    put(target, one)
    assert scene.stands(one)


def test_a_file_with_the_same_quick_hash_is_not_taken_for_ours(scene: Scene, sample: MakeSample) -> None:
    """Two silences of the same length: QuickXorHash sees no difference."""
    scene.put(sample(b"\xd5" * 320_000))
    assert scene.failure(sample(b"\xff" * 320_000)).code == "target.conflict"


# Labels --------------------------------------------------------------------------------------------------


def test_a_retention_label(scene: Scene, sample: MakeSample) -> None:
    one, target = sample(b"x"), scene.target(retention_label="Ten years")
    error = failure(target, one)
    assert (error.code, type(error)) == ("target.label", PermanentError)
    assert "Ten years" in error.sentence
    assert scene.stands(one)
    scene.peer.drive.labels.add("Ten years")
    put(target, one)
    assert scene.peer.drive.labelled == {f"{ROOT}/{PATH}": "Ten years"}
    scene.peer.faults.refuse("label", 429, "tooManyRequests", Retry_After="7")
    assert scene.failure(sample(b"x"), retention_label="Ten years").code == "target.busy"


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
