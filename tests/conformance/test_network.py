"""What only a server on a network can do to us, demanded of every kind that has one: tear, freeze, refuse."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePosixPath

import pytest

from ari_recorder.model.errors import ConfigError, RecorderError, TransientError
from ari_recorder.targets.base import Target
from ari_recorder.targets.steps import Step, watched

from .conftest import NETWORKED, RIGS
from .relay import Relay
from .rig import Rig, Sample
from .test_contract import PATH, MakeSample, put

LIMIT = 1.5
"""Seconds that the target under test gives a silent server."""
SIZE = 3_000_000
STEPS = [pytest.param(kind, step, id=f"{kind}-{step}") for kind in NETWORKED for step in RIGS[kind].steps]


each_kind = pytest.mark.parametrize("rig", NETWORKED, indirect=True)
at_each_step = pytest.mark.parametrize(("rig", "step"), STEPS, indirect=["rig"])


def failure(target: Target, sample: Sample, path: PurePosixPath = PATH) -> RecorderError:
    with pytest.raises(RecorderError) as caught:
        put(target, sample, path)
    assert "Traceback" not in str(caught.value)
    assert caught.value.remedy or caught.value.code == "target.torn"
    return caught.value


def once(step: Step, act: Callable[[], None]) -> Callable[[Step], None]:
    """A watcher that acts when a step is reached for the first time."""
    done: list[Step] = []

    def watch(seen: Step) -> None:
        if seen is step and not done:
            done.append(seen)
            act()

    return watch


@at_each_step
def test_torn_at_each_step(rig: Rig, sample: MakeSample, step: Step) -> None:
    one, target = sample(os.urandom(SIZE)), rig.make()
    with watched(once(step, rig.kill)):
        error = failure(target, one)
    assert isinstance(error, TransientError), error
    assert error.code in {"target.torn", "target.unreachable"}
    assert rig.size(PATH) is None
    assert failure(target, one).code == "target.unreachable"
    rig.start()
    put(target, one)
    assert rig.names() == [str(PATH)]
    assert rig.read(PATH) == one.path.read_bytes()


@at_each_step
def test_frozen_at_each_step(rig: Rig, sample: MakeSample, step: Step) -> None:
    one, target = sample(os.urandom(SIZE)), rig.impatient(LIMIT)
    begun = time.monotonic()
    with watched(once(step, rig.freeze)):
        error = failure(target, one)
    assert time.monotonic() - begun < 4 * LIMIT
    assert (error.code, type(error)) == ("target.unreachable", TransientError)
    rig.thaw()
    put(rig.target, one)
    assert rig.names() == [str(PATH)]
    assert rig.read(PATH) == one.path.read_bytes()


@each_kind
def test_torn_at_any_byte(rig: Rig, sample: MakeSample) -> None:
    """The wire is cut after every tenth part of the conversation, and just before its end."""
    with Relay(rig.port) as whole:
        target = rig.through(whole.port, timeout=10)
        put(target, sample(os.urandom(SIZE)), PurePosixPath("first/whole"))
        total = whole.total
        target.close()
    for part in (*range(10), 9.7, 9.99):
        one, path = sample(os.urandom(SIZE)), PurePosixPath(f"folder {part}/file")
        with Relay(rig.port, cut_after=max(1, int(total * part / 10))) as relay:
            target = rig.through(relay.port, timeout=10)
            error: RecorderError | None = None
            try:
                put(target, one, path)
            except RecorderError as caught:
                error = caught
            assert relay.cuts == 1 or part > 9
            if error is not None:
                assert isinstance(error, TransientError), (part, error)
                assert error.code in {"target.torn", "target.unreachable"}, (part, error)
                assert rig.size(path) in {None, one.size}
            put(target, one, path)  # the wire holds again, on the same target
            target.close()
        assert rig.read(path) == one.path.read_bytes()
    assert not [name for name in rig.names() if name.endswith(".part")]


@each_kind
def test_torn_before_deleting(rig: Rig, sample: MakeSample) -> None:
    put(rig.target, sample(b"x"))
    target = rig.make()
    assert target.stat(PATH) is not None
    rig.kill()
    with pytest.raises(TransientError):
        target.delete(PATH)
    rig.start()
    assert target.delete(PATH) is True
    assert target.delete(PATH) is False


@each_kind
def test_torn_at_any_byte_of_deleting(rig: Rig, sample: MakeSample) -> None:
    """From before the request to the last bytes of its answer, when the file is gone and nobody was told."""
    one, ends = sample(b"x"), []
    with Relay(rig.port) as relay:
        target = rig.through(relay.port, timeout=10)
        put(rig.target, one)
        target.stat(PATH)
        before = relay.total
        assert target.delete(PATH) is True
        length = relay.total - before
    for part in (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1):
        put(rig.target, one)
        with Relay(rig.port) as relay:
            target = rig.through(relay.port, timeout=10)
            target.stat(PATH)
            relay.cut_after = relay.total + max(1, int((length - 32) * part))
            told: bool | None = None
            with suppress(TransientError):
                told = target.delete(PATH)
            assert relay.cuts == 1
            ends.append((told, target.delete(PATH)))
            assert target.delete(PATH) is False
            target.close()
        assert rig.names() == []
    # What was told is true; who was told nothing finds it done or not.
    assert set(ends) <= {(True, False), (None, True), (None, False)}
    assert {(None, True), (None, False)} <= set(ends)
    assert ends[-1] == (None, False)


@each_kind
def test_frozen_while_deleting(rig: Rig, sample: MakeSample) -> None:
    put(rig.target, sample(b"x"))
    target = rig.impatient(LIMIT)
    target.stat(PATH)
    begun = time.monotonic()
    rig.freeze()
    with pytest.raises(TransientError) as caught:
        target.delete(PATH)
    assert caught.value.code == "target.unreachable"
    assert time.monotonic() - begun < 4 * LIMIT
    rig.thaw()
    target.delete(PATH)
    assert rig.names() == []


@each_kind
def test_a_torn_upload_is_continued_where_it_broke_off(rig: Rig, sample: MakeSample) -> None:
    """What stands on the server already is not sent again: the bytes on the wire are counted."""
    size = 24_000_000
    one = sample(os.urandom(size))
    with Relay(rig.port, cut_after=size * 3 // 4) as relay:
        error = failure(rig.through(relay.port, timeout=10), one)
        assert error.code in {"target.torn", "target.unreachable"}
        first = relay.sent
    with Relay(rig.port) as relay:
        put(rig.through(relay.port, timeout=10), one)
        second = relay.sent
    assert first + second < size * 1.25, (first, second)
    assert second < size * 0.6
    assert rig.names() == [str(PATH)]
    assert rig.read(PATH) == one.path.read_bytes()


@each_kind
def test_a_login_that_is_refused(rig: Rig, sample: MakeSample) -> None:
    error = failure(rig.wrong_login(), sample(b"x"))
    assert (error.code, type(error)) == ("target.login", ConfigError)
    assert rig.names() == []


@each_kind
def test_no_server_and_no_such_name(rig: Rig, sample: MakeSample) -> None:
    rig.kill()
    error = failure(rig.target, sample(b"x"))
    assert (error.code, type(error)) == ("target.unreachable", TransientError)
    rig.start()
