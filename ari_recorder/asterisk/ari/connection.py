"""One application's events, for ever: connects, subscribes, reads the state, and comes back when lost.

`async with AriConnection(client, "ari-recorder") as connection: async for item in connection: …`
gives `Connected` (what there is now), then `Event`s in Asterisk's order, `Disconnected` (why), and so on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import NoReturn, Self, TypeAlias

import aiohttp

from ...capture.events import Event, Snapshot
from ...model.errors import ConfigError, RecorderError, TransientError
from ..snapshot import read_snapshot
from .client import AriClient
from .decode import printable
from .events import translate
from .transport import RefusedError

log = logging.getLogger(__name__)

UNWANTED = (
    "ChannelVarset",
    "ChannelDialplan",
    "EndpointStateChange",
    "PeerStatusChange",
    "ContactStatusChange",
)
"""Events never used; on a busy PBX they are most of all."""

MOST_GHOSTS = 10
"""No more attempts wait in a frozen Asterisk: it listens with a backlog of 10 (main/tcptls.c)."""

HIGH_WATER = 5000
"""Waiting events at which a warning is logged; again at each doubling."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The socket stands, everything is subscribed; the events after this may repeat the snapshot."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Disconnected:
    """Events are being lost from here to the next `Connected`; said again when the reason changes.

    `error.code`: ari.unreachable, ari.timeout, ari.unauthorised, ari.replaced, …
    """

    error: RecorderError
    heard_at: datetime | None = None
    """When something was last heard on the line that was lost, by our clock; None when none had stood."""

    @property
    def reason(self) -> str:
        return self.error.sentence


Item: TypeAlias = Connected | Disconnected | Event


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds. All that waits in this file."""

    first: float = 0.2
    longest: float = 10.0
    replaced: float = 60.0
    """Before the application is taken back from whoever took it: two recorders must not play ping-pong."""
    between_pings: float = 2.5
    ping_limit: float = 3.0
    """With `between_pings` the time in which a frozen Asterisk is noticed."""
    heartbeat: float = 6.0
    """WebSocket pings; unanswered for half of it means lost."""
    first_pulse: float = 0.3
    """The first check that events arrive; the pause doubles up to `between_pings`."""
    pulse_limit: float = 4.0
    """How long an event that Asterisk is asked to send may be on its way."""
    calm: float = 60.0
    """After so long an undisturbed connection no ghost (see `AriConnection`) is expected any more."""


class AriConnection:
    """Keeps one WebSocket to Asterisk. Reading never waits for the consumer: the queue is unbounded.

    `technologies`: channel technologies whose endpoints are followed (`PJSIP`, `SIP`, `IAX2`); one that
    Asterisk does not have is logged and left out, and the connection fails only when it has none of them.
    `wanted` names the recordings the snapshot shall ask about, whenever one is read.

    Ghosts: an attempt to connect that timed out is still in the queue of a frozen Asterisk. When that
    wakes up it serves the attempt, and gives our application to a socket that we left long ago
    [measured]. So many `ApplicationReplaced` as there may be ghosts are answered by coming back at once.
    """

    def __init__(
        self,
        client: AriClient,
        application: str,
        technologies: Iterable[str] = ("PJSIP",),
        *,
        wanted: Callable[[], Iterable[str]] = tuple,
        bridges: bool = True,
        pauses: Pauses = Pauses(),
    ) -> None:
        self._client = client
        self._application = application
        self._technologies = tuple(technologies)
        self._wanted = wanted
        self._bridges = bridges
        self._pauses = pauses
        self._queue: deque[Item] = deque()
        self._arrived = asyncio.Event()
        self._warn_at = HIGH_WATER
        self._ghosts = 0
        self._line: _Line | None = None
        self._runner: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._runner = asyncio.create_task(self._run(), name=f"ari-connection-{self._application}")
        self._runner.add_done_callback(lambda _: self._arrived.set())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None  # noqa: S101 - only after __aenter__
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)

    @property
    def heard_at(self) -> datetime | None:
        """When something was last heard of Asterisk's events (the recorder's clock); None while nothing is.

        A pulse (see `_Line`) comes every few seconds, so this is never much older on a line that stands.
        """
        return self._line.heard_at if self._line is not None and self._line.stood else None

    async def snapshot(self) -> Snapshot:
        """What there is now; RecorderError. An event that was told before is in it."""
        return await self._read_snapshot()

    @property
    def waiting(self) -> int:
        """Items not yet consumed."""
        return len(self._queue)

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        """The next item; ends only when the connection is closed, raises only for a defect of ours."""
        while not self._queue:
            self._arrived.clear()
            if self._runner is None or self._runner.done():
                if self._runner is not None and not self._runner.cancelled():
                    self._runner.result()
                raise StopAsyncIteration
            await self._arrived.wait()
        return self._queue.popleft()

    def _put(self, item: Item) -> None:
        self._queue.append(item)
        self._arrived.set()
        if len(self._queue) >= self._warn_at:
            log.warning("ari-events-waiting: %d events wait to be handled", len(self._queue))
            self._warn_at *= 2
        elif len(self._queue) == 1:
            self._warn_at = HIGH_WATER

    async def _run(self) -> None:
        failures = 0
        known: tuple[str, str] | None = None
        while True:
            line = self._line = _Line(self._client, self._application, self._pauses, self._put)
            try:
                await line.hold(self._subscribe, self._read_snapshot)
            except RecorderError as error:
                failures = 0 if line.proven else failures + 1
                cause = self._judged(line, error)
                pause = self._pause(cause, failures)
                # While Asterisk stays away and the same has to be done, saying it once is enough.
                if line.stood or (cause.code, cause.remedy) != known:
                    self._put(Disconnected(cause, line.heard_at if line.stood else None))
                known = (cause.code, cause.remedy)
                log.info("ari-disconnected: %s Next attempt in %.1f s.", cause, pause)
                await asyncio.sleep(pause)

    def _judged(self, line: _Line, error: RecorderError) -> RecorderError:
        """The error as it came, or what it means where a ghost is behind it."""
        if line.calm:
            self._ghosts = 0
        if not line.opened and error.code == "ari.timeout":
            self._ghosts = min(self._ghosts + 1, MOST_GHOSTS)
        if error.code != "ari.replaced" or not self._ghosts:
            return error
        self._ghosts -= 1
        return TransientError("ari.timeout", "Asterisk, awake again, first served an outdated connection.")

    def _pause(self, error: RecorderError, failures: int) -> float:
        if error.code == "ari.replaced":
            return self._pauses.replaced
        grown = min(self._pauses.longest, self._pauses.first * 2.0 ** min(max(failures - 1, 0), 16))
        return grown * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing

    async def _subscribe(self) -> None:
        with suppress(RecorderError):  # a matter of load only; an old Asterisk may not have it
            await self._client.applications.filter(self._application, disallowed=UNWANTED)
        refused: list[RecorderError] = []
        for technology in self._technologies:
            try:
                await self._client.applications.subscribe(self._application, f"endpoint:{technology}")
            except TransientError:
                raise
            except RecorderError as error:
                log.warning("ari-no-technology: Asterisk has no %s channels: %s", technology, error)
                refused.append(error)
        if refused and len(refused) == len(self._technologies):
            wanted = ", ".join(self._technologies)
            raise TransientError(
                "ari.refused",
                f"Asterisk has no endpoint of {wanted}: there is nobody whose calls could be recorded.",
                remedy="Set up an endpoint, or correct `technologies`; the recorder keeps asking.",
            ) from refused[0]
        if self._bridges:
            await self._client.applications.subscribe(self._application, "bridge:")

    async def _read_snapshot(self) -> Snapshot:
        return await read_snapshot(self._client, self._application, self._wanted())


class _Line:
    """One WebSocket from its opening to its end."""

    def __init__(
        self, client: AriClient, application: str, pauses: Pauses, put: Callable[[Item], None]
    ) -> None:
        self._client = client
        self._application = application
        self._pauses = pauses
        self._put = put
        self._early: list[Event] = []
        self._pulse = ""
        self._felt = asyncio.Event()
        self.heard_at: datetime | None = None
        """The last message came then."""
        self.opened = False
        """Asterisk accepted the WebSocket."""
        self.stood = False
        """`Connected` was delivered."""
        self.proven = False
        """It stood for `Pauses.longest`: what comes after is a new trouble."""
        self.calm = False
        """It stood for `Pauses.calm`."""

    async def hold(
        self, subscribe: Callable[[], Awaitable[None]], read_snapshot: Callable[[], Awaitable[Snapshot]]
    ) -> NoReturn:
        """Until it is lost; always ends with a RecorderError that says why."""
        socket = await self._client.http.open_events(self._application, heartbeat=self._pauses.heartbeat)
        self.opened = True
        duties = (
            asyncio.create_task(self._listen(socket), name="ari-listen"),
            asyncio.create_task(self._prepare(subscribe, read_snapshot), name="ari-prepare"),
            asyncio.create_task(self._watch(), name="ari-watch"),
            asyncio.create_task(self._feel(), name="ari-feel"),
        )
        try:
            # Preparing ends by itself; the others end by failing.
            await asyncio.gather(*duties)
        finally:
            for duty in duties:
                duty.cancel()
            await asyncio.gather(*duties, return_exceptions=True)
            await socket.close()
        raise AssertionError("unreachable")

    async def _prepare(
        self, subscribe: Callable[[], Awaitable[None]], read_snapshot: Callable[[], Awaitable[Snapshot]]
    ) -> None:
        await subscribe()
        self._put(Connected(await read_snapshot()))
        for event in self._early:
            self._put(event)
        self._early.clear()
        self.stood = True

    async def _watch(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        opened_at = loop.time()
        while True:
            await asyncio.sleep(self._pauses.between_pings)
            await self._client.asterisk.ping(limit=self._pauses.ping_limit)
            age = loop.time() - opened_at
            self.proven = self.stood and age > self._pauses.longest
            self.calm = self.stood and age > self._pauses.calm

    async def _feel(self) -> None:
        """Asks Asterisk for an event now and then: it may answer requests and yet send us none.

        Soon at first, because the end of the socket before this one may come late and then deafens the
        application for its successor, without a word [measured, 16.28: 4 of 17 immediate reconnects on a
        busy machine].
        """
        pause = self._pauses.first_pulse
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._pauses.between_pings)
            self._pulse = f"pulse-{random.getrandbits(64):016x}"
            self._felt.clear()
            try:
                await self._client.events.user_event(self._pulse, application=self._application)
            except RefusedError as error:
                if error.code == "ari.not-found":
                    raise _deaf() from error
                log.info("ari-no-pulse: events are not checked on their way: %s", error)
                return
            await self._wait_for_pulse()

    async def _wait_for_pulse(self) -> None:
        try:
            async with asyncio.timeout(self._pauses.pulse_limit):
                await self._felt.wait()
        except TimeoutError:
            raise _deaf() from None

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> NoReturn:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.heard_at = datetime.now(UTC)
                self._take(message.data)
        cause = socket.exception()
        raise TransientError(
            "ari.unreachable",
            "Asterisk closed the connection that carries its events"
            + (f" ({printable(str(cause) or type(cause).__name__)})." if cause else "."),
            remedy="If this happens often, set `websocket_write_timeout=5000` in Asterisk's ari.conf.",
        )

    def _take(self, raw: str) -> None:
        try:
            message = json.loads(raw)
        except (ValueError, RecursionError):
            log.debug("ari-event-malformed: not JSON")
            return
        if isinstance(message, dict) and message.get("type") == "ApplicationReplaced":
            raise ConfigError(
                "ari.replaced",
                f"Another client took over the events of the application {self._application}.",
                remedy="Let only one recorder use an application's name on a PBX.",
            )
        if self._pulse and isinstance(message, dict) and message.get("eventname") == self._pulse:
            self._felt.set()
            return
        event = translate(message)
        if event is not None and self.stood:
            self._put(event)
        elif event is not None:
            self._early.append(event)


def _deaf() -> TransientError:
    return TransientError("ari.timeout", "Asterisk answers requests, but its events do not arrive.")
