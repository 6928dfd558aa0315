"""`AriClient`: ARI's resources by ari-py's names, on one HTTP session."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from .applications import Applications, Events, Playbacks
from .bridges import Bridges
from .channels import Channels
from .recordings import Recordings
from .system import AsteriskSystem, Endpoints, Sounds
from .transport import CONNECTIONS, DEFAULT_LIMIT, Transport


class AriClient:
    """One Asterisk's REST interface: `await client.channels.list()`.

    `base_url` is `http://host:port`, with Asterisk's HTTP prefix and `/ari` or without. Nothing is sent
    before the first call. ConfigError when the address is none.
    """

    def __init__(
        self,
        base_url: str,
        user: str,
        password: str,
        *,
        limit: float = DEFAULT_LIMIT,
        connections: int = CONNECTIONS,
    ) -> None:
        self.http = Transport(base_url, user, password, limit=limit, connections=connections)
        self.channels = Channels(self.http)
        self.bridges = Bridges(self.http)
        self.recordings = Recordings(self.http)
        self.applications = Applications(self.http)
        self.events = Events(self.http)
        self.playbacks = Playbacks(self.http)
        self.asterisk = AsteriskSystem(self.http)
        self.endpoints = Endpoints(self.http)
        self.sounds = Sounds(self.http)

    async def close(self) -> None:
        await self.http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
