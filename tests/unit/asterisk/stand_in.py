"""A small HTTP server that answers like ARI, and can be told to refuse, freeze, close or hand over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

USER, PASSWORD = "recorder", "s3cret"
DEADLINE = 5.0
AT = "2026-11-21T22:50:46.123+0000"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    authorization: str


def channel(channel_id: str, name: str = "PJSIP/trunk-berlin-00000001", app: str = "") -> dict[str, Any]:
    """ARI's Channel model."""
    return {
        "id": channel_id,
        "name": name,
        "state": "Up",
        "caller": {"name": "", "number": "+49301234"},
        "connected": {"name": "", "number": ""},
        "dialplan": {"context": "x", "exten": "1", "priority": 1, "app_name": app, "app_data": ""},
        "creationtime": AT,
    }


@dataclass
class StandIn:
    """`answers` go before the built-in ones: (method, path below /ari) → (status, JSON or text)."""

    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    url: str = ""
    echo_events: bool = True
    """Send user events to the last socket, as Asterisk does."""
    before: Callable[[str], None] = lambda _path: None
    """Called with each path before it is answered."""
    _thawed: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def freeze(self) -> None:
        """Nothing is answered, nor read, until `thaw`."""
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    async def send(self, message: object, *, socket: int = -1) -> None:
        await self.sockets[socket].send_str(message if isinstance(message, str) else json.dumps(message))

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something about requests or sockets is true."""
        async with asyncio.timeout(DEADLINE), self._changed:
            await self._changed.wait_for(reached)

    def asked(self, method: str, path: str) -> list[Request]:
        return [each for each in self.requests if (each.method, each.path) == (method, path)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/ari")
        raw = request.rel_url.raw_path.removeprefix("/ari")
        body = json.loads(text) if (text := await request.text()) else None
        authorization = request.headers.get("Authorization", "")
        async with self._changed:
            self.requests.append(Request(request.method, raw, dict(request.query), body, authorization))
            self._changed.notify_all()
        await self._thawed.wait()
        self.before(path)
        if path == "/events" and (request.method, path) not in self.answers:
            return await self._socket(request)
        status, answer = self.answers.get((request.method, raw)) or await self._usual(request.method, path)
        if isinstance(answer, bytes):
            return web.Response(status=status, body=answer)
        if isinstance(answer, str):
            return web.Response(status=status, text=answer)
        return web.json_response(answer, status=status) if answer is not None else web.Response(status=status)

    async def _usual(self, method: str, path: str) -> tuple[int, Any]:
        if path.startswith("/events/user/"):
            if self.echo_events and self.sockets:
                name = path.rsplit("/", 1)[1]
                await self.send({"type": "ChannelUserevent", "timestamp": AT, "eventname": name})
            return 204, None
        if path.startswith("/applications/"):
            return 200, {"name": "ari-recorder", "channel_ids": ["c1"], "bridge_ids": [], "endpoint_ids": []}
        usual: dict[str, Any] = {
            "/asterisk/ping": {"ping": "pong", "timestamp": AT, "asterisk_id": "x"},
            "/channels": [],
            "/bridges": [],
        }
        if method == "GET" and path in usual:
            return 200, usual[path]
        return 404, {"message": "Not here"}

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        async with self._changed:
            self.sockets.append(socket)
            self._changed.notify_all()
        with suppress(asyncio.CancelledError):
            async for message in socket:
                if message.type is WSMsgType.ERROR:
                    break
        return socket


@asynccontextmanager
async def stand_in() -> AsyncIterator[StandIn]:
    served = StandIn()
    served.thaw()
    application = web.Application()
    application.router.add_route("*", "/{any:.*}", served.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    served.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    try:
        yield served
    finally:
        served.thaw()
        for socket in served.sockets:
            await socket.close()
        await runner.cleanup()
