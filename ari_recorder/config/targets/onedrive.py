"""Settings of a target in OneDrive for Business or SharePoint."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from ..table import Called, ResolvedPath, secret_of
from .common import AnyTarget, Timeout

STEP_KIB = 320
"""Fragments of an upload are multiples of this, and below 60 MiB:
<https://learn.microsoft.com/graph/api/driveitem-createuploadsession>."""


class Cloud(StrEnum):
    """Microsoft's clouds, each with its own login and Graph service."""

    GLOBAL = "global"
    US_GOV = "us-gov"
    US_GOV_DOD = "us-gov-dod"
    CHINA = "china"


class LoginKind(StrEnum):
    APP = "app"
    DEVICE_CODE = "device-code"


ENDPOINTS: dict[Cloud, tuple[str, str]] = {
    Cloud.GLOBAL: ("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    Cloud.US_GOV: ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    Cloud.US_GOV_DOD: ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
    Cloud.CHINA: ("https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"),
}
"""Where each cloud logs in, and its Graph: <https://learn.microsoft.com/graph/deployments>."""


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be an address that begins with https://")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError('must hold neither a user nor "?" nor "#"')
    return text.rstrip("/")


def _proxy(text: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9._:\[\]-]+/?", text):
        raise ValueError("must be an address such as http://proxy.example.org:3128, without a login")
    return text


def _tenant(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{2,252}", text):
        raise ValueError("must be the tenant's id or one of its domains, such as contoso.onmicrosoft.com")
    return text


def _site(text: str) -> str:
    host, _, path = text.removeprefix("https://").partition("/")
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]+)?", host) or any(c in path for c in '?#%"\\'):
        raise ValueError("must be a site's address, such as https://contoso.sharepoint.com/sites/archive")
    return f"{host}/{path}".rstrip("/")


def _folder(text: str) -> str:
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts or any(ord(c) < 32 or c in '"*:<>?\\|#%' for c in text):
        raise ValueError('must not hold ".." nor any of " * : < > ? \\ | # %')
    return "/".join(parts)


def _fragment(kib: int) -> int:
    if kib % STEP_KIB:
        raise ValueError(f"must be a multiple of {STEP_KIB}")
    return kib


Address = Annotated[str, AfterValidator(_address), Called("https address")]
"""An address of a web service, always TLS."""
Given = Annotated[str, StringConstraints(min_length=1, max_length=400)]


class OneDriveTarget(AnyTarget):
    """A folder in OneDrive for Business or in a SharePoint document library, through Microsoft Graph."""

    kind: Literal["onedrive"]
    """Says that the target is in OneDrive or SharePoint."""
    tenant: Annotated[str, AfterValidator(_tenant), Called("tenant")] | None = None
    """The organisation: its tenant id, or one of its domains."""
    client_id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f-]{36}$")] | None = None
    """Application (client) id of the app that is registered for the recorder."""
    login: LoginKind = LoginKind.APP
    """`app`: with the app's own secret or certificate; `device-code`: as a user who logs in once with
    `ari-recorder target login NAME`."""
    client_secret: SecretStr | None = None
    """The app's secret: its value, not its id. Better kept in a file, see `client_secret_file`."""
    client_secret_file: ResolvedPath | None = None
    """File whose first line is the app's secret."""
    secret_expires: date | None = None
    """The day on which the secret expires, as the portal shows it: the recorder cannot ask, but can warn."""
    certificate_file: ResolvedPath | None = None
    """PEM file with the certificate registered for the app and its private key, instead of a secret."""
    passphrase: SecretStr | None = None
    """Passphrase of the key in `certificate_file`."""
    user: Given | None = None
    """Whose OneDrive: a user's sign-in name or id. Exactly one of `user`, `site` and `drive` must be given;
    with `device-code` none of them means the OneDrive of the user who logs in."""
    site: Annotated[Given, AfterValidator(_site)] | None = None
    """Address of a SharePoint site, such as `https://contoso.sharepoint.com/sites/archive`."""
    library: Given | None = None
    """Name of the document library in `site`; left out, the site's first one (Documents)."""
    drive: Given | None = None
    """Id of a drive, where it is known."""
    folder: Annotated[str, StringConstraints(max_length=400), AfterValidator(_folder)] = ""
    """Folder in the drive; it must exist. Empty: the drive's root."""
    retention_label: Given | None = None
    """Name of a retention label that every file gets after it is delivered."""
    cloud: Cloud = Cloud.GLOBAL
    """`global`, `us-gov` (GCC High), `us-gov-dod` or `china`."""
    authority: Address | None = None
    """Address of the login service, where it is not that of `cloud`."""
    graph: Address | None = None
    """Address of Microsoft Graph, where it is not that of `cloud`."""
    ca_file: ResolvedPath | None = None
    """PEM file with the certificate authorities to trust instead of the public ones, for a proxy that opens
    TLS. Variables of the environment are not looked at."""
    proxy: Annotated[str, AfterValidator(_proxy), Called("proxy address")] | None = None
    """Proxy for all connections of this target, such as `http://proxy.example.org:3128`."""
    fragment: Annotated[
        int, Field(strict=True, ge=STEP_KIB, le=60 * 1024 - STEP_KIB), AfterValidator(_fragment)
    ] = 10240
    """KiB sent in one piece: a multiple of 320. Smaller for a line that often breaks."""
    read_back: Annotated[bool, Field(strict=True)] = False
    """Read every file back and compare its SHA-256, instead of trusting the hash that the service tells."""
    warn_days: Annotated[int, Field(strict=True, ge=0, le=365)] = 14
    """So many days before the login expires the recorder begins to warn."""
    timeout: Timeout = 30.0
    """Seconds to wait for the service's answer."""

    @model_validator(mode="after")
    def _consistent(self) -> OneDriveTarget:
        secrets = (self.client_secret, self.client_secret_file, self.certificate_file)
        if sum(way is not None for way in secrets) > 1:
            raise ValueError('takes only one of "client_secret", "client_secret_file" and "certificate_file"')
        if self.login is LoginKind.DEVICE_CODE and any(secrets):
            raise ValueError('with login = "device-code" has no use for a secret or certificate')
        if self.passphrase is not None and self.certificate_file is None:
            raise ValueError('has a "passphrase" but no "certificate_file"')
        if sum(place is not None for place in (self.user, self.site, self.drive)) > 1:
            raise ValueError('takes only one of "user", "site" and "drive"')
        if self.library is not None and self.site is None:
            raise ValueError('has a "library" but no "site"')
        return self

    def missing(self) -> tuple[str, ...]:
        lacking = [name for name in ("tenant", "client_id") if getattr(self, name) is None]
        if self.login is LoginKind.APP:
            if not (self.client_secret or self.client_secret_file or self.certificate_file):
                lacking.append("client_secret_file or certificate_file")
            if not (self.user or self.site or self.drive):
                lacking.append("user, site or drive")
        return tuple(lacking)

    @property
    def place(self) -> str:
        """Where the recordings go, for people."""
        owner = self.user or self.site or self.drive or "OneDrive of whoever logs in"
        return "/".join(part for part in (owner, self.library, self.folder) if part)

    @property
    def authority_url(self) -> str:
        """The login service of the tenant."""
        return f"{self.authority or ENDPOINTS[self.cloud][0]}/{self.tenant}"

    @property
    def graph_url(self) -> str:
        """Microsoft Graph, without the version."""
        return self.graph or ENDPOINTS[self.cloud][1]

    def read_secret(self) -> str | None:
        """The app's secret, from its file where it is kept in one; ConfigError when that cannot be read."""
        return secret_of(
            self.client_secret, self.client_secret_file, f'The app\'s secret of target "{self.name}"'
        )
