"""Connections that are kept for the next call, and those that are not."""

from __future__ import annotations

import pytest

from ari_recorder.model.errors import TransientError
from ari_recorder.targets.pool import IDLE, Pool


class Connection:
    def __init__(self) -> None:
        self.alive = True
        self.answers = True

    def close(self) -> None:
        self.alive = False


class Scene:
    def __init__(self) -> None:
        self.now = 1000.0
        self.made: list[Connection] = []
        self.pool = Pool("archive", self.connect, lambda one: one.answers, lambda: self.now)

    def connect(self) -> Connection:
        self.made.append(Connection())
        return self.made[-1]


def test_one_that_was_given_back_is_used_again() -> None:
    scene = Scene()
    first = scene.pool.take()
    assert scene.pool.take() is not first
    scene.pool.give_back(first)
    assert scene.pool.take() is first
    assert first.alive


def test_one_that_is_old_dead_or_does_not_answer_is_not_used_again() -> None:
    scene = Scene()
    for spoil in ("old", "dead", "silent"):
        one = scene.pool.take()
        scene.pool.give_back(one)
        if spoil == "old":
            scene.now += IDLE
        one.alive = spoil != "dead"
        one.answers = spoil != "silent"
        other = scene.pool.take()
        assert other is not one, spoil
        assert not one.alive, spoil
        scene.pool.discard(other)
    assert scene.pool._all == set()


def test_what_a_rush_left_is_let_go_of_while_one_is_enough() -> None:
    scene = Scene()
    rush = [scene.pool.take() for _ in range(8)]
    for one in rush:
        scene.pool.give_back(one)
    for _ in range(4):
        scene.now += IDLE / 3
        scene.pool.give_back(scene.pool.take())
    assert [one.alive for one in rush] == [False] * 7 + [True]
    assert len(scene.pool._all) == len(scene.pool._idle) == 1
    assert len(scene.made) == 8


def test_one_whose_question_fails_is_closed() -> None:
    def silent(_one: Connection) -> bool:
        raise TimeoutError

    scene = Scene()
    pool = Pool("archive", scene.connect, silent)
    one = pool.take()
    pool.give_back(one)
    with pytest.raises(TimeoutError):
        pool.take()
    assert not one.alive


def test_closing_ends_all_and_nothing_begins_any_more() -> None:
    scene = Scene()
    used, idle = scene.pool.take(), scene.pool.take()
    scene.pool.give_back(idle)
    scene.pool.close()
    assert (used.alive, idle.alive) == (False, False)
    scene.pool.give_back(used)
    with pytest.raises(TransientError) as caught:
        scene.pool.take()
    assert caught.value.code == "target.torn"
    assert scene.pool._all == set()
