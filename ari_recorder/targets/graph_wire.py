"""HTTP to Microsoft 365: who is trusted, how long is waited, and how errors are told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from ..config import targets as config
from ..model.errors import TransientError
from .graph_errors import broken

CONNECTIONS = 16


class Wire(requests.Session):
    """Requests with a time limit each, and with nothing from the environment.

    `trust_env` is off: with it, REQUESTS_CA_BUNDLE would win over `ca_file`, and a ~/.netrc would add an
    Authorization header to addresses that must not get one.
    """

    def __init__(self, settings: config.OneDriveTarget) -> None:
        super().__init__()
        self._name = settings.name
        self.patience = settings.timeout
        """Seconds for each answer."""
        self._ended = threading.Event()
        self.trust_env = False
        self.verify = str(settings.ca_file) if settings.ca_file is not None else True
        self.headers["User-Agent"] = "ari-recorder"
        if settings.proxy is not None:
            self.proxies = {"https": settings.proxy}
        self.mount("https://", HTTPAdapter(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS))

    def request(self, method: Any, url: Any, *args: Any, **more: Any) -> requests.Response:
        """As in requests; `timeout` is there by itself. Also what msal calls."""
        more.setdefault("timeout", self.patience)
        return super().request(method, url, *args, **more)

    def ask(self, method: str, url: str, where: str, **more: Any) -> requests.Response:
        """A request to an https address, redirects not followed. RecorderError when no answer comes."""
        if not url.startswith("https://"):
            raise TransientError("target.torn", f"{where} named an address that is not safe.")
        self.check_open()
        try:
            return self.request(method, url, allow_redirects=False, **more)
        except (requests.RequestException, OSError) as error:
            self.check_open()
            raise broken(error, where) from error

    def check_open(self) -> None:
        """TransientError once the target is being closed."""
        if self._ended.is_set():
            raise TransientError("target.torn", f'Target "{self._name}" is being closed.')

    def close(self) -> None:
        self._ended.set()
        super().close()


class Slice:
    """Bytes to be sent, a little at a time: each piece has a time limit of its own, however slow the line."""

    def __init__(self, data: bytes, check: Callable[[], None]) -> None:
        self._data = memoryview(data)
        self._check = check
        self._at = 0

    def __len__(self) -> int:
        return len(self._data) - self._at

    def read(self, size: int = -1) -> bytes:
        self._check()
        end = len(self._data) if size < 0 else min(self._at + size, len(self._data))
        piece = bytes(self._data[self._at : end])
        self._at = end
        return piece
