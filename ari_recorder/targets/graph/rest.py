"""The rest that Microsoft 365 wants: until then one target asks it nothing, neither Graph nor Entra."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import requests

from ...model.errors import TransientError
from .errors import refused, said
from .wire import Wire

THROTTLED = (429, 503, 509)


class Rest:
    """For several threads at once. `clock` gives seconds."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._guard = threading.Lock()
        self._until = 0.0

    def demand(self) -> None:
        """TransientError `target.busy` while the service wants to be left alone."""
        with self._guard:
            left = self._until - self._clock()
        if left > 0:
            raise TransientError(
                "target.busy",
                f'Microsoft 365 asked target "{self._name}" to wait.',
                remedy="Nothing has to be done; it goes on by itself.",
                retry_after=left,
            )

    def heed(self, response: requests.Response, doing: str) -> None:
        """Raise what an answer says that throttles or is away, and remember until when.

        Answers cross each other: one that names a shorter time takes nothing from a longer one.
        """
        if response.status_code not in THROTTLED:
            return
        error = refused(said(response), doing)
        if isinstance(error, TransientError) and error.retry_after:
            with self._guard:
                self._until = max(self._until, self._clock() + error.retry_after)
        raise error


class LoginWire:
    """The wire as msal uses it. What Entra says of a rest is obeyed as what Graph says.

    msal itself would give throttling out as a refused login, or keep it in a memory that ends with each app.
    """

    def __init__(self, wire: Wire, rest: Rest) -> None:
        self._wire = wire
        self._rest = rest

    def get(self, url: str, **more: Any) -> requests.Response:
        return self._asked("GET", url, **more)

    def post(self, url: str, **more: Any) -> requests.Response:
        return self._asked("POST", url, **more)

    def close(self) -> None:
        """The wire is not msal's to close."""

    def _asked(self, method: str, url: str, **more: Any) -> requests.Response:
        self._rest.demand()
        response = self._wire.request(method, url, **more)
        self._rest.heed(response, "logging in")
        return response
