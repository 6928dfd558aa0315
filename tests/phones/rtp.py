"""One end of an RTP stream: what it sends, what it receives, and a record of both with times.

A `Stream` is filled by the pacer's thread and read by the test; every field that crosses is only appended
to or replaced whole.
"""

from __future__ import annotations

import socket
import struct
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass

from .errors import PhoneError
from .payload import Frames
from .sdp import AUDIO_TYPES, FRAME, Codec
from .watch import Watch
from .weather import Weather

_HEADER = struct.Struct("!BBHII")
_TIMESPEC = struct.Struct("qq")
_SO_TIMESTAMPNS = 35
"""Linux: the kernel notes when a datagram arrived, so our own lateness does not count."""
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet as received. `arrived_at` is the kernel's wall clock, Unix seconds."""

    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    payload: bytes
    arrived_at: float


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the sender's first packet carries."""

    sequence: int = 1000
    timestamp: int = 160_000
    ssrc: int = 0x1234_5678


def ports() -> tuple[socket.socket, socket.socket]:
    """An even UDP port for RTP and the next one, taken so that nobody's RTCP lands in another's RTP."""
    for _ in range(200):
        media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        media.bind((HOST, 0))
        port = media.getsockname()[1]
        try:
            if port % 2 == 0:
                control.bind((HOST, port + 1))
                media.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
                return media, control
        except OSError:
            pass
        media.close()
        control.close()
    raise PhoneError("no pair of free UDP ports was found in 200 attempts")


class Received:
    """Everything that arrived, in order of arrival."""

    def __init__(self) -> None:
        self.sequences = array("H")
        self.timestamps = array("L")
        self.ssrcs = array("L")
        self.types = array("B")
        self.times = array("d")
        self._ends = array("L")
        self._bytes = bytearray()
        self.audio = bytearray()
        """Payloads of audio packets only, one after the other."""
        self.audio_packets = 0

    def add(self, data: bytes, at: float) -> None:
        if len(data) < 12 or data[0] >> 6 != 2 or 72 <= data[1] & 0x7F <= 76:
            return  # not RTP, or RTCP
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        start = 12 + 4 * (first & 0x0F)
        if first & 0x10:
            start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
        payload = data[start : len(data) - (data[-1] if first & 0x20 else 0)]
        self._bytes += payload
        self._ends.append(len(self._bytes))
        self.sequences.append(sequence)
        self.timestamps.append(timestamp)
        self.ssrcs.append(ssrc)
        self.types.append(second & 0x7F)
        self.times.append(at)
        if second & 0x7F in AUDIO_TYPES:
            self.audio += payload
            self.audio_packets += 1

    def packets(self) -> list[Packet]:
        data = bytes(self._bytes)
        ends = list(self._ends)[: len(self.times)]
        starts = [0, *ends[:-1]] if ends else []
        columns = zip(self.sequences, self.timestamps, self.ssrcs, self.types, self.times, strict=False)
        return [
            Packet(sequence, timestamp, ssrc, kind, data[start:end], at)
            for (sequence, timestamp, ssrc, kind, at), start, end in zip(columns, starts, ends, strict=False)
        ]


class Sent:
    """Everything that left, in the order in which it left (another than the frames' under jitter)."""

    def __init__(self) -> None:
        self.audio = bytearray()
        self.frames = array("L")
        """Frame number of each packet."""
        self.wall = array("d")
        """Unix seconds, read right after the packet was handed to the kernel."""
        self.monotonic = array("d")
        """The same moments in seconds of time.monotonic()."""
        self.lateness = array("d")
        """Seconds between the moment the schedule asked for and the moment the packet left."""
        self.spoken = bytearray()
        """All frames used up, in the order of their numbers, lost ones included."""


class Stream:
    """One call leg's RTP."""

    def __init__(self, *, weather: Weather | None = None, numbers: Numbers | None = None) -> None:
        self.socket, self._control = ports()
        self.port: int = self.socket.getsockname()[1]
        self.numbers = numbers or Numbers()
        self.weather = weather or Weather()
        self.sent = Sent()
        self.received = Received()
        self.payload: Frames | None = None
        self.remote: tuple[str, int] | None = None
        self.payload_type = 8
        self.started: int | None = None
        """monotonic_ns of slot 0."""
        self.paused = False
        self.finished = False
        """The payload has come to its end, or the stream was closed: nothing more will be sent."""
        self.slot = 0
        self.frame = 0
        self.timestamp = 0
        self.fresh = True
        """The next packet begins a talk spurt and carries the marker."""
        self.held_until = 0
        self.watch = Watch()

    def point(self, host: str, port: int, codec: Codec) -> None:
        """Send there, in this coding, from the next packet on."""
        self.remote = (host, port)
        self.payload_type = codec.payload_type

    def stall(self, seconds: float) -> None:
        """From now on hold everything back for `seconds`, then send it all at once."""
        self.held_until = time.monotonic_ns() + round(seconds * 1e9)

    def build(self, payload: bytes) -> bytes:
        """The packet of the current slot and frame."""
        marker = 0x80 if self.fresh else 0
        sequence = (self.numbers.sequence + self.frame) & 0xFFFF
        timestamp = (self.numbers.timestamp + self.slot * FRAME) & 0xFFFF_FFFF
        kind = self.payload_type | marker
        return _HEADER.pack(0x80, kind, sequence, timestamp, self.numbers.ssrc) + payload

    def leave(self, packet: bytes, frame: int, due: int) -> None:
        """Hand a packet to the kernel and write down when."""
        if self.remote is None or self.socket.fileno() < 0:
            return
        try:
            self.socket.sendto(packet, self.remote)
        except OSError:
            return  # the other side has just closed its port; what it did not get was not sent
        now = time.monotonic_ns()
        self.sent.wall.append(time.time())
        self.sent.monotonic.append(now / 1e9)
        self.sent.lateness.append((now - due) / 1e9)
        self.sent.audio += packet[12:]
        self.sent.frames.append(frame)

    def drain(self) -> None:
        """Take in every packet that has arrived."""
        try:
            while True:
                data, control, _, _ = self.socket.recvmsg(2048, 64)
                self.received.add(data, _arrival(control))
        except (BlockingIOError, ConnectionRefusedError):
            pass

    async def until(self, reached: Callable[[], bool], what: str, timeout: float) -> None:
        """Wait until the pacer's thread has brought about what `reached` asks for."""

        def sorry() -> str:
            counts = f"{len(self.sent.frames)} packets sent, {self.received.audio_packets} received"
            return f"{what} did not come about within {timeout:g} s ({counts})"

        await self.watch.until(reached, sorry, timeout)

    def close(self) -> None:
        self.finished = True
        self.socket.close()
        self._control.close()


def _arrival(control: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
            return float(seconds + nanoseconds / 1e9)
    return time.time()
