"""What Microsoft 365 says, and what a person then reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.model.errors import CODES, RecorderError, TransientError
from ari_recorder.spool.retry import WHOLE_TARGET
from ari_recorder.targets.graph.errors import (
    ENTRA,
    ENTRA_BUSY,
    Said,
    broken,
    plain,
    refused,
    refused_login,
    retry_after,
)

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("999999999999999999999", 86400.0),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        (format_datetime(NOW + timedelta(days=90), usegmt=True), 86400.0),
        ("Sunday, 22-Nov-26 02:00:30 GMT", 30.0),
        ("soon", None),
        ("-5", None),
        ("1e3", None),
        ("٣", None),
        ("", None),
    ],
)
def test_how_long_to_wait(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


@given(st.text())
def test_no_header_does_harm(header: str) -> None:
    found = retry_after(header, NOW)
    assert found is None or 0 <= found <= 86400


@given(st.integers(400, 599), st.text(max_size=30), st.text(max_size=500))
def test_every_refusal_is_an_error_for_people(status: int, code: str, message: str) -> None:
    error = refused(Said(status, plain(code), plain(message), None), "uploading x")
    assert error.code in CODES
    assert error.sentence.isprintable()
    assert len(error.sentence) < 400


def test_addresses_are_not_repeated() -> None:
    """They may hold what opens a drive."""
    assert plain("go to https://x.example/up/1?tempauth=geheim now\n.") == "go to … now"


@pytest.mark.parametrize("code", ENTRA)
def test_every_known_login_error_has_a_remedy(code: str) -> None:
    error = refused_login({"error": "x", "error_description": f"{code}: Words. Trace ID: 1"}, "cloud")
    assert error.code == "target.login"
    assert code in error.sentence
    assert error.remedy.endswith((".", "cloud"))


def test_an_unknown_login_error_is_told_in_its_own_words() -> None:
    error = refused_login(
        {"error": "x", "error_description": "AADSTS123: Something\nnew. Trace ID: 1"}, "cloud"
    )
    assert "AADSTS123: Something new" in error.sentence
    assert "Trace" not in error.sentence


def test_a_login_service_that_is_busy_may_pass() -> None:
    assert isinstance(refused_login({"error": "temporarily_unavailable"}, "cloud"), TransientError)
    assert isinstance(
        refused_login({"error": "x", "error_description": "AADSTS90033: y"}, "cloud"), TransientError
    )


@pytest.mark.parametrize("code", ENTRA_BUSY)
def test_a_login_service_that_throttles_is_no_matter_of_the_login(code: str) -> None:
    error = refused_login({"error": "invalid_grant", "error_description": f"{code}: Words."}, "cloud")
    assert (error.code, type(error)) == ("target.busy", TransientError)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (requests.ReadTimeout("x"), "target.unreachable"),
        (requests.ConnectionError("reset"), "target.torn"),
        (requests.exceptions.ProxyError("x"), "target.unreachable"),
        (requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] x"), "target.certificate"),
        (requests.exceptions.SSLError("EOF occurred in violation of protocol"), "target.torn"),
        (OSError("x"), "target.torn"),
    ],
)
def test_connections_that_break(error: Exception, code: str) -> None:
    found = broken(error, "Microsoft 365")
    assert (found.code, isinstance(found, RecorderError)) == (code, True)


def test_what_concerns_the_whole_target_stops_it() -> None:
    assert {"target.busy", "target.certificate", "target.login", "target.full"} <= WHOLE_TARGET
    assert "target.locked" not in WHOLE_TARGET
