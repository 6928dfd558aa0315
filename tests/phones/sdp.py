"""Session descriptions: one audio stream, the codecs a test needs, a direction (RFC 4566, 3264)."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Codec:
    """All of these carry 160 bytes in 20 ms. `sample_rate` is the true one: G.722 lies in SDP (RFC 3551)."""

    name: str
    payload_type: int
    sample_rate: int

    @property
    def rtpmap(self) -> str:
        return f"a=rtpmap:{self.payload_type} {self.name}/8000"


PCMU = Codec("PCMU", 0, 8000)
PCMA = Codec("PCMA", 8, 8000)
G722 = Codec("G722", 9, 16000)
CODECS = (PCMA, PCMU, G722)
AUDIO_TYPES = frozenset(codec.payload_type for codec in CODECS)
EVENTS = 101
"""Payload type offered for telephone-event (RFC 4733)."""
FRAME = 160
"""Bytes in one 20 ms packet, whatever the codec."""

MIRRORED = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
"""The answer to a direction by a phone that has no wish of its own (RFC 3264 6.1)."""


@dataclass(frozen=True, slots=True)
class Session:
    """One side's view of the audio: where to send it, how, and which way."""

    host: str
    port: int
    codecs: tuple[Codec, ...]
    direction: str = "sendrecv"
    events: int | None = EVENTS

    def encode(self, ident: int, version: int) -> bytes:
        types = [str(codec.payload_type) for codec in self.codecs]
        lines = [
            "v=0",
            f"o=phone {ident} {version} IN IP4 {self.host}",
            "s=phone",
            f"c=IN IP4 {self.host}",
            "t=0 0",
            f"m=audio {self.port} RTP/AVP {' '.join(types + ([str(self.events)] if self.events else []))}",
            *(codec.rtpmap for codec in self.codecs),
        ]
        if self.events:
            lines += [f"a=rtpmap:{self.events} telephone-event/8000", f"a=fmtp:{self.events} 0-16"]
        lines += ["a=ptime:20", f"a={self.direction}", ""]
        return "\r\n".join(lines).encode()


def parse(body: bytes) -> Session:
    """The first audio stream of a description; ValueError when there is none."""
    text = body.decode("utf-8", "replace")
    media = re.search(r"^m=audio (\d+) \S+ ([\d ]+)", text, re.MULTILINE)
    if media is None:
        raise ValueError("the session description has no audio")
    lines = re.findall(r"^c=IN IP4 (\S+)", text, re.MULTILINE)
    offered = [int(number) for number in media.group(2).split()]
    known = {codec.payload_type: codec for codec in CODECS}
    events = re.search(r"^a=rtpmap:(\d+) telephone-event/8000", text, re.MULTILINE | re.IGNORECASE)
    way = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", text, re.MULTILINE)
    return Session(
        host=lines[-1] if lines else "0.0.0.0",
        port=int(media.group(1)),
        codecs=tuple(known[number] for number in offered if number in known),
        direction=way.group(1) if way else "sendrecv",
        events=int(events.group(1)) if events else None,
    )
