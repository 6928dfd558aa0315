"""`client.bridges`: what ARI offers under /bridges."""

from __future__ import annotations

from . import models
from .transport import Transport, decoded, decoded_list


class Bridges:
    """Every method may raise what `Transport.request` raises."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    async def list(self) -> list[models.Bridge]:
        return decoded_list(models.bridge, await self._http.get("bridges"))

    async def get(self, bridge_id: str) -> models.Bridge:
        return decoded(models.bridge, await self._http.get("bridges", bridge_id))

    async def create(self, *, bridge_id: str, kind: str = "mixing") -> models.Bridge:
        answer = await self._http.post("bridges", bridge_id, query={"type": kind})
        return decoded(models.bridge, answer)

    async def add_channel(self, bridge_id: str, channel_id: str) -> None:
        await self._http.post("bridges", bridge_id, "addChannel", query={"channel": channel_id})

    async def destroy(self, bridge_id: str) -> None:
        await self._http.delete("bridges", bridge_id)
