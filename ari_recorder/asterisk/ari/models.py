"""What ARI answers, typed. Field names are ARI's own; channels are `capture.events.Channel`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .decode import identifier, mapping, moment, text, texts

HOLDING = "holding"
"""`bridge_type` of a bridge whose members wait, each for itself: they hear music, and nobody hears them."""


@dataclass(frozen=True, slots=True)
class Bridge:
    id: str
    bridge_type: str
    """`mixing` or HOLDING."""
    technology: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LiveRecording:
    """`state`: queued, recording, paused, done, failed, canceled."""

    name: str
    format: str
    state: str
    target_uri: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class StoredRecording:
    name: str
    format: str


@dataclass(frozen=True, slots=True)
class Playback:
    """`state`: queued, playing, continuing, done, failed (Asterisk 16 and later)."""

    id: str
    media_uri: str
    target_uri: str
    state: str


@dataclass(frozen=True, slots=True)
class Application:
    name: str
    channel_ids: tuple[str, ...]
    bridge_ids: tuple[str, ...]
    endpoint_ids: tuple[str, ...]
    events_disallowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    at: datetime
    """Asterisk's clock when it read the request, to the millisecond."""
    asterisk_id: str


@dataclass(frozen=True, slots=True)
class AsteriskInfo:
    version: str
    user: str
    """Asterisk runs as this user, "" where it does not say."""
    group: str
    built: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Module:
    name: str
    description: str
    status: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    technology: str
    resource: str
    state: str
    channel_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sound:
    id: str
    formats: tuple[tuple[str, str], ...]
    """(language, format)."""


def bridge(answer: object) -> Bridge:
    data = mapping(answer)
    return Bridge(
        id=identifier(data, "id"),
        bridge_type=text(data.get("bridge_type")),
        technology=text(data.get("technology")),
        channels=texts(data.get("channels")),
    )


def live_recording(answer: object) -> LiveRecording:
    data = mapping(answer)
    return LiveRecording(
        name=identifier(data, "name"),
        format=text(data.get("format")),
        state=text(data.get("state")),
        target_uri=text(data.get("target_uri")),
        cause=text(data.get("cause")),
    )


def stored_recording(answer: object) -> StoredRecording:
    data = mapping(answer)
    return StoredRecording(name=identifier(data, "name"), format=text(data.get("format")))


def playback(answer: object) -> Playback:
    data = mapping(answer)
    return Playback(
        id=identifier(data, "id"),
        media_uri=text(data.get("media_uri")),
        target_uri=text(data.get("target_uri")),
        state=text(data.get("state")),
    )


def application(answer: object) -> Application:
    data = mapping(answer)
    disallowed = data.get("events_disallowed")
    names = [mapping(item).get("type") for item in disallowed] if isinstance(disallowed, list) else []
    return Application(
        name=identifier(data, "name"),
        channel_ids=texts(data.get("channel_ids")),
        bridge_ids=texts(data.get("bridge_ids")),
        endpoint_ids=texts(data.get("endpoint_ids")),
        events_disallowed=tuple(text(name) for name in names),
    )


def ping(answer: object) -> Ping:
    data = mapping(answer)
    return Ping(at=moment(data.get("timestamp")), asterisk_id=text(data.get("asterisk_id")))


def asterisk_info(answer: object) -> AsteriskInfo:
    data = mapping(answer)
    config = mapping(data.get("config", {}))
    owner = mapping(config.get("setid", {}))
    return AsteriskInfo(
        version=text(mapping(data.get("system")).get("version")),
        user=text(owner.get("user")),
        group=text(owner.get("group")),
        built=text(mapping(data.get("build", {})).get("date")),
        started_at=moment(mapping(data.get("status")).get("startup_time")),
    )


def module(answer: object) -> Module:
    data = mapping(answer)
    return Module(
        name=identifier(data, "name"),
        description=text(data.get("description")),
        status=text(data.get("status")),
    )


def endpoint(answer: object) -> Endpoint:
    data = mapping(answer)
    return Endpoint(
        technology=identifier(data, "technology"),
        resource=identifier(data, "resource"),
        state=text(data.get("state")),
        channel_ids=texts(data.get("channel_ids")),
    )


def sound(answer: object) -> Sound:
    data = mapping(answer)
    formats = data.get("formats")
    pairs = [mapping(item) for item in formats] if isinstance(formats, list) else []
    return Sound(
        id=identifier(data, "id"),
        formats=tuple((text(pair.get("language")), text(pair.get("format"))) for pair in pairs),
    )
