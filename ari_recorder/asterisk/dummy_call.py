"""A call without phones: an RTP channel between Asterisk and a UDP socket of ours, in an application of
its own, so that neither running calls nor a running recorder notice. For probes of the PBX.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self, TypeVar

from ..capture.events import GateEntered as ChannelReady
from ..capture.events import (
    PlaybackFinished,
    PlaybackStarted,
    RecordingEvent,
    RecordingFailed,
    RecordingFinished,
    RecordingStarted,
    SnoopReady,
)
from ..model.errors import PermanentError, RecorderError, TransientError
from .ari.client import AriClient
from .ari.connection import AriConnection, Connected, Disconnected, Item
from .ari.events import SNOOP_ARGUMENT

FRAME = 160
"""Samples, and A-law bytes, of 20 ms at 8 kHz."""

PACE = 0.02
ALAW = 8
"""RTP payload type of PCMA (RFC 3551)."""

STEP_LIMIT = 3.0
"""Seconds for each thing that Asterisk shall report."""

PLAYBACK_PROOF = 0.3
"""Seconds after which a playback that has not failed is taken for a sound that exists."""

LIFE = 20
"""Seconds after which Asterisk itself hangs the channel up: whoever made it may be killed at any moment."""

FOLDER = "ari-recorder"
"""Below Asterisk's recording folder."""

Seen = TypeVar("Seen", bound=Item)


class DummyCall:
    """Enter it to have the channel up; leaving removes channel, snoop and recording in any case.

    Entering and every method may raise what `Transport.request` raises, and TransientError
    capture.no-recording when Asterisk accepts something and then does not do it.
    """

    def __init__(self, client: AriClient) -> None:
        self._client = client
        self._id = secrets.token_hex(6)
        self.application = f"ari-recorder-probe-{self._id}"
        self.channel = f"probe-{self._id}"
        self.recording = f"{FOLDER}/probe-{self._id}"
        """Name of the recording that `record` makes."""
        self._snoop = f"probe-{self._id}-snoop"
        self._stack = AsyncExitStack()
        self._socket: asyncio.DatagramTransport
        self._connection: AriConnection
        self._peer = ("", 0)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._socket = await self._open_socket()
            stack.callback(self._socket.close)
            self._connection = AriConnection(self._client, self.application, (), bridges=False)
            await stack.enter_async_context(self._connection)
            await self._wait(Connected, lambda _: True)
            stack.push_async_callback(_quietly, self._client.channels.hangup, self.channel)
            await self._call()
            await self._clear_left_behind()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def variable(self, function: str) -> str | None:
        """A dialplan function or variable as a channel sees it; None where Asterisk has none."""
        try:
            return await self._client.channels.get_variable(self.channel, function)
        except PermanentError:
            return None

    async def record(self) -> None:
        """Record what arrives from our socket, as sln at 8 kHz, until `finish`."""
        channels = self._client.channels
        self._stack.push_async_callback(_quietly, self._client.recordings.delete_stored, self.recording)
        self._stack.push_async_callback(_quietly, channels.hangup, self._snoop)
        self._stack.push_async_callback(_quietly, self._client.recordings.stop, self.recording)
        await channels.snoop(
            self.channel, snoop_id=self._snoop, app=self.application, app_args=SNOOP_ARGUMENT, spy="in"
        )
        await self._wait(SnoopReady, lambda event: event.snoop == self._snoop)
        await channels.record(self._snoop, name=self.recording, file_format="sln")
        await self._recording_event(RecordingStarted)

    async def send(self, packets: Iterable[tuple[int, bytes]]) -> None:
        """(RTP sequence number, A-law payload) every 20 ms; the timestamp goes on steadily."""
        loop = asyncio.get_running_loop()
        began, source = loop.time(), secrets.randbits(32)
        for number, (sequence, payload) in enumerate(packets):
            await asyncio.sleep(began + number * PACE - loop.time())
            header = struct.pack(">BBHII", 0x80, ALAW, sequence & 0xFFFF, number * FRAME, source)
            self._socket.sendto(header + payload, self._peer)

    async def finish(self) -> bytes:
        """Close the recording; its bytes as Asterisk hands them out."""
        await self._client.recordings.stop(self.recording)
        await self._recording_event(RecordingFinished)
        pieces = [piece async for piece in self._client.recordings.get_stored_file(self.recording)]
        return b"".join(pieces)

    async def plays(self, media: str) -> bool:
        """Can Asterisk play this? A file that is not there "starts", and fails 2 ms later [measured]."""
        playback = f"probe-{secrets.token_hex(6)}"
        await self._client.channels.play(self.channel, playback_id=playback, media=media)

        def about_it(event: PlaybackStarted | PlaybackFinished) -> bool:
            return event.playback == playback

        await self._wait(PlaybackStarted, about_it)
        try:
            async with asyncio.timeout(PLAYBACK_PROOF):
                return not (await self._wait(PlaybackFinished, about_it)).failed
        except TimeoutError:
            pass
        await _quietly(self._client.playbacks.stop, playback)
        await self._wait(PlaybackFinished, about_it)
        return True

    async def _open_socket(self) -> asyncio.DatagramTransport:
        """On the address from which this machine reaches Asterisk."""
        loop = asyncio.get_running_loop()
        base = self._client.http.base
        try:
            found = await loop.getaddrinfo(base.host, base.port, type=socket.SOCK_DGRAM)
            with contextlib.closing(socket.socket(found[0][0], socket.SOCK_DGRAM)) as asking:
                asking.connect(found[0][4])
                address = asking.getsockname()[0]
            transport, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=(address, 0)
            )
        except OSError as error:
            raise self._client.http.classify(error, "a UDP socket") from error
        return transport

    async def _call(self) -> None:
        address, port = self._socket.get_extra_info("sockname")[:2]
        host = f"[{address}]" if ":" in address else address
        await self._client.channels.external_media(
            channel_id=self.channel, app=self.application, external_host=f"{host}:{port}", codec="alaw"
        )
        await self._wait(ChannelReady, lambda event: event.channel.id == self.channel)
        await self._client.channels.set_variable(self.channel, "TIMEOUT(absolute)", str(LIFE))
        where = await self.variable("UNICASTRTP_LOCAL_ADDRESS")
        number = await self.variable("UNICASTRTP_LOCAL_PORT")
        if not where or not number or not number.isdigit():
            raise PermanentError("ari.refused", "Asterisk does not say where its RTP channel listens.")
        self._peer = (where, int(number))

    async def _clear_left_behind(self) -> None:
        """Files of dummy calls whose process was killed; the calls are hung up by `capture.reconcile`."""
        recordings = self._client.recordings
        try:
            known = await recordings.list_stored()
        except RecorderError:
            return  # without a folder there is nothing left in it; the check itself will find that
        for stored in known:
            if stored.name.startswith(f"{FOLDER}/probe-") and not await self._is_live(stored.name):
                await _quietly(recordings.delete_stored, stored.name)

    async def _is_live(self, recording: str) -> bool:
        try:
            await self._client.recordings.get_live(recording)
        except RecorderError:
            return False
        return True

    async def _recording_event(self, kind: type[RecordingEvent]) -> None:
        """RecordingFailed has the name too: wait for either."""
        event = await self._wait(RecordingEvent, lambda event: event.name == self.recording)
        if isinstance(event, RecordingFailed):
            raise TransientError(
                "capture.no-recording", f"Asterisk could not record: {event.cause or 'no cause given'}."
            )
        if not isinstance(event, kind):
            raise TransientError("capture.no-recording", "Asterisk ended the recording at once.")

    async def _wait(self, kind: type[Seen], fits: Callable[[Seen], bool]) -> Seen:
        try:
            async with asyncio.timeout(STEP_LIMIT):
                async for item in self._connection:
                    if isinstance(item, Disconnected):
                        raise item.error
                    if isinstance(item, kind) and fits(item):
                        return item
        except TimeoutError:
            pass
        raise TransientError(
            "capture.no-recording", f"Asterisk did not report {kind.__name__} within {STEP_LIMIT:g} s."
        )


async def _quietly(undo: Callable[[str], Awaitable[None]], name: str) -> None:
    """What is not there need not be removed, and an Asterisk that is gone has nothing left to remove."""
    with suppress(RecorderError):
        await undo(name)
