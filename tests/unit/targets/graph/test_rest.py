"""The rest that Microsoft 365 wants."""

from __future__ import annotations

import pytest
import requests

from ari_recorder.model.errors import RecorderError, TransientError
from ari_recorder.targets.graph.rest import Rest


def answer(status: int, seconds: str | None = None) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made._content = b"Too many requests."
    if seconds is not None:
        made.headers["Retry-After"] = seconds
    return made


def left(rest: Rest) -> float | None:
    """Seconds that remain; None when the service may be asked."""
    try:
        rest.demand()
    except TransientError as error:
        return error.retry_after if error.code == "target.busy" else -1
    return None


def test_a_shorter_time_takes_nothing_from_a_longer_one() -> None:
    now = [1000.0]
    rest = Rest("cloud", clock=lambda: now[0])
    assert left(rest) is None
    for seconds in ("120", "5"):
        with pytest.raises(TransientError):
            rest.heed(answer(429, seconds), "uploading x")
    assert left(rest) == 120
    now[0] += 119
    assert left(rest) == 1
    with pytest.raises(TransientError):
        rest.heed(answer(503, "60"), "logging in")
    assert left(rest) == 60
    now[0] += 60
    assert left(rest) is None


@pytest.mark.parametrize(
    ("status", "code"), [(429, "target.busy"), (509, "target.busy"), (503, "target.unreachable")]
)
def test_without_a_time_the_answer_alone_counts(status: int, code: str) -> None:
    rest = Rest("cloud")
    with pytest.raises(RecorderError) as caught:
        rest.heed(answer(status), "logging in")
    assert caught.value.code == code
    assert left(rest) is None


@pytest.mark.parametrize("status", [200, 202, 400, 404, 500, 507])
def test_other_answers_are_not_its_matter(status: int) -> None:
    rest = Rest("cloud")
    rest.heed(answer(status, "120"), "uploading x")
    assert left(rest) is None
