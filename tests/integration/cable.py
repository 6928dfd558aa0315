"""The line between a recorder and its Asterisk, as far as tests may lay hands on it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class NoPbx:
    """An Asterisk that is not there: nothing listens on TCP port 9."""

    recording_folder: Path
    sounds_folder: Path
    ari_url: str = "http://127.0.0.1:9/ari"
    ari_user: str = "ari-recorder"
    ari_password: str = "nobody-asks"


class Cable:
    """Carries ARI to `host`:`port` over a port of its own, in a thread; may be cut and mended."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cable", daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.tear_after: int | None = None
        """Break a connection made from now on that has brought so many bytes; once, then None again."""
        self.torn = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ari"

    def mend(self) -> None:
        """Connections get through again; on the same port as before."""
        self._do(self._listen())

    def cut(self) -> None:
        """Every connection breaks, and new ones are refused."""
        self._do(self._hang_up())

    def swallow(self) -> None:
        """Nothing gets through any more, and nobody is told: a dead host, a firewall that forgot."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self) -> None:
        """What was swallowed arrives after all."""
        self._loop.call_soon_threadsafe(self._flows.set)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(*self._there)
            self._writers.add(far_writer)
            with suppress(OSError):
                there, back = self._pump(reader, far_writer), self._pump(far_reader, writer, back=True)
                await asyncio.gather(there, back)
            self._writers.discard(far_writer)
            far_writer.close()
        self._writers.discard(writer)
        writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool = False
    ) -> None:
        brought, armed = 0, self.tear_after is not None
        while data := await reader.read(4096):
            await self._flows.wait()
            brought += len(data)
            if armed and back and self.tear_after is not None and brought > self.tear_after:
                self.tear_after, self.torn = None, brought
                writer.transport.abort()
                raise ConnectionResetError
            writer.write(data)
            await writer.drain()
        writer.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    def __enter__(self) -> Self:
        self._thread.start()
        self.mend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flow()
        self.cut()
        self._do(_ended(self._loop))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def _ended(loop: asyncio.AbstractEventLoop) -> None:
    """Every connection's task but this one is over."""
    others = asyncio.all_tasks(loop) - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
