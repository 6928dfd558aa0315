"""What must not be cut short is finished first; everything else ends by way of every `finally`."""

from __future__ import annotations

import signal
import threading

import pytest

from ari_recorder.lab.signals import ENDING, answered, leave, uninterrupted


@pytest.mark.parametrize("number", ENDING)
def test_leaving_is_an_exception_with_the_shells_status(number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as left, answered(leave):
        signal.raise_signal(number)
    assert left.value.code == 128 + number


def test_the_former_answer_returns() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    with answered(signal.SIG_IGN):
        assert [signal.getsignal(number) for number in ENDING] == [signal.SIG_IGN] * len(ENDING)
    assert [signal.getsignal(number) for number in ENDING] == before


@pytest.mark.parametrize("number", ENDING)
def test_what_is_uninterrupted_ends_first(number: signal.Signals) -> None:
    steps: list[str] = []

    def work() -> None:
        with uninterrupted():
            signal.raise_signal(number)
            signal.raise_signal(signal.SIGINT)
            steps.append("finished")
        steps.append("not reached")

    with pytest.raises(SystemExit) as left, answered(leave):
        work()
    assert left.value.code == 128 + number
    assert steps == ["finished"]


def test_elsewhere_than_in_the_main_thread_nothing_changes() -> None:
    steps: list[str] = []

    def work() -> None:
        with uninterrupted(), answered(leave):
            steps.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert steps == ["done"]
