"""Settings of the alerts: who is told of what is wrong, and how patiently."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from .table import Called, ResolvedPath, Table, Word, secret_of
from .targets.common import Host, Port

USUAL_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Least(StrEnum):
    """The least severity that is told."""

    WARNING = "warning"
    CRITICAL = "critical"


class MailSecurity(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class WebhookFormat(StrEnum):
    JSON = "json"
    CHAT = "chat"
    TEXT = "text"


def _address(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}", text):
        raise ValueError("must be a bare mail address such as admin@example.org")
    return text


Address = Annotated[str, AfterValidator(_address), Called("mail address")]
"""A mail address without a name around it; ASCII, for not every mail server takes others."""
Patience = Annotated[float, Field(strict=True, ge=0, le=86400)]
"""Seconds."""
AlertTimeout = Annotated[float, Field(strict=True, gt=0, le=120)]
"""Seconds to wait for a server."""


class Outlet(Table):
    """Keys that every way of telling has."""

    name: Word
    """How `status`, messages and `ari-recorder alert test` call it."""
    severity: Least = Least.WARNING
    """`critical` leaves out what is only a warning."""
    ca_file: ResolvedPath | None = None
    """Certificates (PEM) that the server's is checked against, instead of the system's."""
    timeout: AlertTimeout = 15.0
    """Seconds to wait for the server."""


class MailOutlet(Outlet):
    """One mail server and its recipients, as `[[alerts.mail]]`; any number."""

    server: Host = "localhost"
    """Host name or IP address of the mail server (SMTP)."""
    port: Port | None = None
    """TCP port. Default: 587 with `starttls`, 465 with `tls`, 25 with `none`."""
    security: MailSecurity = MailSecurity.STARTTLS
    """How the connection is protected. The server's certificate is always checked."""
    user: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    """Login name, where the server wants one."""
    password: SecretStr | None = None
    """Password. Better kept in a file of its own, see `password_file`."""
    password_file: ResolvedPath | None = None
    """File whose first line is the password."""
    sender: Address
    """Address that the mails come from."""
    recipients: Annotated[tuple[Address, ...], Field(min_length=1, max_length=50)]
    """Addresses that the mails go to."""

    @model_validator(mode="after")
    def _login(self) -> MailOutlet:
        secrets = sum(one is not None for one in (self.password, self.password_file))
        if secrets != (self.user is not None):
            raise ValueError(
                'needs "user" and exactly one of "password" and "password_file", or none of them'
            )
        if self.user is not None and self.security is MailSecurity.NONE:
            raise ValueError('would send its password unprotected; use security = "starttls" or "tls"')
        return self

    @property
    def usual_port(self) -> int:
        return self.port or USUAL_PORTS[self.security.value]

    def read_password(self) -> str | None:
        """The password, from its file where it is kept in one; ConfigError when that cannot be read."""
        return secret_of(
            self.password, self.password_file, f'The password of the alerts by mail "{self.name}"'
        )


def checked_url(text: str) -> str:
    """A webhook's address; ValueError, which never holds the address."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isascii() or any(c.isspace() or not c.isprintable() for c in text):
        raise ValueError("must be an address such as https://chat.example.org/hooks/…")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError('must not hold a user, a password or "#"')
    return text


def _secret_url(url: SecretStr) -> SecretStr:
    checked_url(url.get_secret_value())
    return url


class WebhookOutlet(Outlet):
    """One HTTP(S) receiver, as `[[alerts.webhook]]`; any number."""

    url: Annotated[SecretStr, AfterValidator(_secret_url)] | None = None
    """Where to POST to. It is treated as a secret, for chat systems let everyone write who knows it."""
    url_file: ResolvedPath | None = None
    """File whose first line is the address. Exactly one of the two must be given."""
    format: WebhookFormat = WebhookFormat.JSON
    """`json`: the documented document; `chat`: `{"text": …}` as Slack, Mattermost and others take it;
    `text`: the text alone."""
    secret: SecretStr | None = None
    """Key of the signature (HMAC-SHA256) by which the receiver knows that the recorder is talking."""
    secret_file: ResolvedPath | None = None
    """File whose first line is that key."""

    @model_validator(mode="after")
    def _complete(self) -> WebhookOutlet:
        if (self.url is None) == (self.url_file is None):
            raise ValueError('needs exactly one of "url" and "url_file"')
        if self.secret is not None and self.secret_file is not None:
            raise ValueError('needs only one of "secret" and "secret_file"')
        return self

    def read_url(self) -> str:
        """The address; ConfigError when its file cannot be read, ValueError when it holds no address."""
        what = f'The address of the webhook "{self.name}"'
        return checked_url(secret_of(self.url, self.url_file, what) or "")

    def read_secret(self) -> str | None:
        """The signature's key; ConfigError when its file cannot be read."""
        return secret_of(self.secret, self.secret_file, f'The secret of the webhook "{self.name}"')


class AlertSettings(Table):
    """Who is told when something is wrong. May be left out: then `status` alone tells it."""

    hold_off: Patience = 30.0
    """Seconds that something must be wrong before it is told."""
    settle: Patience = 60.0
    """Seconds that it must be well again before that is told; also after a start of the recorder."""
    remind_every: Annotated[float, Field(strict=True, ge=0, le=720)] = 24.0
    """Hours after which what is still wrong is told again; 0 for never."""
    ignore: tuple[Annotated[str, StringConstraints(min_length=1, max_length=200)], ...] = ()
    """Keys of conditions that are not told, as `ari-recorder status` shows them; `*` stands for anything."""
    mail: tuple[MailOutlet, ...] = ()
    """Mail servers and recipients, each as `[[alerts.mail]]`."""
    webhook: tuple[WebhookOutlet, ...] = ()
    """HTTP receivers, each as `[[alerts.webhook]]`."""

    @model_validator(mode="after")
    def _names(self) -> AlertSettings:
        names = [outlet.name for outlet in self.outlets]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f'holds two outlets with the name "{twice}"')
        return self

    @property
    def outlets(self) -> tuple[MailOutlet | WebhookOutlet, ...]:
        return (*self.mail, *self.webhook)
