"""What OneDrive has stored: confirmed, read back, deleted again, labelled. On `graph_peer`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from ari_recorder.model.errors import IntegrityError, PermanentError, TransientError
from tests.graph_peer.faults import Tear
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


@pytest.mark.parametrize("always", [False, True])
def test_what_is_read_back_is_what_was_stored_however_it_is_packed_on_the_way(
    scene: Scene, sample: MakeSample, always: bool
) -> None:
    """The peer compresses for whoever takes it; some proxies do without being asked."""
    one, target = sample(bytes(LARGE)), scene.target(read_back=True)
    scene.peer.packs_always = always
    assert put(target, one).how == "read-back"
    assert put(target, one).sha256 == one.sha256, "adopted"
    with target.open(PATH) as stream:
        assert stream.read() == one.path.read_bytes()


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


@pytest.mark.parametrize("fault", [Tear.BEFORE, Tear.AFTER, 423, 403])
def test_what_is_stored_wrongly_and_cannot_be_deleted_at_once(
    scene: Scene, sample: MakeSample, fault: Tear | int
) -> None:
    """It is said that it may stand there, and goes before anything else does, also after a restart."""
    one = sample(os.urandom(LARGE))
    scene.peer.uploads.spoil = True
    refused = isinstance(fault, int)
    scene.peer.faults.plan("delete", Answer(fault) if isinstance(fault, int) else fault, times=1 + refused)
    error = scene.failure(one)
    assert (error.code, "deleting it failed" in error.sentence) == ("target.mismatch", True)
    assert (scene.root / PATH).exists() is (fault is not Tear.AFTER)
    if refused:
        assert scene.failure(one).code == ("target.locked" if fault == 423 else "target.mismatch")
    scene.put(one)
    assert scene.stands(one)


def test_a_wrong_file_that_was_not_read_back(scene: Scene, sample: MakeSample) -> None:
    """Whether it is right is found out at the next try; only then it is deleted, or adopted."""
    scene.peer.drive.hashes = ""
    for number, spoil in enumerate((True, False)):
        one, path = sample(os.urandom(LARGE)), PurePosixPath(f"r-{number}")
        scene.peer.uploads.spoil = spoil
        scene.peer.faults.plan("download", Tear.BEFORE)
        with pytest.raises(TransientError):
            scene.put(one, path)
        scene.put(one, path)
        assert (scene.root / path).read_bytes() == one.path.read_bytes()
    assert (scene.peer.uploads.made, scene.peer.count("delete")) == (3, 1)


def test_a_wrong_file_that_somebody_has_changed_is_not_deleted(scene: Scene, sample: MakeSample) -> None:
    one, target = sample(os.urandom(LARGE)), scene.target()
    scene.peer.uploads.spoil = True
    scene.peer.faults.plan("delete", Tear.BEFORE)
    assert failure(target, one).code == "target.mismatch"
    (scene.root / PATH).write_bytes(b"somebody's")
    assert failure(target, one).code == "target.conflict"
    assert (scene.root / PATH).read_bytes() == b"somebody's"
    (scene.root / PATH).unlink()
    put(target, one)
    assert scene.stands(one)


def test_a_name_that_comes_into_sight_late(scene: Scene, sample: MakeSample) -> None:
    """One look that does not find a file is no reason to delete it."""
    one, target = sample(os.urandom(LARGE)), scene.target()
    put(target, sample(b"x"), PATH.with_name("before"))  # folders are known: two looks at the file are all
    scene.peer.faults.refuse("item", 404, "itemNotFound", nth=2)
    error = failure(target, one)
    assert (error.code, type(error)) == ("target.torn", TransientError)
    assert scene.peer.count("delete") == 0
    assert scene.stands(one)
    assert put(target, one).how == "read-back"


def test_deleting_whose_answer_is_lost(scene: Scene, sample: MakeSample) -> None:
    target = scene.target()
    put(target, sample(b"x"))
    scene.peer.faults.plan("delete", Tear.AFTER)
    with pytest.raises(TransientError) as caught:
        target.delete(PATH)
    assert caught.value.code == "target.torn"
    assert not (scene.root / PATH).exists()
    assert target.delete(PATH) is False
    assert scene.peer.log.count(("delete", 204)) == 1


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
