"""HTTP to ARI: one session per client, every request with a time limit, every failure classified.

The password travels in the Authorization header only; URLs end up in logs of servers and proxies.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar
from urllib.parse import quote

import aiohttp
from yarl import URL

from ...model.errors import ConfigError, PermanentError, RecorderError, TransientError
from .decode import MalformedError, mappings, printable

DEFAULT_LIMIT = 5.0
"""Seconds a request may take, from waiting for a connection to the last byte of the answer."""

CONNECTIONS = 40
"""Asterisk's `sessionlimit` is 100 by default and shared with every other user of its HTTP server."""

KEEP_ALIVE = 10.0
"""Seconds an idle connection is kept; below Asterisk's 15 s (`session_keep_alive`), so that a request
is never sent into a connection that Asterisk is just closing."""

CLOSE_LIMIT = 1.0
"""Seconds to wait for the other end's goodbye on a WebSocket; a frozen Asterisk never says it."""

LARGEST_EVENT = 32 * 1024 * 1024
"""Bytes. An event of a bridge lists its channels; no event known comes near this."""

CHUNK = 256 * 1024

Query = Mapping[str, str]
T = TypeVar("T")


class RefusedError(PermanentError):
    """Asterisk answered, and the answer was no. `status` is the HTTP status."""

    def __init__(self, code: str, sentence: str, *, status: int, remedy: str = "") -> None:
        super().__init__(code, sentence, remedy=remedy)
        self.status = status


class Transport:
    """One HTTP session to one Asterisk. Use as an async context manager, or `close()` it."""

    def __init__(
        self, base_url: str, user: str, password: str, *, limit: float = DEFAULT_LIMIT, connections: int
    ) -> None:
        self.base = ari_root(base_url)
        self.limit = limit
        token = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        self._headers = {"Authorization": f"Basic {token}"}
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Made at first use, because it must be made inside the running loop."""
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=KEEP_ALIVE)
            self._session = aiohttp.ClientSession(
                connector=connector, headers=self._headers, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def url(self, *path: str) -> URL:
        """The URL of a resource; every part is quoted, so that `a/b` is one name and `..` harmless."""
        return URL(str(self.base) + "".join("/" + quote(part, safe="") for part in path), encoded=True)

    async def get(self, *path: str, query: Query | None = None, limit: float | None = None) -> Any:
        return await self.request("GET", *path, query=query, limit=limit)

    async def post(
        self, *path: str, query: Query | None = None, body: object = None, limit: float | None = None
    ) -> Any:
        return await self.request("POST", *path, query=query, body=body, limit=limit)

    async def delete(self, *path: str, query: Query | None = None) -> Any:
        return await self.request("DELETE", *path, query=query)

    async def request(
        self,
        method: str,
        *path: str,
        query: Query | None = None,
        body: object = None,
        limit: float | None = None,
    ) -> Any:
        """The decoded JSON of the answer, None when it has none.

        Raises ConfigError ari.unauthorised, RefusedError ari.not-found or ari.refused, TransientError
        ari.unreachable or ari.timeout.
        """
        async with self.stream(method, *path, query=query, body=body, limit=limit) as response:
            raw = await response.read()
        if not raw:
            return None
        try:
            return json.loads(raw.decode("utf-8", "replace"))
        except ValueError as error:
            raise RefusedError(
                "ari.refused",
                f"{self.base.host} answered {method} {'/'.join(path)} with something that is not JSON.",
                status=response.status,
                remedy="Check that the configured address is Asterisk's HTTP server.",
            ) from error

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        *path: str,
        query: Query | None = None,
        body: object = None,
        limit: float | None = None,
        idle: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer to be read piece by piece; with `idle` no total limit but one for each silence."""
        seconds = self.limit if limit is None else limit
        timeout = aiohttp.ClientTimeout(total=seconds)
        if idle is not None:
            timeout = aiohttp.ClientTimeout(total=None, connect=seconds, sock_read=idle)
        try:
            async with self.session.request(
                method,
                self.url(*path),
                params=query,
                json=body,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                if not 200 <= response.status < 300:
                    await self._refuse(response, method, path)
                yield response
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise self.classify(error, f"{method} {'/'.join(path)}") from error

    async def open_events(self, application: str, *, heartbeat: float) -> aiohttp.ClientWebSocketResponse:
        """The WebSocket that carries an application's events; raises what `request` raises.

        Asterisk gives the events to the client that came last: the one before gets ApplicationReplaced.
        """
        query = {"app": application, "subscribeAll": "false"}
        try:
            async with asyncio.timeout(self.limit):
                return await self.session.ws_connect(
                    self.url("events").with_query(query),
                    heartbeat=heartbeat,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_LIMIT),
                    max_msg_size=LARGEST_EVENT,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise refusal(error.status, None, "GET events") from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise self.classify(error, "GET events") from error

    def classify(self, error: BaseException, what: str) -> RecorderError:
        """A failure of the transport as an error a person may read."""
        where = f"{self.base.host}:{self.base.port}"
        if isinstance(error, TimeoutError):
            return TransientError(
                "ari.timeout", f"Asterisk at {where} did not answer {printable(what)} in time."
            )
        return TransientError(
            "ari.unreachable",
            f"Asterisk at {where} cannot be reached ({_cause(error)}).",
            remedy="Check that Asterisk runs, and [general] in its http.conf: enabled, bindaddr, bindport.",
        )

    async def _refuse(self, response: aiohttp.ClientResponse, method: str, path: tuple[str, ...]) -> NoReturn:
        raise refusal(response.status, message_of(await response.read()), f"{method} {'/'.join(path)}")


def _cause(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return os.strerror(error.os_error.errno)
    return printable(str(error)) or type(error).__name__


def ari_root(base_url: str) -> URL:
    """`http://pbx:8088` → `http://pbx:8088/ari`; a prefix from http.conf is kept. ConfigError else."""
    try:
        url = URL(base_url)
        usable = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError:
        usable = False
    if not usable or url.user is not None:
        raise ConfigError(
            "config.value",
            "The address of Asterisk's REST interface is not an http:// or https:// address without user.",
            remedy="Write it like http://127.0.0.1:8088.",
        )
    path = url.path.rstrip("/")
    return url.with_path(path if path.endswith("/ari") else path + "/ari")


def message_of(raw: bytes) -> str | None:
    """Asterisk's own words in an error answer; None when the answer is not Asterisk's JSON."""
    try:
        data = json.loads(raw.decode("utf-8", "replace"))
    except ValueError:
        return None
    message = data.get("message", data.get("error")) if isinstance(data, dict) else None
    return message if isinstance(message, str) else None


def refusal(status: int, message: str | None, what: str) -> RecorderError:
    """Which error an HTTP status is."""
    what = printable(what)
    said = f": {printable(message)}" if message else ""
    if status == 401 or (status == 403 and message in (None, "Write access denied")):
        return _unauthorised(status, said)
    if status == 404:
        return RefusedError("ari.not-found", f"Asterisk knows nothing of it ({what}){said}.", status=status)
    if status in (502, 503, 504):
        # Asterisk while it boots, or a proxy before it: the same request may work in a moment.
        return TransientError("ari.unreachable", f"Asterisk is not ready ({status} to {what}){said}.")
    return RefusedError("ari.refused", f"Asterisk refused {what} ({status}){said}.", status=status)


def _unauthorised(status: int, said: str) -> ConfigError:
    if status == 401:
        return ConfigError(
            "ari.unauthorised",
            f"Asterisk does not accept the ARI user or its password{said}.",
            remedy="Compare user and password with the user's section in Asterisk's ari.conf, then run"
            " `asterisk -rx 'module reload res_ari.so'`.",
        )
    return ConfigError(
        "ari.unauthorised",
        f"Asterisk's ARI user may only read{said}.",
        remedy="Set `read_only=no` in the user's section of Asterisk's ari.conf.",
    )


def decoded(decode: Callable[[Any], T], data: Any) -> T:
    """An answer as a value of ours; RefusedError ari.refused when it is not what ARI documents."""
    try:
        return decode(data)
    except MalformedError as error:
        raise RefusedError(
            "ari.refused", f"Asterisk's answer cannot be understood: {printable(str(error))}.", status=200
        ) from error


def decoded_list(decode: Callable[[Any], T], data: Any) -> list[T]:
    return decoded(lambda answer: [decode(item) for item in mappings(answer)], data)


async def drain(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body in pieces; asyncio gets a turn between two."""
    async for piece in response.content.iter_chunked(CHUNK):
        yield piece
        await asyncio.sleep(0)
