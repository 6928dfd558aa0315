"""`client.channels`: what ARI offers under /channels, in ari-py's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...capture.events import Channel
from . import models
from .decode import channel as channel_of
from .decode import mapping, text
from .transport import Transport, decoded, decoded_list


class Channels:
    """Every method may raise what `Transport.request` raises."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    async def list(self) -> list[Channel]:
        return decoded_list(channel_of, await self._http.get("channels"))

    async def get(self, channel_id: str) -> Channel:
        return decoded(channel_of, await self._http.get("channels", channel_id))

    async def snoop(
        self,
        channel_id: str,
        *,
        snoop_id: str,
        app: str,
        app_args: str = "",
        spy: str = "none",
        whisper: str = "none",
    ) -> Channel:
        """A snoop channel, in `app`. `spy` and `whisper`: none, in, out, both.

        With nobody connected to `app` Asterisk answers 200 and the snoop vanishes at once [measured].
        """
        query = {"app": app, "appArgs": app_args, "spy": spy, "whisper": whisper}
        return decoded(
            channel_of, await self._http.post("channels", channel_id, "snoop", snoop_id, query=query)
        )

    async def record(
        self, channel_id: str, *, name: str, file_format: str, if_exists: str = "fail"
    ) -> models.LiveRecording:
        """Start a recording; the answer says `queued`, RecordingStarted says that the file is open."""
        query = {"name": name, "format": file_format, "ifExists": if_exists}
        return decoded(
            models.live_recording, await self._http.post("channels", channel_id, "record", query=query)
        )

    async def play(self, channel_id: str, *, playback_id: str, media: str) -> models.Playback:
        answer = await self._http.post("channels", channel_id, "play", playback_id, query={"media": media})
        return decoded(models.playback, answer)

    async def get_variable(self, channel_id: str, variable: str) -> str:
        """A channel variable or dialplan function; RefusedError when Asterisk has none (404, 500)."""
        answer = await self._http.get("channels", channel_id, "variable", query={"variable": variable})
        return decoded(lambda data: text(mapping(data).get("value")), answer)

    async def set_variable(self, channel_id: str, variable: str, value: str) -> None:
        # In the body, because Asterisk refuses request lines of more than 4 kB.
        await self._http.post("channels", channel_id, "variable", body={"variable": variable, "value": value})

    async def hangup(self, channel_id: str, *, reason: str = "") -> None:
        """`reason`: normal, busy, congestion, no_answer; congestion is cause 42, to SIP 503."""
        await self._http.delete("channels", channel_id, query={"reason": reason} if reason else None)

    async def continue_in_dialplan(self, channel_id: str) -> None:
        """Leave Stasis and go on with the next priority."""
        await self._http.post("channels", channel_id, "continue")

    async def originate(
        self,
        endpoint: str,
        *,
        channel_id: str,
        app: str | None = None,
        extension: str | None = None,
        context: str | None = None,
        caller_id: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> Channel:
        """Call `endpoint` and, once it answers, put it into `app` or into the dialplan."""
        query = {"endpoint": endpoint, "callerId": caller_id}
        query |= {"app": app} if app else {}
        query |= {"extension": extension} if extension else {}
        query |= {"context": context} if context else {}
        body = {"variables": dict(variables)} if variables else None
        answer = await self._http.post("channels", channel_id, query=query, body=body)
        return decoded(channel_of, answer)

    async def rtp_statistics(self, channel_id: str) -> dict[str, Any]:
        """ARI's RTPstat as it is; RefusedError for channels without RTP (404 or 403)."""
        return decoded(mapping, await self._http.get("channels", channel_id, "rtp_statistics"))

    async def external_media(self, *, channel_id: str, app: str, external_host: str, codec: str) -> Channel:
        """An RTP channel in `app` that sends to and receives from `external_host` (`address:port`).

        Asterisk's own address is in its variables UNICASTRTP_LOCAL_ADDRESS and UNICASTRTP_LOCAL_PORT.
        """
        query = {
            "channelId": channel_id,
            "app": app,
            "external_host": external_host,
            "format": codec,
        }
        return decoded(channel_of, await self._http.post("channels", "externalMedia", query=query))
