"""HTTP to Microsoft 365: who is trusted, how long is waited, and how errors are told."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from ...config import targets as config
from ...model.errors import IntegrityError, TransientError
from .. import pace
from .errors import broken

CONNECTIONS = 16

PIECE = 64 * 1024

LARGEST = 4 * 1024 * 1024
"""Bytes of an answer that is not a file: a list of a thousand libraries has less than a quarter of that."""


# Every failure reaches the admin as one of our errors; msal would log the whole answer besides, tokens too.
logging.getLogger("msal").setLevel(logging.CRITICAL + 1)


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
        """As in requests; `timeout` is there by itself. Also what msal calls.

        Redirects are followed nowhere: with one the app's secret would go wherever the login service, or
        who stands in for it, says. An answer that is not a `stream` has come whole, or is an error.
        """
        more.setdefault("timeout", self.patience)
        more["allow_redirects"] = False
        streamed = more.get("stream") or False
        more["stream"] = True
        response = super().request(method, url, *args, **more)
        if not streamed:
            _take_in(response, self.patience)
        return response

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


def _take_in(response: requests.Response, seconds: float) -> None:
    """Read an answer's body. Each piece of it could take its time, and there could be any number of them."""
    body, begun = bytearray(), time.monotonic()
    try:
        while piece := response.raw.read1(PIECE, decode_content=True):
            body += piece
            if len(body) > LARGEST:
                raise requests.ConnectionError("the answer is too long")
            if time.monotonic() - begun > seconds:
                raise requests.ReadTimeout("the answer timed out")
    except (HTTPError, OSError) as error:  # what urllib3 raises, and requests' own above
        response.close()
        if isinstance(error, requests.RequestException):
            raise
        raise requests.ConnectionError(error) from error
    response._content = bytes(body)  # where requests itself keeps what it has read
    response._content_consumed = True  # type: ignore[attr-defined]


class Slice:
    """Bytes of a file to be sent, a little at a time.

    Each piece has a time limit of its own, however slow the line, and is read when it is its turn: so the
    pace of the file (pace.py) is that of the line.
    """

    def __init__(self, stream: BinaryIO, at: int, size: int, check: Callable[[], None]) -> None:
        """`size` bytes of `stream` from `at` on. `check` is called before each piece."""
        self._stream = stream
        self._left = size
        self._check = check
        stream.seek(at)

    def __len__(self) -> int:
        return self._left

    def read(self, size: int = -1) -> bytes:
        """IntegrityError `evidence.unreadable` when the file does not have what it had before."""
        self._check()
        wanted = min(self._left, pace.piece(self._stream), size if size >= 0 else self._left)
        try:
            piece = self._stream.read(wanted)
            why = "it has become shorter"
        except OSError as error:
            piece, why = b"", error.strerror or "it cannot be read"
        if len(piece) < wanted:
            text = f"A sealed file in the spool failed while it was being sent: {why}."
            raise IntegrityError("evidence.unreadable", text, remedy="Check the disk of the spool.")
        self._left -= len(piece)
        return piece
