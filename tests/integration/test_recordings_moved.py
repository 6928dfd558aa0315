"""Calls that are put on hold and handed on: what the outside party heard is in the recording.

On an Asterisk with Debian's defect what could not be saved is stated (docs/explanation/debian-defect.md).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.recorder import Recorder
from ari_recorder.model.call import Side
from tests.phones import Call, Jitter, Numbers
from tests.phones.judge import assert_bit_exact, find_payload, foreign, judge

from .scene import Result, Scene, moment, phones_of, policy, serving
from .verdicts import assert_heard, assert_said, channel_of

pytestmark = pytest.mark.engine

log = logging.getLogger(__name__)

FIRST, SECOND = Numbers(sequence=40_000, ssrc=1), Numbers(sequence=5, ssrc=2)
"""A second party whose sequence numbers are lower than the first one's."""
RETAKE = 1.0
"""Seconds that taking the snoops anew may cost; usual are 0.05, more only on a machine without time."""


@pytest.fixture(scope="module", params=["pbx22", "pbx22_debian"])
def recorder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    pbx: Pbx = request.getfixturevalue(request.param)
    with serving(pbx, tmp_path_factory.mktemp("recorder"), policy()) as running:
        yield running


@pytest.fixture
async def stage(recorder: Recorder, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """The recorder has found out by now what kind of Asterisk this is."""
    async with phones_of(recorder.pbx, recorder) as found:
        affected = recorder.pbx.image.endswith("debian")
        assert await found.translator() == ("drops reordered frames" if affected else "sound")
        yield found


def affected(stage: Scene) -> bool:
    return stage.pbx.image.endswith("debian")


def assert_remedied(result: Result, stage: Scene, times: int) -> None:
    """On an affected build, and only there, the snoops were taken anew at each change of the source."""
    wanted = times if affected(stage) else 0
    assert result.segments == ["start"] + ["source"] * wanted
    assert len(result.notes("retaken")) == wanted
    assert len(result.notes("translator")) == (1 if wanted else 0)
    for one, other in zip(result.metadata["segments"], result.metadata["segments"][1:], strict=False):
        for side in Side:
            gap = moment(other[side.value]["started_at"]) - moment(one[side.value]["finished_at"])
            log.info("%s: %.0f ms between two pairs of snoops", side, gap * 1000)
            assert gap < RETAKE


async def first_call(stage: Scene) -> tuple[Call, Call]:
    call = await (await stage.phone("trunk-berlin")).call("+49301001001")
    incoming = await stage.ring("1001", numbers=FIRST)
    await stage.rolling(call)
    await incoming.answer()
    await call.answered()
    await call.talk(1)
    return call, incoming


async def test_music_on_hold_is_what_was_heard(stage: Scene) -> None:
    """And it is heard: taking the snoops anew must not end the hold (capture/microphone.py)."""
    await stage.phone("1001")
    call, incoming = await first_call(stage)
    await incoming.hold()
    before = len(call.received)
    await call.hear(1.5)
    music = call.received[before:]
    await incoming.unhold()
    await call.talk(1)
    await stage.finish(call, incoming)
    result = await stage.recording(call)
    verdict = assert_heard(result, call)
    assert_said(result, Side.REMOTE, call)
    assert_remedied(result, stage, 2)
    (hold,), (unhold,) = result.notes("hold"), result.notes("unhold")
    held = channel_of(result, Side.LOCAL)[result.position(hold["at"]) : result.position(unhold["at"])]
    found = sum(run.length for run in find_payload(held, music))
    log.info("music: %d of %d samples; missing frames of all heard: %s", found, len(music), verdict.missing)
    assert found > len(music) - 8000 * (RETAKE if affected(stage) else 0.1)


async def test_a_blind_transfer_to_a_party_with_lower_numbers(stage: Scene) -> None:
    await asyncio.gather(stage.phone("1001"), stage.phone("1002"))
    call, incoming = await first_call(stage)
    await incoming.hush()
    transfer = asyncio.create_task(incoming.refer("1002"))
    third = await stage.answer("1002", numbers=SECOND)
    assert await transfer == "200 OK"
    await third.talk(1.5)
    await stage.finish(call, third)
    result = await stage.recording(call)
    assert_bit_exact(call.received, incoming.sent + third.sent, what="what the caller heard")
    assert_heard(result, call)
    assert_said(result, Side.REMOTE, call)
    assert_said(result, Side.LOCAL, incoming)
    third_heard = judge(channel_of(result, Side.LOCAL), third.sent)
    log.info("the third party: frames missing %s of %d", third_heard.missing, third_heard.frames)
    assert len(result.notes("transfer")) == 1
    assert "1002" in result.notes("transfer")[0]["detail"]
    assert [note["detail"].split()[1] for note in result.notes("party")] == ["1001", "1002"]
    assert len(set(result.segments)) == (2 if affected(stage) else 1)
    if not affected(stage):
        assert result.segments == ["start"]


async def test_an_attended_transfer_to_a_party_with_lower_numbers(stage: Scene) -> None:
    await asyncio.gather(*(stage.phone(user) for user in ("1001", "1003")))
    call, incoming = await first_call(stage)
    await incoming.hold()
    asking = await (await stage.phone("1001")).call("1003")
    third = await stage.answer("1003", numbers=SECOND)
    await asking.answered()
    await asking.talk(0.5)
    assert await incoming.refer_to(asking) == "200 OK"
    await asking.hung_up()
    await call.hear(1.5)
    await stage.finish(call, third)
    result = await stage.recording(call)
    assert_heard(result, call)
    assert_said(result, Side.REMOTE, call)
    assert len(result.notes("transfer")) == 1
    assert "1003" in result.notes("transfer")[0]["detail"]
    if not affected(stage):
        assert result.segments == ["start"]
    # What was asked of the third party before is a call between two users, and not to be heard in this one.
    asked = find_payload(channel_of(result, Side.LOCAL), asking.sent)
    assert not asked
    inside = await stage.recording(asking)
    assert inside.call["direction"] == "internal"
    assert_said(inside, Side.REMOTE, asking, since=inside.begins_at)


async def test_packets_out_of_order(stage: Scene) -> None:
    """Recorded in the order in which they came; on an affected build they are missing, and it says so."""
    await stage.phone("1001")
    call = await (await stage.phone("trunk-berlin")).call("+49301001001", weather=[Jitter(0.06)])
    incoming = await stage.ring("1001")
    await stage.rolling(call)
    await incoming.answer()
    await call.answered()
    await call.talk(3)
    await stage.finish(call, incoming)
    result = await stage.recording(call)
    verdict = judge(channel_of(result, Side.REMOTE), call.sent)
    log.info("out of order: %d of %d frames missing", len(verdict.missing), verdict.frames)
    assert not verdict.damaged
    if affected(stage):
        assert result.notes("translator")
    else:
        assert len(verdict.missing) < 0.02 * verdict.frames
    assert not foreign(channel_of(result, Side.REMOTE), verdict.runs)
