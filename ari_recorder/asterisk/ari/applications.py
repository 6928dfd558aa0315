"""`client.applications`, `client.events` and `client.playbacks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import models
from .transport import Transport, decoded


class Applications:
    """Every method may raise what `Transport.request` raises."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    async def get(self, name: str) -> models.Application:
        return decoded(models.application, await self._http.get("applications", name))

    async def subscribe(self, name: str, event_source: str) -> models.Application:
        """One source at a time: of a list Asterisk takes those before the first unknown one and
        answers 422 [measured, 16 and 22]."""
        query = {"eventSource": event_source}
        answer = await self._http.post("applications", name, "subscription", query=query)
        return decoded(models.application, answer)

    async def filter(self, name: str, *, disallowed: Sequence[str]) -> models.Application:
        """Do not send events of these types (`eventFilter`)."""
        body = {"disallowed": [{"type": kind} for kind in disallowed]}
        answer = await self._http.request("PUT", "applications", name, "eventFilter", body=body)
        return decoded(models.application, answer)


class Events:
    """`client.events`: events of one's own."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    async def user_event(
        self, name: str, *, application: str, channel: str = "", variables: Mapping[str, str] | None = None
    ) -> None:
        """Asterisk sends a ChannelUserevent to the application's client; with a channel it is an event of
        that channel and goes to everybody on AMI, too (UserEvent) [measured, 16 and 22]."""
        query = {"application": application} | ({"source": f"channel:{channel}"} if channel else {})
        body = {"variables": dict(variables)} if variables else None
        await self._http.post("events", "user", name, query=query, body=body)


class Playbacks:
    def __init__(self, http: Transport) -> None:
        self._http = http

    async def get(self, playback_id: str) -> models.Playback:
        return decoded(models.playback, await self._http.get("playbacks", playback_id))

    async def stop(self, playback_id: str) -> None:
        await self._http.delete("playbacks", playback_id)
