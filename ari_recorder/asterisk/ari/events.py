"""ARI's WebSocket messages as events of `capture.events`.

| ARI message | event |
|---|---|
| ChannelCreated | ChannelCreated |
| ChannelStateChange, ChannelCallerId, ChannelConnectedLine | ChannelChanged |
| ChannelDestroyed | ChannelGone; of a snoop: SnoopGone |
| ChannelHold, ChannelUnhold | Held, Unheld |
| Dial | Dialled |
| ChannelEnteredBridge, ChannelLeftBridge | BridgeEntered, BridgeLeft; in a holding bridge each is alone |
| BridgeBlindTransfer, BridgeAttendedTransfer (if successful) | BlindTransferred, AttendedTransferred |
| StasisStart | GateEntered; of a snoop with the argument `snoop`: SnoopReady |
| StasisEnd | GateLeft; of a snoop: SnoopGone |
| RecordingStarted, RecordingFinished, RecordingFailed | the same |
| PlaybackStarted, PlaybackFinished | the same |

Shapes from Asterisk's own rest-api/events.json of 16.28 and 22.10, and from captured messages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ...capture import events
from .decode import (
    MalformedError,
    channel,
    identifier,
    mapping,
    moment,
    printable,
    text,
    texts,
    whole,
)
from .models import HOLDING

log = logging.getLogger(__name__)

SNOOP_ARGUMENT = "snoop"
"""First argument that our snoops bring into Stasis."""

Message = Mapping[str, Any]


def translate(message: object) -> events.Event | None:
    """The event, or None for messages that mean nothing to the recorder or are malformed.

    Never raises: what Asterisk sends may come from a newer Asterisk or from a hostile caller.
    """
    if not isinstance(message, dict):
        log.debug("ari-event-malformed: not an object")
        return None
    kind = message.get("type")
    handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
    if handler is None:
        log.debug("ari-event-unknown: %s", printable(str(kind)))
        return None
    try:
        return handler(moment(message.get("timestamp")), message)
    except MalformedError as error:
        log.debug("ari-event-malformed: %s: %s", kind, error)
        return None


def is_snoop(found: events.Channel) -> bool:
    """Asterisk names snoop channels `Snoop/<spied channel's id>-<counter>`."""
    return found.technology == "Snoop"


def _created(at: datetime, message: Message) -> events.Event:
    return events.ChannelCreated(at, channel(message.get("channel")))


def _changed(at: datetime, message: Message) -> events.Event:
    return events.ChannelChanged(at, channel(message.get("channel")))


def _gone(at: datetime, message: Message) -> events.Event:
    found = channel(message.get("channel"))
    if is_snoop(found):
        return events.SnoopGone(at, found.id)
    return events.ChannelGone(
        at, found, cause=whole(message.get("cause")), cause_text=text(message.get("cause_txt"))
    )


def _held(at: datetime, message: Message) -> events.Event:
    return events.Held(at, channel(message.get("channel")))


def _unheld(at: datetime, message: Message) -> events.Event:
    return events.Unheld(at, channel(message.get("channel")))


def _dialled(at: datetime, message: Message) -> events.Event:
    caller = message.get("caller")
    return events.Dialled(
        at,
        peer=channel(message.get("peer")),
        caller=channel(caller) if caller is not None else None,
        status=text(message.get("dialstatus")),
        dialstring=text(message.get("dialstring")),
    )


def _entered_bridge(at: datetime, message: Message) -> events.Event:
    found = channel(message.get("channel"))
    bridge = mapping(message.get("bridge"))
    members = tuple(member for member in _company(bridge) if member != found.id)
    return events.BridgeEntered(at, found, bridge=identifier(bridge, "id"), members=(*members, found.id))


def _left_bridge(at: datetime, message: Message) -> events.Event:
    found = channel(message.get("channel"))
    bridge = mapping(message.get("bridge"))
    members = tuple(member for member in _company(bridge) if member != found.id)
    return events.BridgeLeft(at, found, bridge=identifier(bridge, "id"), members=members)


def _company(bridge: Message) -> tuple[str, ...]:
    """Who is with one another in a bridge: nobody in one that holds (a parking lot, music on hold)."""
    return () if text(bridge.get("bridge_type")) == HOLDING else texts(bridge.get("channels"))


def _blind_transferred(at: datetime, message: Message) -> events.Event | None:
    if text(message.get("result")) != "Success":
        return None
    return events.BlindTransferred(
        at,
        channel(message.get("channel")),
        transferee=_optional_id(message.get("transferee")),
        exten=text(message.get("exten")),
    )


def _attended_transferred(at: datetime, message: Message) -> events.Event | None:
    if text(message.get("result")) != "Success":
        return None
    return events.AttendedTransferred(
        at,
        channel(message.get("transferer_first_leg")),
        transferee=_optional_id(message.get("transferee")),
        target=_optional_id(message.get("transfer_target")),
    )


def _optional_id(value: object) -> str | None:
    return None if value is None else channel(value).id


def _entered_stasis(at: datetime, message: Message) -> events.Event:
    found = channel(message.get("channel"))
    arguments = texts(message.get("args"))
    # Both signs, because the dialplan may bring any argument and other programs snoop too.
    if is_snoop(found) and arguments[:1] == (SNOOP_ARGUMENT,):
        return events.SnoopReady(at, found.id)
    return events.GateEntered(at, found, arguments=arguments)


def _left_stasis(at: datetime, message: Message) -> events.Event:
    found = channel(message.get("channel"))
    if is_snoop(found):
        return events.SnoopGone(at, found.id)
    return events.GateLeft(at, found)


def _recording_started(at: datetime, message: Message) -> events.Event:
    return events.RecordingStarted(at, identifier(mapping(message.get("recording")), "name"))


def _recording_finished(at: datetime, message: Message) -> events.Event:
    return events.RecordingFinished(at, identifier(mapping(message.get("recording")), "name"))


def _recording_failed(at: datetime, message: Message) -> events.Event:
    recording = mapping(message.get("recording"))
    return events.RecordingFailed(at, identifier(recording, "name"), cause=text(recording.get("cause")))


def _playback_started(at: datetime, message: Message) -> events.Event:
    return events.PlaybackStarted(at, identifier(mapping(message.get("playback")), "id"))


def _playback_finished(at: datetime, message: Message) -> events.Event:
    playback = mapping(message.get("playback"))
    failed = text(playback.get("state")) == "failed"
    return events.PlaybackFinished(at, identifier(playback, "id"), failed=failed)


_HANDLERS: dict[str, Callable[[datetime, Message], events.Event | None]] = {
    "ChannelCreated": _created,
    "ChannelStateChange": _changed,
    "ChannelCallerId": _changed,
    "ChannelConnectedLine": _changed,
    "ChannelDestroyed": _gone,
    "ChannelHold": _held,
    "ChannelUnhold": _unheld,
    "Dial": _dialled,
    "ChannelEnteredBridge": _entered_bridge,
    "ChannelLeftBridge": _left_bridge,
    "BridgeBlindTransfer": _blind_transferred,
    "BridgeAttendedTransfer": _attended_transferred,
    "StasisStart": _entered_stasis,
    "StasisEnd": _left_stasis,
    "RecordingStarted": _recording_started,
    "RecordingFinished": _recording_finished,
    "RecordingFailed": _recording_failed,
    "PlaybackStarted": _playback_started,
    "PlaybackFinished": _playback_finished,
}
