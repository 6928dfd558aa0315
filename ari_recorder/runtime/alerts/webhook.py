"""Alerts by webhook: one POST, signed, to one address that is itself a secret."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
from urllib.parse import urlsplit

import aiohttp

from ... import __version__
from ...config.alerts import WebhookFormat, WebhookOutlet
from ...model.errors import ConfigError, PermanentError, RecorderError, TransientError
from .mail import trust
from .message import Message, visible

CODE = "alert.webhook"
PATIENT = frozenset({408, 425, 429})
"""Statuses that ask for another try, besides all from 500 on."""
LONGEST_REST = 3600.0
"""Seconds; a receiver that wants a longer rest is asked again all the same."""
CHAT_LIMIT = 3500
"""Characters that every chat system takes."""

SIGNATURE, TIMESTAMP, ID = "X-Ari-Recorder-Signature", "X-Ari-Recorder-Timestamp", "X-Ari-Recorder-Id"


class WebhookTeller:
    """Sends messages to one `[[alerts.webhook]]`."""

    def __init__(self, settings: WebhookOutlet) -> None:
        self.settings = settings
        self.name = settings.name

    @property
    def place(self) -> str:
        """Where it goes, for people: never the whole address."""
        try:
            return f"webhook at {_host(self.settings.read_url())}"
        except (RecorderError, ValueError):
            return "webhook"

    async def send(self, message: Message) -> None:
        """RecorderError `alert.webhook`, or of the configuration. Neither holds the address."""
        try:
            url = self.settings.read_url()
        except ValueError as error:
            raise ConfigError("config.value", f'The address of the webhook "{self.name}" {error}.') from error
        secret = self.settings.read_secret()
        body, kind = rendered(message, self.settings.format)
        headers = {"Content-Type": kind, "User-Agent": f"ari-recorder/{__version__}", ID: message.id}
        if secret is not None:
            stamp = str(int(message.at.timestamp()))
            headers |= {TIMESTAMP: stamp, SIGNATURE: signature(secret, stamp, body)}
        try:
            await self._post(url, body, headers)
        except TimeoutError as error:
            raise TransientError(
                CODE, f"The webhook at {_host(url)} does not answer in time.", remedy=_REACH
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _unreachable(error, _host(url)) from None

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        context = await asyncio.to_thread(trust, self.settings.ca_file)
        limit = aiohttp.ClientTimeout(total=self.settings.timeout)
        async with (
            aiohttp.ClientSession(timeout=limit, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(url, data=body, headers=headers, ssl=context, allow_redirects=False) as answer,
        ):
            if not 200 <= answer.status < 300:
                raise _refusal(answer, _host(url))


def rendered(message: Message, form: WebhookFormat) -> tuple[bytes, str]:
    """Body and content type. JSON is ASCII only: halves of characters become escapes."""
    if form is WebhookFormat.TEXT:
        return f"{message.subject}\n\n{message.text}".encode(), "text/plain; charset=utf-8"
    document = message.document()
    if form is WebhookFormat.CHAT:
        text = f"{message.subject}\n\n{message.text}"
        document = {"text": text if len(text) <= CHAT_LIMIT else text[: CHAT_LIMIT - 1] + "…"}
    return json.dumps(document).encode("ascii"), "application/json"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the HMAC of timestamp, a full stop and body: an old message cannot be sent again."""
    seal = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={seal.hexdigest()}"


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


_REACH = "Check its address, and whether a firewall is between."


def _unreachable(error: Exception, host: str) -> RecorderError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        cause = getattr(error, "certificate_error", error)
        why = visible(getattr(cause, "verify_message", "") or str(cause), 200)
        return PermanentError(
            CODE,
            f"The webhook at {host} shows a certificate that is not trusted: {why}.",
            remedy='Name the host as its certificate does, or its authority in "ca_file".',
        )
    if isinstance(error, FileNotFoundError | PermissionError):
        return PermanentError(
            CODE, "The file of its authorities cannot be read.", remedy='Correct "ca_file".'
        )
    why = getattr(error, "strerror", None) or type(error).__name__
    return TransientError(
        CODE, f"The webhook at {host} cannot be reached: {visible(str(why), 200)}.", remedy=_REACH
    )


def _refusal(answer: aiohttp.ClientResponse, host: str) -> RecorderError:
    said = f"{answer.status} {visible(answer.reason or '', 80)}".strip()
    if answer.status >= 500 or answer.status in PATIENT:
        return TransientError(
            CODE,
            f"The webhook at {host} answers {said}.",
            remedy="It is tried again by itself.",
            retry_after=_rest(answer.headers.get("Retry-After", "")),
        )
    if 300 <= answer.status < 400:
        remedy = "Write the address that it really has; redirections are not followed."
    else:
        remedy = "Check its address; the receiver may have withdrawn it."
    return PermanentError(CODE, f"The webhook at {host} answers {said}.", remedy=remedy)


def _rest(said: str) -> float | None:
    """Seconds of a Retry-After; a date is taken as unsaid."""
    return min(float(said), LONGEST_REST) if said.isascii() and said.isdigit() and len(said) < 10 else None
