"""Upload sessions: torn, resumed, refused, expired, throttled, paced, killed. On `graph_peer`."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from ari_recorder.disk.faults import FAULT_VARIABLE
from ari_recorder.lab.programs import wait_until
from ari_recorder.model.errors import IntegrityError, PermanentError, RecorderError, TransientError
from ari_recorder.targets.onedrive import OneDriveTarget
from ari_recorder.targets.pace import Pace, paced
from ari_recorder.targets.steps import Step, watched
from tests.graph_peer.drives import Drive
from tests.graph_peer.faults import Tear
from tests.graph_peer.wire import Answer

from .onedrive_scene import FRAGMENT_KIB, LARGE, Scene, failure, put
from .relay import Relay
from .rig import Sample
from .rig_onedrive import Detour
from .test_contract import PATH, MakeSample


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    with made.peer:
        yield made
        made.close()


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


def test_an_upload_lives_for_as_long_as_the_service_last_said(scene: Scene, sample: MakeSample) -> None:
    """Each fragment puts the end of its session off."""
    one = sample(os.urandom(LARGE))
    scene.peer.uploads.lifetime = timedelta(hours=1)
    target = resumed_elsewhere(scene, one)
    target._uploads._kept._clock = lambda: datetime.now(UTC) + timedelta(hours=2)
    put(target, one)
    assert (scene.peer.uploads.received, scene.peer.uploads.made) == (LARGE, 1)


@pytest.mark.parametrize("status", [400, 403, 413, 416])
@pytest.mark.parametrize("operation", ["fragment", "last-fragment"])
def test_a_session_that_refuses_is_given_up(
    scene: Scene, sample: MakeSample, operation: str, status: int
) -> None:
    """The session alone may be to blame, so a new one is tried before a person is asked."""
    one, target = sample(os.urandom(LARGE)), scene.target()
    codes = []
    for made in (1, 2):
        scene.peer.faults.refuse(operation, status, times=2 if status == 416 else 1)
        codes.append(failure(target, one).code)
        assert (scene.peer.uploads.made, len(scene.peer.uploads.sessions)) == (made, 0)
    assert codes == ["target.torn", "target.denied"]
    put(target, one)
    assert scene.stands(one)
    assert scene.peer.uploads.made == 3


def test_a_kept_session_that_refuses_is_given_up_at_once(scene: Scene, sample: MakeSample) -> None:
    """After a restart, too: both for a refused fragment and for a refused question."""
    for number, operation in enumerate(("fragment", "session")):
        one, path = sample(os.urandom(LARGE)), PurePosixPath(f"r-{number}")
        scene.peer.faults.plan("fragment", Tear.BEFORE, nth=3)
        with pytest.raises(TransientError):
            scene.put(one, path)
        scene.peer.faults.refuse(operation, 400, "invalidRequest")
        scene.put(one, path)
        assert (scene.root / path).read_bytes() == one.path.read_bytes()
        assert (scene.peer.uploads.made, len(scene.peer.uploads.sessions)) == (2 * number + 2, 0)


@pytest.mark.parametrize("status", [423, 500])
def test_a_session_is_kept_through_what_passes(scene: Scene, sample: MakeSample, status: int) -> None:
    one, target = sample(os.urandom(LARGE)), scene.target()
    scene.peer.faults.refuse("fragment", status, nth=3)
    assert isinstance(failure(target, one), TransientError)
    scene.peer.faults.refuse("session", status)
    assert isinstance(failure(target, one), TransientError)
    put(target, one)
    assert (scene.peer.uploads.received, scene.peer.uploads.made) == (LARGE, 1)


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
        ("fragment", 401, "unauthenticated", "target.torn", TransientError),
        ("last-fragment", 401, "unauthenticated", "target.torn", TransientError),
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


@pytest.mark.parametrize(
    "operation", ["login", "token", "item", "create-session", "fragment", "last-fragment", "folder"]
)
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


@pytest.mark.parametrize(
    "says",
    [
        {"body": b"Too Many Requests"},
        {"document": {"error": "invalid_request", "error_description": "AADSTS90055: Too many requests."}},
    ],
    ids=["text", "AADSTS90055"],
)
def test_a_login_service_that_throttles_is_obeyed(
    scene: Scene, sample: MakeSample, says: dict[str, Any]
) -> None:
    """In whatever words; and it is not told as a login that a person has to mend."""
    scene.peer.faults.plan("token", Answer(429, headers={"Retry-After": "60"}, **says))
    target = scene.target()
    with pytest.raises(TransientError) as warned:
        target.login_warnings()
    error = failure(target, sample(b"x"))
    assert isinstance(error, TransientError)
    assert (warned.value.code, error.code) == ("target.busy", "target.busy")
    assert error.retry_after is not None
    assert 40 < error.retry_after <= 60
    assert scene.peer.count("token") == 1


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


def test_what_is_read_is_on_the_line_before_more_is_read(scene: Scene, sample: MakeSample) -> None:
    """A bandwidth holds for the line: a quarter of a second may be saved up, not a whole fragment."""
    one, target = sample(os.urandom(LARGE)), scene.target(fragment=2 * FRAGMENT_KIB)
    with Relay(scene.peer.port) as relay:

        class Watched(Pace):
            def take(self, size: int) -> None:
                wait_until("what was taken", lambda: relay.sent >= self.taken, limit=10, every=0.001)
                super().take(size)

        seconds = itertools.count()  # between any two looks at the clock: so nobody waits
        target.session.wire.mount("https://", Detour(relay.port))
        slow = Watched(128 * 1024, clock=lambda: float(next(seconds)))
        with paced(slow):
            put(target, one)
        target.close()
    assert scene.stands(one)
    assert (slow.taken, slow.piece) == (LARGE, 32 * 1024)


def test_a_file_that_fails_while_it_is_sent(scene: Scene, sample: MakeSample) -> None:
    one, target = sample(os.urandom(LARGE)), scene.target()

    def shorten(step: Step) -> None:
        if step is Step.RENAME:
            os.truncate(one.path, LARGE - 1)

    with watched(shorten):
        error = failure(target, one)
    assert (error.code, type(error)) == ("evidence.unreadable", IntegrityError)
    assert not (scene.root / PATH).exists()
