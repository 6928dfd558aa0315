"""The small HTTP server of metrics and health: four paths, GET only, one request a connection."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web

from ...config.monitoring import MonitoringSettings
from ...model.errors import ConfigError, RecorderError
from ..conditions import Conditions, Severity
from .health import Health

KEY = "monitoring:listen"
LIFETIME = 20.0
"""Seconds after which a connection ends, whatever it was doing: nobody may hold one open for nothing."""
MOST = 64
"""Connections at once; for one more the oldest that asks nothing is cut, so that a crowd of silent ones keeps
nobody from asking whether the recorder lives."""
LONGEST_LINE = 2048
"""Bytes of a request's line and of each header."""
AGAIN = 30.0
"""Seconds after which an address that could not be used is tried again."""

Scrape = Callable[[str], Awaitable[tuple[bytes, str]]]
"""From the Accept header to the body and its content type."""

log = structlog.get_logger()


class Endpoint:
    """Serves until cancelled. An address that cannot be used is a condition, and never the recorder's end."""

    def __init__(
        self,
        settings: MonitoringSettings,
        conditions: Conditions,
        scrape: Scrape,
        health: Callable[[], Health],
        *,
        lifetime: float = LIFETIME,
    ) -> None:
        self._settings = settings
        self._conditions = conditions
        self._scrape = scrape
        self._health = health
        self._lifetime = lifetime
        self._token: bytes | None = None
        self._asking: set[asyncio.Protocol] = set()
        """Connections whose request is being answered."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._serve()
            except RecorderError as error:
                log.warning(str(error), action="monitoring.listen", code=error.code)
                self._conditions.begin_with(KEY, error, Severity.WARNING)
            except OSError as error:
                self._cannot_listen(error)
            await asyncio.sleep(AGAIN)

    async def _serve(self) -> None:
        token = await asyncio.to_thread(self._settings.read_token)
        if token == "":
            raise ConfigError("config.value", "The token of the metrics is empty.", remedy="Write one.")
        self._token = None if token is None else token.encode()
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            handle_signals=False,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )
        await runner.setup()
        try:
            host, port = self._settings.address
            listening = await asyncio.get_running_loop().create_server(self._factory(runner), host, port)
            async with listening:
                log.info(
                    "Metrics and health are served",
                    action="monitoring.listening",
                    address=self._settings.listen,
                )
                self._conditions.end(KEY)
                await listening.serve_forever()
        finally:
            await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard], client_max_size=1024)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/health", self._whole)
        application.router.add_get("/health/live", self._live)
        application.router.add_get("/health/ready", self._ready)
        return application

    def _factory(self, runner: web.AppRunner) -> Callable[[], asyncio.Protocol]:
        """Where there are too many the oldest silent one is cut, and all are after their time."""
        server = runner.server
        loop = asyncio.get_running_loop()

        def made() -> asyncio.Protocol:
            assert server is not None  # noqa: S101 - after setup
            protocol = server()
            loop.call_later(self._lifetime, protocol.force_close)
            open_now = [one for one in server.connections if one.transport is not None]
            if len(open_now) >= MOST:
                silent = (one for one in open_now if one not in self._asking)
                next(silent, open_now[0]).force_close()
            return protocol

        return made

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not self._may(request):
            return self._closing(web.Response(status=401, headers={"WWW-Authenticate": "Bearer"}))
        self._asking.add(request.protocol)
        try:
            answer = await handler(request)
        except web.HTTPException as error:  # unknown paths and methods, without aiohttp's words
            return self._closing(web.Response(status=error.status))
        except Exception:
            log.exception("A request could not be answered", action="monitoring.defect")
            return self._closing(web.Response(status=500))
        finally:
            self._asking.discard(request.protocol)
        return self._closing(answer)

    def _may(self, request: web.Request) -> bool:
        """Whether a process lives may be asked by everyone who reaches it."""
        if self._token is None or request.path == "/health/live":
            return True
        said = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(said, b"Bearer " + self._token)

    @staticmethod
    def _closing(answer: web.StreamResponse) -> web.StreamResponse:
        answer.force_close()
        answer.headers["Server"] = "ari-recorder"
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        body, kind = await self._scrape(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": kind})

    async def _whole(self, _request: web.Request) -> web.StreamResponse:
        health = self._health()
        return _json(health.document(), well=health.well)

    async def _live(self, _request: web.Request) -> web.StreamResponse:
        """Frozen, it would not answer; a disk or a PBX that hangs is nothing that a restart would mend."""
        return _json({"live": True}, well=True)

    async def _ready(self, _request: web.Request) -> web.StreamResponse:
        ready = self._health().ready
        return _json({"ready": ready}, well=ready)

    def _cannot_listen(self, error: OSError) -> None:
        sentence = (
            f"Metrics and health cannot be served on {self._settings.listen}: {error.strerror or error}."
        )
        remedy = "Name an address of this machine and a port that is free."
        log.warning(sentence, action="monitoring.listen", code="monitoring.listen")
        self._conditions.begin(KEY, "monitoring.listen", sentence, remedy, Severity.WARNING)


def _json(document: dict[str, Any], *, well: bool) -> web.Response:
    text = json.dumps(document) + "\n"
    return web.json_response(text=text, status=200 if well else 503)
