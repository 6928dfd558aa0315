"""ARI's messages as events: captured ones of both ends of the supported range, and hostile ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.asterisk.ari.events import translate
from ari_recorder.capture import events
from ari_recorder.model.call import Party

HERE = Path(__file__).parent
AT = datetime(2026, 11, 21, 22, 50, 46, 123000, tzinfo=UTC)

MEANT = [
    "ChannelCreated PJSIP/trunk-berlin-00000000",
    "ChannelChanged PJSIP/1001-00000001",
    "Dialled PJSIP/1001-00000001 ''",
    "ChannelChanged PJSIP/1001-00000001",
    "Dialled PJSIP/1001-00000001 'RINGING'",
    "Dialled PJSIP/1001-00000001 'ANSWER'",
    "BridgeEntered PJSIP/1001-00000001",
    "Held PJSIP/1001-00000001",
    "Unheld PJSIP/1001-00000001",
    "BlindTransferred PJSIP/1001-00000001",
    "BridgeLeft PJSIP/*",
    "ChannelGone PJSIP/1001-00000001",
    "AttendedTransferred PJSIP/1001-00000004",
    "GateEntered Local/gate@default-00000000;2",
    "SnoopReady sn-in",
    "RecordingStarted x/y",
    "PlaybackStarted pb1",
    "PlaybackFinished pb1 ok",
    "PlaybackFinished pb2 failed",
    "RecordingFinished x/y",
    "SnoopGone sn-in",
    "GateLeft Local/gate@default-00000000;2",
    "Dialled UnicastRTP/* ''",
    "Dialled UnicastRTP/* 'ANSWER'",
    "GateEntered UnicastRTP/*",
    "GateLeft UnicastRTP/*",
    "ChannelGone UnicastRTP/*",
]
"""What the captured messages of either release mean, in no particular order."""


def captured(release: int) -> list[dict[str, Any]]:
    lines = (HERE / f"messages-{release}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def shown(event: events.Event) -> str:
    """An event in a few words; names that differ between the releases shortened."""
    kind = type(event).__name__
    match event:
        case events.SnoopReady() | events.SnoopGone():
            return f"{kind} {event.snoop}"
        case events.RecordingEvent():
            return f"{kind} {event.name}"
        case events.PlaybackStarted():
            return f"{kind} {event.playback}"
        case events.PlaybackFinished():
            return f"{kind} {event.playback} {'failed' if event.failed else 'ok'}"
        case events.Dialled():
            return f"{kind} {_short(event.peer.name)} {event.status!r}"
        case events.BridgeLeft():
            return f"{kind} PJSIP/*"
        case events.ChannelEvent():
            return f"{kind} {_short(event.channel.name)}"
    raise AssertionError(event)


def _short(name: str) -> str:
    return "UnicastRTP/*" if name.startswith("UnicastRTP/") else name


@pytest.mark.parametrize("release", [22, 16])
def test_captured_messages_mean_the_same_on_either_release(release: int) -> None:
    found = [shown(event) for event in map(translate, captured(release)) if event is not None]
    assert sorted(found) == sorted(MEANT)


def only(release: int, kind: str) -> events.Event:
    (message, *_) = [m for m in captured(release) if m["type"] == kind]
    event = translate(message)
    assert event is not None
    return event


@pytest.mark.parametrize("release", [22, 16])
def test_a_new_channel_has_everything_the_rules_need(release: int) -> None:
    event = only(release, "ChannelCreated")
    assert isinstance(event, events.ChannelCreated)
    assert event.at.tzinfo is UTC
    channel = event.channel
    assert channel.endpoint == "PJSIP/trunk-berlin"
    assert channel.state == "Ring"
    assert channel.exten == "+49301001001"
    assert channel.context == "from-trunk"
    assert channel.linkedid == channel.id
    assert channel.created_at is not None
    assert channel.created_at <= event.at


@pytest.mark.parametrize("release", [22, 16])
def test_transfers_name_who_went_where(release: int) -> None:
    blind = only(release, "BridgeBlindTransfer")
    assert isinstance(blind, events.BlindTransferred)
    assert blind.channel.name == "PJSIP/1001-00000001"
    assert blind.exten == "1002"
    assert blind.transferee is not None
    assert blind.transferee.endswith(".0")
    attended = only(release, "BridgeAttendedTransfer")
    assert isinstance(attended, events.AttendedTransferred)
    assert attended.channel.name == "PJSIP/1001-00000004"
    assert attended.transferee is not None
    assert attended.transferee.endswith(".3")
    assert attended.target is not None
    assert attended.target.endswith(".6")


@pytest.mark.parametrize("release", [22, 16])
def test_bridges_list_their_members(release: int) -> None:
    entered = only(release, "ChannelEnteredBridge")
    assert isinstance(entered, events.BridgeEntered)
    assert entered.members == (entered.channel.id,)
    left = only(release, "ChannelLeftBridge")
    assert isinstance(left, events.BridgeLeft)
    assert left.channel.id not in left.members


def message(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": "2026-11-21T22:50:46.123+0000", **fields}


CHANNEL = {"id": "c1", "name": "PJSIP/1001-00000001", "state": "Up"}
SNOOP = {"id": "s1", "name": "Snoop/c1-00000000", "state": "Up"}


@dataclass(frozen=True)
class Case:
    message: dict[str, Any]
    expected: object


PLAIN = events.Channel("c1", "PJSIP/1001-00000001", "Up")
PARKED = {"id": "lot", "bridge_type": "holding", "technology": "holding_bridge", "channels": ["c2", "c1"]}


@pytest.mark.parametrize(
    "case",
    [
        Case(message("ChannelHold", channel=CHANNEL), events.Held(AT, PLAIN)),
        Case(message("ChannelCallerId", channel=CHANNEL), events.ChannelChanged(AT, PLAIN)),
        Case(message("StasisStart", channel=SNOOP, args=["snoop", "more"]), events.SnoopReady(AT, "s1")),
        Case(message("StasisEnd", channel=SNOOP), events.SnoopGone(AT, "s1")),
        Case(message("ChannelDestroyed", channel=SNOOP, cause=16), events.SnoopGone(AT, "s1")),
        Case(
            message("StasisStart", channel=CHANNEL, args=["snoop"]),
            events.GateEntered(AT, PLAIN, arguments=("snoop",)),
        ),
        Case(
            message("ChannelDestroyed", channel=CHANNEL, cause=17, cause_txt="User busy"),
            events.ChannelGone(AT, PLAIN, cause=17, cause_text="User busy"),
        ),
        Case(
            message("RecordingFailed", recording={"name": "a/b", "cause": "disk"}),
            events.RecordingFailed(AT, "a/b", cause="disk"),
        ),
        Case(
            message("Dial", peer=CHANNEL, dialstatus="BUSY", dialstring="x"),
            events.Dialled(AT, PLAIN, None, "BUSY", "x"),
        ),
        Case(
            message("ChannelEnteredBridge", channel=CHANNEL, bridge={"id": "b", "channels": ["c2"]}),
            events.BridgeEntered(AT, PLAIN, bridge="b", members=("c2", "c1")),
        ),
        Case(
            message("ChannelEnteredBridge", channel=CHANNEL, bridge=PARKED),
            events.BridgeEntered(AT, PLAIN, bridge="lot", members=("c1",)),
        ),
        Case(
            message("ChannelLeftBridge", channel=CHANNEL, bridge=PARKED),
            events.BridgeLeft(AT, PLAIN, bridge="lot", members=()),
        ),
        Case(message("BridgeBlindTransfer", channel=CHANNEL, exten="1", result="Fail"), None),
        Case(message("BridgeAttendedTransfer", transferer_first_leg=CHANNEL, result="Invalid"), None),
    ],
    ids=lambda case: case.message["type"],
)
def test_each_message_has_its_event(case: Case) -> None:
    assert translate(case.message) == case.expected


@pytest.mark.parametrize("timestamp", ["2026-11-21T23:50:46.123+0100", "2026-11-21T22:50:46.123Z"])
def test_times_are_utc_whatever_the_zone_of_the_pbx(timestamp: str) -> None:
    event = translate({**message("ChannelHold", channel=CHANNEL), "timestamp": timestamp})
    assert event is not None
    assert event.at == AT
    assert event.at.tzinfo is UTC


HOSTILE = {
    "NUL": "a\x00b",
    "newlines": "a\r\nEvent: Fake\r\n\r\n",
    "long": "x" * 300,
    "emoji": "📞👩‍👩‍👧",
    "path": "../../etc/passwd",
    "right to left": "\u202egnp.exe",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_names_pass_through_unchanged(name: str) -> None:
    raw = json.dumps(message("ChannelCreated", channel={**CHANNEL, "caller": {"name": name, "number": name}}))
    event = translate(json.loads(raw))
    assert isinstance(event, events.ChannelCreated)
    assert event.channel.caller == Party(number=name, name=name)


def test_lone_surrogates_are_replaced() -> None:
    raw = '{"id": "c1", "name": "PJSIP/1-1", "state": "Up", "caller": {"name": "a\\ud800b", "number": ""}}'
    event = translate(message("ChannelCreated", channel=json.loads(raw)))
    assert isinstance(event, events.ChannelCreated)
    assert event.channel.caller.name == "a�b"
    event.channel.caller.name.encode("utf-8")


@pytest.mark.parametrize(
    "malformed",
    [
        None,
        [],
        "text",
        {},
        {"type": 7},
        {"type": ["ChannelCreated"]},
        {"type": "SomethingNew", "timestamp": "x"},
        {"type": "ChannelCreated"},
        message("ChannelCreated"),
        message("ChannelCreated", channel=None),
        message("ChannelCreated", channel={"id": ""}),
        message("ChannelCreated", channel={"id": "c", "creationtime": "yesterday"}),
        {**message("ChannelHold", channel=CHANNEL), "timestamp": "2026-11-21T22:50:46"},
        {**message("ChannelHold", channel=CHANNEL), "timestamp": "0001-01-01T00:00:00.000+2359"},
        message("ChannelEnteredBridge", channel=CHANNEL, bridge=[]),
        message("RecordingStarted", recording={}),
        message("PlaybackFinished", playback="p"),
        message("Dial", dialstatus="ANSWER"),
    ],
)
def test_malformed_and_unknown_messages_mean_nothing(malformed: object) -> None:
    assert translate(malformed) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(kind=st.sampled_from([m["type"] for m in captured(22)]), channel=JSON, rest=JSON)
def test_no_message_makes_it_fail(kind: str, channel: Any, rest: Any) -> None:
    keys = ("peer", "bridge", "recording", "playback", "args", "transferee", "caller")
    fields = dict.fromkeys(keys, rest)
    for tried in (channel, {**CHANNEL, "dialplan": rest, "caller": rest, "channelvars": rest}):
        found = translate(message(kind, channel=tried, result="Success", **fields))
        assert found is None or isinstance(found, events.Event)
