"""Settings of the endpoint for metrics and health."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, model_validator

from .table import Called, ResolvedPath, Table, secret_of


def split_address(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:9310` or `[::1]:9310`; ValueError."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.path or parts.query or "@" in text or not text.isprintable():
        raise ValueError("must be an address and a port, such as 127.0.0.1:9310 or [::1]:9310")
    return host, port


def _address(text: str) -> str:
    split_address(text)
    return text


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class MonitoringSettings(Table):
    """Metrics for Prometheus and `/health` over HTTP. Without this section nothing listens."""

    listen: Annotated[str, AfterValidator(_address), Called("address:port")] = "127.0.0.1:9310"
    """Address and TCP port to listen on. Beyond this machine only with a token; the connection is HTTP
    without TLS, so put a reverse proxy before it where others could listen in."""
    token: SecretStr | None = None
    """What a client must send as `Authorization: Bearer …`. Better kept in a file, see `token_file`."""
    token_file: ResolvedPath | None = None
    """File whose first line is the token."""

    @model_validator(mode="after")
    def _guarded(self) -> MonitoringSettings:
        if self.token is not None and self.token_file is not None:
            raise ValueError('needs only one of "token" and "token_file"')
        if self.token is None and self.token_file is None and not _loopback(self.address[0]):
            raise ValueError('listens beyond this machine and needs "token" or "token_file"')
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return split_address(self.listen)

    def read_token(self) -> str | None:
        """The token; ConfigError when its file cannot be read."""
        return secret_of(self.token, self.token_file, "The token of the metrics")
