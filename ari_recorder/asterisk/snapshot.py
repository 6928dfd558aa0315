"""What a PBX holds at this moment, read after a (re)connect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime
from functools import partial

from ..capture.events import Channel, Snapshot
from .ari.client import AriClient
from .ari.events import is_snoop
from .ari.models import HOLDING
from .ari.transport import RefusedError
from .ari.turns import in_turns

log = logging.getLogger(__name__)

RUNNING = frozenset({"queued", "recording", "paused"})

RESULT, WISH = "ARI_RECORDER_RESULT", "ARI_RECORDER_WISH"
"""The channel variables in which the gate leaves what became of a call, and what was asked for it."""

UNRECORDED = ("noted", "refused")
"""Results with which the gate leaves the wish (`capture.gate.result_variables`)."""


async def read_snapshot(client: AriClient, application: str, wanted: Iterable[str] = ()) -> Snapshot:
    """Channels, bridges, the application's channels, and which of the `wanted` recordings run.

    ARI has no list of running recordings: the caller names those it believes to be running. `at` is
    Asterisk's clock before the first question. Raises what `Transport.request` raises.
    """
    at = (await client.asterisk.ping()).at
    began_at = await _began_at(client)
    names = tuple(dict.fromkeys(wanted))
    bridges, gated = await asyncio.gather(client.bridges.list(), _gated(client, application))
    channels = await _channels(client, {*gated, *(each for bridge in bridges for each in bridge.channels)})
    followable = [channel.id for channel in channels if not is_snoop(channel)]
    running = await in_turns(partial(_runs, client), names)
    results = await _variables(client, RESULT, followable)
    unrecorded = [channel for channel, result in results.items() if result in UNRECORDED]
    return Snapshot(
        at=at,
        channels=tuple(channels),
        bridges={bridge.id: bridge.channels for bridge in bridges if bridge.bridge_type != HOLDING},
        live_recordings=frozenset(name for name, runs in zip(names, running, strict=True) if runs),
        gated=gated,
        asterisk_began_at=began_at,
        results=results,
        wishes=await _variables(client, WISH, unrecorded),
    )


async def _began_at(client: AriClient) -> datetime | None:
    try:
        return (await client.asterisk.info()).started_at
    except RefusedError:
        return None


async def _channels(client: AriClient, known: Iterable[str]) -> list[Channel]:
    """All channels that Asterisk can describe.

    One caller with bytes that are no UTF-8 in his Call-ID or in the number he dials makes Asterisk
    answer 500 to the list of *all* channels, as long as his call lasts [measured, 16.28 and 22.10].
    Then each channel is asked for by itself, and those that cannot be told are left out.
    """
    try:
        return await client.channels.list()
    except RefusedError as error:
        if error.status not in (200, 500):  # 200: with an entry that is no channel
            raise
        log.warning("ari-no-channel-list: each channel is asked for by itself: %s", error)
    ids = {each for endpoint in await client.endpoints.list() for each in endpoint.channel_ids}
    found = await in_turns(partial(_channel, client), sorted(ids.union(known)))
    return [channel for channel in found if channel is not None]


async def _channel(client: AriClient, channel: str) -> Channel | None:
    try:
        return await client.channels.get(channel)
    except RefusedError as error:
        if error.code != "ari.not-found":
            log.warning("ari-channel-untold: Asterisk cannot describe %s: %s", channel, error)
        return None


async def _gated(client: AriClient, application: str) -> frozenset[str]:
    # The application survives its WebSocket as long as it holds channels [measured, 16 and 22].
    try:
        return frozenset((await client.applications.get(application)).channel_ids)
    except RefusedError as error:
        if error.code != "ari.not-found":
            raise
        return frozenset()


async def _runs(client: AriClient, name: str) -> bool:
    try:
        return (await client.recordings.get_live(name)).state in RUNNING
    except RefusedError as error:
        if error.code != "ari.not-found":
            raise
        return False


async def _variables(client: AriClient, name: str, channels: Iterable[str]) -> dict[str, str]:
    """By channel; none of those that have not set it, or have gone meanwhile."""
    asked = tuple(channels)
    values = await in_turns(partial(_variable, client, name), asked)
    return {channel: value for channel, value in zip(asked, values, strict=True) if value}


async def _variable(client: AriClient, name: str, channel: str) -> str:
    try:
        return await client.channels.get_variable(channel, name)
    except RefusedError:
        return ""
