"""Each refusal of an SMB server is told in words, with a remedy, in the right class."""

from __future__ import annotations

import pytest
from smbprotocol.exceptions import (
    SMBAuthenticationError,
    SMBConnectionClosed,
    SMBException,
    SMBResponseException,
)
from smbprotocol.header import SMB2HeaderResponse

from ari_recorder.config.targets import SmbTarget
from ari_recorder.model.errors import CODES, ConfigError, PermanentError, RecorderError, TransientError
from ari_recorder.spool.retry import WHOLE_TARGET
from ari_recorder.targets.share.errors import CAUSES, explained, not_encrypted, not_greeted
from ari_recorder.targets.share.wire import Garbage, Insecure, OldProtocol, Silent

SETTINGS = SmbTarget.model_validate(
    {
        "kind": "smb",
        "name": "vault",
        "host": "files",
        "share": "rec",
        "user": "tom",
        "domain": "CORP",
        "password": "hush",
    }
)


def status(number: int) -> SMBResponseException:
    header = SMB2HeaderResponse()
    header["status"] = number
    return SMBResponseException(header)


def told(error: Exception) -> RecorderError:
    return explained(error, SETTINGS, "2026/file.wav")


@pytest.mark.parametrize(
    ("number", "kind", "code", "words"),
    [
        (0xC000006D, ConfigError, "target.login", "user or password is wrong"),
        (0xC000006A, ConfigError, "target.login", "user or password is wrong"),
        (0xC0000064, ConfigError, "target.login", "user or password is wrong"),
        (0xC0000072, ConfigError, "target.login", "disabled"),
        (0xC0000234, ConfigError, "target.login", "locked out"),
        (0xC0000071, ConfigError, "target.login", "expired"),
        (0xC0000224, ConfigError, "target.login", "must be changed"),
        (0xC0000193, ConfigError, "target.login", "account has expired"),
        (0xC0000133, ConfigError, "target.login", "clocks"),
        (0xC000005E, TransientError, "target.unreachable", "domain controller"),
        (0xC00000CC, PermanentError, "target.missing", "no such share"),
        (0xC0000022, PermanentError, "target.denied", "may not be written"),
        (0xC000007F, PermanentError, "target.full", "No space"),
        (0xC0000044, PermanentError, "target.full", "quota"),
        (0xC0000043, TransientError, "target.locked", "another program"),
        (0xC0000056, TransientError, "target.locked", "another program"),
        (0xC00000C9, TransientError, "target.torn", "ended the session"),
        (0xC0000203, TransientError, "target.torn", "ended the session"),
        (0xC0000205, TransientError, "target.busy", "memory"),
        (0xC00000BF, TransientError, "target.busy", "connections"),
        (0xC00000CE, TransientError, "target.busy", "connections"),
        (0xC00000CF, TransientError, "target.busy", "paused"),
        (0xC000026D, TransientError, "target.busy", "paused"),
        (0xC0000192, TransientError, "target.busy", "paused"),
        (0xC0000467, TransientError, "target.busy", "internal"),
        (0xC00000B6, TransientError, "target.torn", "ended the session"),
        (0xC000020D, TransientError, "target.torn", "ended the session"),
        (0xC000026E, TransientError, "target.torn", "taken away"),
        (0xC0000033, PermanentError, "target.denied", "no name"),
        (0x8000002D, PermanentError, "target.denied", "link"),
        (0xC0000034, TransientError, "target.torn", "taken away"),
        (0xC0000999, PermanentError, "target.denied", "0xC0000999"),
    ],
)
def test_a_status_is_told(number: int, kind: type[RecorderError], code: str, words: str) -> None:
    error = told(status(number))
    assert (error.code, type(error)) == (code, kind)
    assert words in error.sentence


@pytest.mark.parametrize("number", CAUSES)
def test_every_status_names_what_an_admin_needs(number: int) -> None:
    error = told(status(number))
    assert error.code in CODES
    assert "\\\\files\\rec" in error.sentence
    assert not any(bracket in str(error) for bracket in "{}")
    assert "hush" not in str(error)
    assert error.remedy or error.code == "target.torn"


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (Silent("x"), TransientError, "target.unreachable"),
        (TimeoutError(), TransientError, "target.unreachable"),
        (OldProtocol("x"), ConfigError, "target.insecure"),
        (Insecure("an answer came unencrypted"), TransientError, "target.torn"),
        (Garbage("x"), TransientError, "target.unreachable"),
        (SMBAuthenticationError("x"), ConfigError, "target.login"),
        (SMBException("… authenticated as a guest …"), ConfigError, "target.login"),
        (SMBConnectionClosed("x"), TransientError, "target.torn"),
        (ConnectionResetError(), TransientError, "target.torn"),
    ],
)
def test_what_the_connection_does_is_told(error: Exception, kind: type[RecorderError], code: str) -> None:
    found = told(error)
    assert (found.code, type(found)) == (code, kind)
    assert found.remedy or found.code == "target.torn"


def test_before_the_login() -> None:
    assert (not_encrypted(SETTINGS).code, not_greeted(SETTINGS).code) == (
        "target.insecure",
        "target.unreachable",
    )


def test_what_meets_every_file_stops_the_whole_target() -> None:
    assert {"target.insecure", "target.login", "target.unreachable"} <= WHOLE_TARGET
    assert not {"target.locked", "target.denied", "target.torn"} & WHOLE_TARGET
