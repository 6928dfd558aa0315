"""What a PBX holds, read after a reconnect."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from ari_recorder.asterisk.ari.client import AriClient
from ari_recorder.asterisk.ari.turns import AT_ONCE, in_turns
from ari_recorder.asterisk.snapshot import read_snapshot
from ari_recorder.model.errors import TransientError

from .stand_in import StandIn, channel

PARKED = {"id": "lot", "bridge_type": "holding", "channels": ["c3", "c4"]}


def live(name: str, state: str) -> tuple[int, object]:
    return 200, {"name": name, "format": "sln", "state": state, "target_uri": "channel:s"}


async def test_a_snapshot_has_everything(pbx: StandIn, client: AriClient) -> None:
    pbx.answers["GET", "/channels"] = (200, [channel("c1"), channel("s1", "Snoop/c1-0")])
    pbx.answers["GET", "/channels/c1/variable"] = (200, {"value": "refused"})
    pbx.answers["GET", "/bridges"] = (
        200,
        [{"id": "b1", "bridge_type": "mixing", "channels": ["c1", "c2"]}, PARKED],
    )
    pbx.answers["GET", "/recordings/live/a%2Fr"] = live("a/r", "recording")
    pbx.answers["GET", "/recordings/live/q"] = live("q", "queued")
    pbx.answers["GET", "/recordings/live/d"] = live("d", "done")
    snapshot = await read_snapshot(client, "ari-recorder", ["a/r", "q", "d", "gone", "a/r"])
    assert snapshot.at == datetime(2026, 11, 21, 22, 50, 46, 123000, tzinfo=UTC)
    assert [each.id for each in snapshot.channels] == ["c1", "s1"]
    assert snapshot.bridges == {"b1": ("c1", "c2")}
    assert snapshot.live_recordings == {"a/r", "q"}
    assert snapshot.gated == {"c1"}
    assert snapshot.results == {"c1": "refused"}
    asked = pbx.asked("GET", "/channels/c1/variable")
    assert [each.query["variable"] for each in asked] == ["ARI_RECORDER_RESULT", "ARI_RECORDER_WISH"]
    assert list(snapshot.wishes) == ["c1"]
    assert len(pbx.asked("GET", "/recordings/live/a%2Fr")) == 1


async def test_a_call_that_is_recorded_is_not_asked_for_its_wish(pbx: StandIn, client: AriClient) -> None:
    """That of an earlier gate may still stand there."""
    pbx.answers["GET", "/channels"] = (200, [channel("c1")])
    pbx.answers["GET", "/channels/c1/variable"] = (200, {"value": "recording"})
    assert not (await read_snapshot(client, "ari-recorder")).wishes


async def test_an_application_that_asterisk_does_not_know_holds_nothing(
    pbx: StandIn, client: AriClient
) -> None:
    pbx.answers["GET", "/applications/ari-recorder"] = (404, {"message": "Application not found"})
    assert (await read_snapshot(client, "ari-recorder")).gated == frozenset()


@pytest.mark.parametrize("listing", [(500, {"error": "Allocation failed"}), (200, [None])])
async def test_one_channel_that_cannot_be_told_does_not_hide_the_others(
    pbx: StandIn, client: AriClient, listing: tuple[int, object]
) -> None:
    """A Call-ID that is no UTF-8 makes Asterisk answer so [measured]."""
    pbx.answers["GET", "/channels"] = listing
    pbx.answers["GET", "/endpoints"] = (
        200,
        [{"technology": "PJSIP", "resource": "t", "state": "online", "channel_ids": ["good", "bad", "gone"]}],
    )
    pbx.answers["GET", "/bridges"] = (200, [{"id": "b1", "channels": ["bridged"]}])
    for name in ("good", "bridged", "c1"):
        pbx.answers["GET", f"/channels/{name}"] = (200, channel(name))
    pbx.answers["GET", "/channels/bad"] = (200, None)
    snapshot = await read_snapshot(client, "ari-recorder")
    assert [each.id for each in snapshot.channels] == ["bridged", "c1", "good"]


async def test_an_asterisk_that_goes_away_meanwhile_is_an_error(pbx: StandIn, client: AriClient) -> None:
    pbx.answers["GET", "/bridges"] = (503, "shutting down")
    with pytest.raises(TransientError):
        await read_snapshot(client, "ari-recorder")


async def test_a_very_large_pbx_is_read_although_it_takes_longer_than_one_request_may(
    pbx: StandIn, client: AriClient
) -> None:
    """Each question has its second from when it is sent, not from when it was thought of."""
    many = [f"c{number}" for number in range(2000)]
    pbx.answers["GET", "/channels"] = (200, [channel(each) for each in many])
    pbx.answers["GET", "/channels/c1999/variable"] = (200, {"value": "refused"})
    pbx.answers["GET", "/recordings/live/r1999"] = live("r1999", "recording")
    snapshot = await read_snapshot(client, "ari-recorder", [f"r{number}" for number in range(2000)])
    assert len(snapshot.channels) == 2000
    assert snapshot.results == {"c1999": "refused"}
    assert snapshot.live_recordings == {"r1999"}


async def test_after_a_question_that_fails_no_more_are_asked() -> None:
    asked: list[int] = []

    async def ask(number: int) -> int:
        asked.append(number)
        await asyncio.sleep(0)
        if number == 3:
            raise TransientError("ari.timeout", "No answer.")
        return number

    assert await in_turns(ask, []) == []
    assert await in_turns(ask, [2, 1]) == [2, 1]
    with pytest.raises(TransientError):
        await in_turns(ask, range(1000))
    assert len(asked) < 4 * AT_ONCE
