"""`client.recordings`: what ARI offers under /recordings. Names may hold slashes (sub-folders)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from . import models
from .transport import Transport, decoded, decoded_list, drain

SILENCE_LIMIT = 15.0
"""Seconds without a byte after which fetching a stored file is given up."""


class Recordings:
    """Every method may raise what `Transport.request` raises."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    async def list_stored(self) -> list[models.StoredRecording]:
        """All files in Asterisk's recording folder: slow where that is full, so not for routine."""
        return decoded_list(models.stored_recording, await self._http.get("recordings", "stored"))

    async def get_stored(self, name: str) -> models.StoredRecording:
        return decoded(models.stored_recording, await self._http.get("recordings", "stored", name))

    async def get_live(self, name: str) -> models.LiveRecording:
        """There is no list of live recordings in ARI (16 to 22): ask for each by its name."""
        return decoded(models.live_recording, await self._http.get("recordings", "live", name))

    async def stop(self, name: str) -> None:
        """Close a running recording and keep its file; RefusedError ari.not-found when it does not run."""
        await self._http.post("recordings", "live", name, "stop")

    async def delete_stored(self, name: str) -> None:
        await self._http.delete("recordings", "stored", name)

    async def get_stored_file(self, name: str) -> AsyncIterator[bytes]:
        """The file's bytes in pieces, as many as announced: a torn connection raises TransientError."""
        path = ("recordings", "stored", name, "file")
        async with self._http.stream("GET", *path, idle=SILENCE_LIMIT) as response:
            async for piece in drain(response):
                yield piece
