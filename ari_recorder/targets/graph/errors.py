"""What Microsoft Entra ID and Microsoft Graph refuse, in the words of `model.errors`.

<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>,
<https://learn.microsoft.com/graph/errors>, <https://learn.microsoft.com/graph/throttling>.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from ...model.errors import ConfigError, PermanentError, RecorderError, TransientError

LONGEST_WAIT = 24 * 3600.0
"""Seconds; a server that asks for more is not believed."""

APP = "Microsoft Entra admin center, App registrations"

ENTRA: dict[str, tuple[str, str]] = {
    "AADSTS7000215": (
        "the app's secret is wrong",
        "Put the secret's value, not its id, into client_secret_file; or make a new one under "
        f"{APP}, Certificates & secrets.",
    ),
    "AADSTS7000222": (
        "the app's secret has expired",
        f"Make a new one under {APP}, Certificates & secrets, and put its value into client_secret_file.",
    ),
    "AADSTS700027": (
        "the certificate is not registered for the app, or has expired",
        f"Upload the certificate under {APP}, Certificates & secrets; check the clock of this machine.",
    ),
    "AADSTS700024": (
        "the clock of this machine is wrong",
        "Set it, and keep it right (chrony, systemd-timesyncd).",
    ),
    "AADSTS700016": (
        "the app is not known in this tenant",
        "Check client_id and tenant, and that an administrator of that tenant has consented to the app.",
    ),
    "AADSTS90002": ("there is no such tenant", "Check tenant, and cloud."),
    "AADSTS900023": ("there is no such tenant", "Check tenant, and cloud."),
    "AADSTS65001": (
        "consent to the app is missing or was revoked",
        f"Let an administrator grant consent under {APP}, API permissions; then log in again if a user does.",
    ),
    "AADSTS50057": ("the user's account is disabled", "Enable the account, or log in as another user."),
    "AADSTS50034": ("the user's account does not exist any more", "Log in as another user."),
    "AADSTS50055": ("the user's password has expired", "Let the user set a new one, and log in again."),
    "AADSTS50076": (
        "the user has to prove who it is once more (multi-factor authentication)",
        "Log in again; if this comes back, a conditional access policy is in the way: use an app login.",
    ),
    "AADSTS50079": (
        "the user has to set up multi-factor authentication",
        "Let the user set it up, and log in again; or use an app login.",
    ),
    "AADSTS53003": (
        "a conditional access policy blocks the login",
        "Let an administrator except the recorder, or use an app login.",
    ),
    "AADSTS700082": (
        "the login has expired, for it was not used for 90 days",
        "Log in again.",
    ),
    "AADSTS50173": (
        "the login was revoked, for instance by a new password",
        "Log in again.",
    ),
    "AADSTS70043": ("the login has expired by the tenant's sign-in frequency", "Log in again."),
    "AADSTS7000218": (
        "the app is not allowed to log in users by device code",
        f'Switch on "Allow public client flows" under {APP}, Authentication.',
    ),
    "AADSTS500011": ("Graph is not known in this tenant", "Check cloud, and the tenant's licences."),
    "AADSTS70011": ("a scope is not valid", "Check cloud, authority and graph."),
}
"""AADSTS code → what it means here, and what to do."""

ENTRA_BUSY = ("AADSTS90055", "AADSTS50196")
"""Too many requests; of a user, "a loop", which is no refusal of the login either and comes without a time.

<https://learn.microsoft.com/entra/msal/dotnet/advanced/client-and-server-throttling>
"""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer that is not what was asked for."""

    status: int
    code: str
    message: str
    retry_after: float | None


def said(response: requests.Response) -> Said:
    """What Graph says in an answer, whatever its shape."""
    try:
        document: Any = response.json()
    except ValueError:
        document = None
    error = document.get("error") if isinstance(document, dict) else None
    error = error if isinstance(error, dict) else {}
    return Said(
        response.status_code,
        str(error.get("code", "")),
        plain(str(error.get("message", ""))),
        retry_after(response.headers.get("Retry-After"), datetime.now(UTC)),
    )


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header, a number or a date; None when there is none that makes sense."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), LONGEST_WAIT)


def plain(text: str) -> str:
    """One short line without control characters or addresses, which may hold secrets."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return re.sub(r"https?://\S+", "…", line)[:200].rstrip(". ")


def refused(found: Said, doing: str) -> RecorderError:
    """The error for an answer of Graph. `doing` is what was refused, such as `making the folder x`."""
    words = f" ({': '.join(part for part in (found.code, found.message) if part)})" if found.code else ""
    text = f"Microsoft 365 refused {doing}: HTTP {found.status}{words}."
    if found.code in ("quotaLimitReached", "insufficientStorage") or found.status == 507:
        return PermanentError("target.full", text, remedy="Free space in the drive, or raise its quota.")
    if found.status in (429, 509) or (found.status == 503 and found.retry_after is not None):
        return TransientError(
            "target.busy",
            f"Microsoft 365 throttles the recorder while {doing}.",
            remedy="Nothing has to be done; it goes on by itself.",
            retry_after=found.retry_after,
        )
    if found.status in (408, 500, 502, 503, 504):
        return TransientError("target.unreachable", text, remedy="See https://status.cloud.microsoft.")
    return _for_a_person(found, text)


def _for_a_person(found: Said, text: str) -> RecorderError:
    match found.status:
        case 401:
            return ConfigError("target.login", text, remedy="Check the app's permissions, and log in again.")
        case 403:
            return PermanentError(
                "target.denied",
                text,
                remedy="Give the app or user the right to write there (docs/howto/deliver-to-onedrive.md).",
            )
        case 404 | 410:
            return PermanentError("target.missing", text, remedy="Check user, site, drive and folder.")
        case 409:
            return PermanentError("target.conflict", text, remedy="Move what stands there away.")
        case 412:
            return TransientError("target.torn", text)
        case 423:
            return TransientError(
                "target.locked",
                text,
                remedy="Check the item in, or look for a retention policy or somebody who has it open.",
            )
    return PermanentError("target.denied", text, remedy="Please report this, with the log.")


def refused_login(found: dict[str, Any], target: str) -> RecorderError:
    """The error for what Entra answered instead of a token."""
    text = str(found.get("error_description") or found.get("error") or "no reason given")
    code = match[0] if (match := re.search(r"AADSTS\d+", text)) else ""
    if code in ENTRA_BUSY:
        return TransientError(
            "target.busy",
            f'The login service throttles target "{target}" [{code}].',
            remedy="Nothing has to be done; it goes on by itself.",
        )
    if found.get("error") in ("temporarily_unavailable", "server_error") or code == "AADSTS90033":
        return TransientError(
            "target.unreachable",
            f'The login service of target "{target}" is not available now.',
            remedy="It goes on by itself; see https://status.cloud.microsoft.",
        )
    why, remedy = ENTRA.get(code, (plain(text.split(" Trace ID")[0]), "Check the target's login settings."))
    remedy = remedy.replace("Log in again", f"Log in again: ari-recorder target login {target}")
    remedy = remedy.replace("log in again", f"log in again: ari-recorder target login {target}")
    shown = f" [{code}]" if code and code not in why else ""
    return ConfigError("target.login", f'Target "{target}" cannot log in: {why}{shown}.', remedy=remedy)


def broken(error: Exception, where: str) -> RecorderError:
    """The error for a connection that could not be made, broke or fell silent."""
    where = where[0].upper() + where[1:]
    causes = [error, *_reasons(error)]
    text = " ".join(str(cause) for cause in causes)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return ConfigError(
            "target.certificate",
            f"{where} shows a certificate that is not trusted.",
            remedy="If a proxy opens TLS, name its authority in ca_file; else somebody stands between.",
        )
    silent = isinstance(error, requests.Timeout) or "timed out" in text
    if silent:
        return TransientError(
            "target.unreachable", f"{where} was silent for too long.", remedy="Check the network."
        )
    never = (NewConnectionError, NameResolutionError, ConnectTimeoutError)
    if isinstance(error, requests.exceptions.ProxyError) or any(isinstance(c, never) for c in causes):
        return TransientError(
            "target.unreachable",
            f"{where} cannot be reached.",
            remedy="Check the network, the name service, and proxy if there is one.",
        )
    return TransientError("target.torn", f"The connection to {where} broke.", remedy="Check the network.")


def _reasons(error: BaseException) -> list[BaseException]:
    """What lies below an exception of requests: its arguments, their reasons, and their causes."""
    found: list[BaseException] = []
    todo: list[Any] = [error]
    while todo and len(found) < 20:
        one = todo.pop()
        inner = [*getattr(one, "args", ()), getattr(one, "reason", None), one.__cause__, one.__context__]
        fresh = [each for each in inner if isinstance(each, BaseException) and each not in found]
        found += fresh
        todo += fresh
    return found
