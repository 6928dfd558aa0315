"""What only SMB can do to us: accounts, shares, DFS, names, and others at the same files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FilePipePrinterAccessMask,
    Open,
    ShareAccess,
)

from ari_recorder.lab.ports import HOST
from ari_recorder.lab.programs import wait_until
from ari_recorder.lab.smbd import DFS_SHARE, SHARE, SambaServer
from ari_recorder.model.errors import ConfigError, PermanentError, RecorderError, TransientError
from ari_recorder.targets import paths, trial
from ari_recorder.targets.base import part_name
from ari_recorder.targets.smb import SmbTarget
from ari_recorder.targets.steps import Step, watched

from .rig import Sample
from .rig_smb import smb_settings
from .smb_scene import LIMIT, Scene, failure, names_below, scene_of
from .test_contract import PATH, MakeSample, put


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_of(SambaServer(tmp_path / "smb")) as made:
        yield made


# Login ---------------------------------------------------------------------------------------------------


def test_a_password_from_a_file(scene: Scene, sample: MakeSample, tmp_path: Path) -> None:
    kept = tmp_path / "password"
    kept.write_text(scene.server.password + "\n", encoding="utf-8")
    put(scene.target(password=None, password_file=kept), sample(b"x"))
    kept.unlink()
    assert failure_of_reading(scene, kept, sample(b"y")).code == "config.unreadable"


def failure_of_reading(scene: Scene, kept: Path, one: Sample) -> RecorderError:
    with pytest.raises(ConfigError) as caught:
        put(scene.target(password=None, password_file=kept), one)
    return caught.value


@pytest.mark.parametrize("changes", [{"password": "wrong"}, {"user": "nobody-of-that-name"}])
def test_a_wrong_user_or_password(scene: Scene, sample: MakeSample, changes: dict[str, object]) -> None:
    error = failure(scene.target(**changes), sample(b"x"))
    assert (error.code, type(error)) == ("target.login", ConfigError)
    assert "password is wrong" in error.sentence


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-c", "[D]"], "disabled"),
        (["-c", "[L]"], "locked out"),
        (["--kickoff-time=1000000000"], "expired"),
    ],
)
def test_an_account_that_may_not_log_in(scene: Scene, sample: MakeSample, words: list[str], why: str) -> None:
    scene.server.mark_account(*words)
    error = failure(scene.target(), sample(b"x"))
    assert (error.code, type(error)) == ("target.login", ConfigError)
    assert why in error.sentence


def test_a_password_that_has_expired(scene: Scene, sample: MakeSample) -> None:
    scene.server.let_passwords_expire(1)

    def refused() -> RecorderError | None:
        try:
            put(scene.target(), sample(b"x"))
        except RecorderError as error:
            return error
        return None

    error = wait_until("the password's end", refused, limit=20)
    assert (error.code, type(error)) == ("target.login", ConfigError)
    assert "password" in error.sentence
    assert "wrong" not in error.sentence


def test_a_login_that_ends_as_a_guest(tmp_path: Path, sample: MakeSample) -> None:
    lenient = {"map to guest": "Bad User", "guest account": "nobody", "server smb encrypt": "off"}
    with scene_of(SambaServer(tmp_path / "smb", settings=lenient, share={"guest ok": "yes"})) as scene:
        for encrypt in (True, False):
            error = failure(scene.target(user="nobody-of-that-name", encrypt=encrypt), sample(b"x"))
            if encrypt:
                assert error.code in {"target.login", "target.insecure"}
            else:
                assert (error.code, "guest" in error.sentence) == ("target.login", True)


def test_a_share_that_is_missing_or_closed(tmp_path: Path, sample: MakeSample) -> None:
    with scene_of(SambaServer(tmp_path / "smb", share={"valid users": "nobody"})) as scene:
        error = failure(scene.target(share="no such share"), sample(b"x"))
        assert (error.code, type(error)) == ("target.missing", PermanentError)
        assert "no such share" in error.sentence
        error = failure(scene.target(), sample(b"x"))
        assert (error.code, type(error)) == ("target.denied", PermanentError)
        assert "right" in error.remedy


def symptom(scene: Scene, **changes: object) -> str | None:
    """What `target test` calls it; None when the target works."""
    report = trial.run(smb_settings(scene.server, **changes))
    print(report)  # noqa: T201 - shown when the test fails
    return None if report.fault is None else report.fault.symptom


def test_what_target_test_says(tmp_path: Path) -> None:
    with scene_of(SambaServer(tmp_path / "smb")) as scene:
        assert symptom(scene) is None
        assert names_below(scene.root) == []
        assert symptom(scene, password="wrong") == "login-refused"
        assert symptom(scene, share="no such share") == "folder-missing"
        assert symptom(scene, folder="no such folder") == "folder-missing"
        assert symptom(scene, port=1) == "refused"
        scene.server.freeze()
        assert symptom(scene, timeout=LIMIT) == "frozen"
        scene.server.thaw()
    with scene_of(SambaServer(tmp_path / "old", settings={"server smb encrypt": "off"})) as scene:
        assert symptom(scene) == "insecure"
    with scene_of(SambaServer(tmp_path / "read-only", share={"read only": "yes"})) as scene:
        assert symptom(scene) == "not-writable"


# Names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [300, 1500])
def test_long_paths(scene: Scene, sample: MakeSample, length: int) -> None:
    name = "Müller-Straße-" + "n" * 100
    deep = PurePosixPath(*[name] * (length // len(name)), "file.wav")
    assert len(str(deep)) > length - 120
    one = sample(b"deep")
    put(scene.target(), one, deep)
    assert (scene.root / deep).read_bytes() == b"deep"


@pytest.mark.parametrize(
    "name", ["CON", "nul.txt", "a:b", "trailing.", "trailing ", 'x"y', "\u0001", "a\\b", "Łódź", "~$x", "é"]
)
def test_what_the_path_template_makes_is_what_a_share_takes(
    scene: Scene, sample: MakeSample, name: str
) -> None:
    folder = paths.component(name)
    put(scene.target(), sample(b"x"), PurePosixPath(folder, "file"))
    assert (scene.root / folder / "file").read_bytes() == b"x"


@pytest.mark.parametrize("name", ["stream:of another", "dot.", "space ", "a\\b", "\ud800"])
def test_what_a_share_would_bend_is_refused(scene: Scene, sample: MakeSample, name: str) -> None:
    for path in (PurePosixPath(name), PurePosixPath(name, "file")):
        assert failure(scene.target(), sample(b"x"), path).code == "target.denied"
    assert list(scene.root.iterdir()) == []


def test_a_name_in_other_letters_is_the_same_name(scene: Scene, sample: MakeSample) -> None:
    put(scene.target(), sample(b"first"), PurePosixPath("File.WAV"))
    assert failure(scene.target(), sample(b"other"), PurePosixPath("file.wav")).code == "target.conflict"
    assert names_below(scene.root) == ["File.WAV"]


def test_a_link_under_the_final_name(scene: Scene, sample: MakeSample, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"not ours")
    for number, leads_to in enumerate((str(tmp_path / "elsewhere"), "nowhere", "..")):
        (scene.root / str(number)).symlink_to(leads_to)
        error = failure(scene.target(), sample(b"x"), PurePosixPath(str(number)))
        assert (error.code, type(error)) == ("target.conflict", PermanentError), (leads_to, error)
        assert (scene.root / str(number)).is_symlink()
    assert (tmp_path / "elsewhere").read_bytes() == b"not ours"


def test_a_file_in_the_way_of_a_folder(scene: Scene, sample: MakeSample) -> None:
    (scene.root / "2026").write_bytes(b"")
    error = failure(scene.target(), sample(b"x"))
    assert error.code in {"target.denied", "target.conflict"}


@pytest.mark.parametrize("moment", [0, 2**33, -(2**33), 253402300799, 2**40])
def test_times_beyond_all_measure(scene: Scene, sample: MakeSample, moment: int) -> None:
    put(scene.target(), sample(b"x"))
    try:
        os.utime(scene.root / PATH, (moment, moment))
    except OSError:
        os.utime(scene.root / PATH, (2**34 - 1, 2**34 - 1))
    found = scene.target().stat(PATH)
    assert found is not None
    assert found.modified_at is None or found.modified_at.tzinfo is not None
    put(scene.target(), sample(b"x"))


@pytest.mark.parametrize("clock", ["-9y", "+5y"])
def test_a_server_whose_clock_is_wrong(tmp_path: Path, sample: MakeSample, clock: str) -> None:
    with scene_of(SambaServer(tmp_path / "smb", clock=clock)) as scene:
        put(scene.target(), sample(b"x"))
        (scene.root / PATH.parent / part_name(PATH.name, sample(b"y").sha256)).write_bytes(b"")
        found = scene.target().stat(PATH)
        assert found is not None
        assert found.modified_at is not None
        assert abs((found.modified_at - datetime.now(UTC)).days) > 365
        assert scene.target().delete(PATH)


# Other programs at the same files ------------------------------------------------------------------------


@contextmanager
def held(target: SmbTarget, path: PurePosixPath, shared: int = 0) -> Iterator[None]:
    """As a virus scanner or backup holds a file: shared with nobody."""
    session = target._take()
    file = Open(session._tree, target._name(session.root, path))
    file.create(
        2, FilePipePrinterAccessMask.FILE_READ_DATA, 0, shared, CreateDisposition.FILE_OPEN_IF,
        CreateOptions.FILE_NON_DIRECTORY_FILE,
    )  # fmt: skip
    try:
        yield
    finally:
        file.close()
        target._pool.give_back(session)


def test_a_part_file_that_somebody_holds(scene: Scene, sample: MakeSample) -> None:
    one, path = sample(b"whole"), PurePosixPath("file")
    with held(scene.target(), path.with_name(part_name(path.name, one.sha256))):
        error = failure(scene.target(), one, path)
        assert (error.code, type(error)) == ("target.locked", TransientError)
        assert "another program" in error.sentence
    put(scene.target(), one, path)
    assert names_below(scene.root) == ["file"]


def test_a_final_file_that_somebody_holds(scene: Scene, sample: MakeSample) -> None:
    one = sample(b"whole")
    put(scene.target(), one)
    with held(scene.target(), PATH):
        assert failure(scene.target(), one).code == "target.locked"
        with pytest.raises(TransientError):
            scene.target().delete(PATH)
    put(scene.target(), one)


WITH_ALL = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE


@pytest.mark.parametrize("when", [Step.WRITE, Step.READ_BACK, Step.RENAME])
def test_a_faster_writer_whose_part_file_is_still_being_deleted(
    scene: Scene, sample: MakeSample, when: Step
) -> None:
    """A deleted file stays, and nobody may open it, until the last one who has it open lets go."""
    one, other = sample(b"whole"), scene.target()
    part = PATH.with_name(part_name(PATH.name, one.sha256))
    (scene.root / PATH.parent).mkdir(parents=True)
    with ExitStack() as holding:

        def overtake(step: Step) -> None:
            if step is when and not (scene.root / PATH).exists():
                holding.enter_context(held(scene.target(), part, WITH_ALL))
                assert other.delete(part)
                (scene.root / PATH).write_bytes(b"whole")

        with watched(overtake):
            put(scene.target(), one)
        assert names_below(scene.root) == sorted(map(str, (PATH, part)))
        assert not other.delete(part)
    assert names_below(scene.root) == [str(PATH)]


def test_a_part_file_that_is_being_deleted_for_nobody(scene: Scene, sample: MakeSample) -> None:
    one, path = sample(b"whole"), PurePosixPath("file")
    part = path.with_name(part_name(path.name, one.sha256))
    with held(scene.target(), part, WITH_ALL):
        assert scene.target().delete(part)
        error = failure(scene.target(), one, path)
        assert (error.code, type(error)) == ("target.locked", TransientError)
    put(scene.target(), one, path)
    assert names_below(scene.root) == ["file"]


def test_the_rename_overwrites_nothing(scene: Scene, sample: MakeSample) -> None:
    """Somebody else's file appears between the look and the rename."""
    one = sample(b"ours")

    def appear(step: Step) -> None:
        if step is Step.RENAME:
            (scene.root / PATH).write_bytes(b"theirs")

    with watched(appear):
        error = failure(scene.target(), one)
    assert error.code == "target.conflict"
    assert (scene.root / PATH).read_bytes() == b"theirs"


# DFS -----------------------------------------------------------------------------------------------------


def link(server: SambaServer, name: str, *targets: str) -> None:
    (server.namespace / name).symlink_to("msdfs:" + ",".join(targets))


def test_a_folder_behind_a_dfs_link(scene: Scene, sample: MakeSample) -> None:
    (scene.root / "deeper").mkdir()
    link(scene.server, "recordings", f"{HOST}\\{SHARE}")
    one = sample(os.urandom(2_000_000))
    put(scene.target(share=DFS_SHARE, folder="recordings/root/deeper"), one)
    assert (scene.root / "deeper" / PATH).read_bytes() == one.path.read_bytes()
    assert names_below(scene.root / "deeper") == [str(PATH)]
    target = scene.target(share=DFS_SHARE, folder="recordings/made")
    assert failure(target, one).code == "target.missing"
    target.prepare()
    put(target, one)
    assert (scene.server.folder / "made" / PATH).exists()


def test_a_folder_in_the_dfs_root_itself(scene: Scene, sample: MakeSample) -> None:
    one = sample(b"x")
    for folder in ("", "here"):
        target = scene.target(share=DFS_SHARE, folder=folder)
        target.prepare()
        put(target, one)
        assert (scene.server.namespace / folder / PATH).read_bytes() == b"x"
        put(target, one)
        assert target.delete(PATH)


def test_a_dfs_link_whose_first_server_is_dead(scene: Scene, sample: MakeSample) -> None:
    link(scene.server, "recordings", f"127.9.9.9\\{SHARE}", f"{HOST}\\{SHARE}")
    put(scene.target(share=DFS_SHARE, folder="recordings/root"), sample(b"x"))
    assert (scene.root / PATH).exists()


def test_dfs_links_that_lead_in_a_circle_or_nowhere(scene: Scene, sample: MakeSample) -> None:
    link(scene.server, "circle", f"{HOST}\\{DFS_SHARE}\\circle2")
    link(scene.server, "circle2", f"{HOST}\\{DFS_SHARE}\\circle")
    link(scene.server, "nowhere", f"{HOST}\\no such share")
    for folder in ("circle", "nowhere", "no link"):
        error = failure(scene.target(share=DFS_SHARE, folder=folder), sample(b"x"))
        assert (error.code, type(error)) == ("target.missing", PermanentError), folder
