"""Requests to Microsoft Graph: with a token, within its limits, and with errors in our words."""

from __future__ import annotations

from typing import Any

import requests

from ...config import targets as config
from ...model.errors import ConfigError, TransientError
from ..vault import Vault
from .errors import Said, refused, said
from .login import Login
from .rest import Rest
from .wire import Wire

WHERE = "Microsoft 365"


class RefusedError(Exception):
    """Graph answered with an error that the caller may know what to do about."""

    def __init__(self, found: Said, doing: str) -> None:
        super().__init__(f"{doing}: HTTP {found.status} {found.code}")
        self.found = found
        self.explained = refused(found, doing)


class Session:
    """One target's way to Graph, for several threads at once."""

    def __init__(self, settings: config.OneDriveTarget, vault: Vault | None) -> None:
        self._name = settings.name
        self._base = f"{settings.graph_url}/v1.0"
        self.wire = Wire(settings)
        self._rest = Rest(settings.name)
        self.login = Login(settings, self.wire, self._rest, vault)

    def call(
        self, method: str, path: str, doing: str, headers: dict[str, str] | None = None, **more: Any
    ) -> requests.Response:
        """Graph's answer below 400. RefusedError for any other, RecorderError when there is none.

        `path` is encoded already; `doing` says what it is for, as in "making the folder x". A token that is
        not taken any more is renewed once.
        """
        self._rest.demand()
        token = self.login.token()
        for attempt in (1, 2):
            with_token = {"Accept": "application/json", **(headers or {}), "Authorization": f"Bearer {token}"}
            response = self.ask(method, self._base + path, doing, headers=with_token, **more)
            if response.status_code != 401:
                break
            if attempt == 1:
                token = self.login.renewed(token)
        if response.status_code == 401:
            raise ConfigError(
                "target.login",
                f'Microsoft 365 refuses the login of target "{self._name}", though it is a fresh one.',
                remedy="Check the app's permissions and the tenant's conditional access policies.",
            )
        if response.status_code >= 400:
            raise RefusedError(said(response), doing)
        return response

    def ask(self, method: str, url: str, doing: str, **more: Any) -> requests.Response:
        """An answer whatever it says, without a token; throttling alone is raised at once, and remembered."""
        self._rest.demand()
        response = self.wire.ask(method, url, WHERE, **more)
        self._rest.heed(response, doing)
        return response

    def close(self) -> None:
        self.wire.close()


def document(response: requests.Response) -> dict[str, Any]:
    """The JSON object of an answer; TransientError when it is none."""
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise TransientError("target.torn", "Microsoft 365 gave an answer that makes no sense.")
    return found
