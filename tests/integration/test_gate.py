"""Calls that pass the gate: announced, forced, forbidden, given another setting, and never stranded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.recorder import Recorder
from ari_recorder.model.call import Side
from tests.phones import Call, Identity, RejectedError
from tests.phones.judge import FRAME

from .scene import (
    ARCHIVE,
    LIMIT,
    PROMPT,
    TRUNKS,
    Result,
    Scene,
    moment,
    no_channels,
    phones_of,
    seconds_between,
    serving,
)
from .verdicts import TELLING, assert_heard, assert_said, channel_of, in_order

pytestmark = pytest.mark.engine

log = logging.getLogger(__name__)

AFTER, FROM_ANSWER, OPTIONAL, ANNOUNCED, PLAIN, UNSELECTED = (
    Identity(f"+4917100{n}0001", name)
    for n, name in enumerate(("After", "From Answer", "Optional", "Announced", "Plain", "Unselected"))
)

POLICY = f"""{TRUNKS}{ARCHIVE}{PROMPT}
[[target]]
kind = "local"
name = "second"
folder = "second"

[[setting]]
name = "plain"
directions = ["inbound", "outbound", "internal"]
remote = ["{PLAIN.number}", "+49307654321"]
targets = ["archive"]

[[setting]]
name = "after the announcement"
remote = ["{AFTER.number}"]
start = "after-announcement"
targets = ["archive"]
announcement = {{ prompt = "consent" }}

[[setting]]
name = "from the answer"
remote = ["{FROM_ANSWER.number}"]
start = "answer"
targets = ["archive"]
announcement = {{ prompt = "consent" }}

[[setting]]
name = "announced if it can be"
remote = ["{OPTIONAL.number}"]
targets = ["archive"]
announcement = {{ prompt = "consent", required = false }}

[[setting]]
name = "announced"
remote = ["{ANNOUNCED.number}"]
targets = ["archive"]
announcement = {{ prompt = "consent" }}

[[setting]]
name = "special"
remote = ["+49000000000"]
targets = ["second"]
"""


@pytest.fixture(scope="module", params=["pbx22", "pbx16"])
def recorder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    pbx: Pbx = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("recorder")
    (folder / "second").mkdir()
    with serving(pbx, folder, POLICY) as running:
        yield running


@pytest.fixture
async def stage(recorder: Recorder) -> AsyncIterator[Scene]:
    async with phones_of(recorder.pbx, recorder) as found:
        yield found


@pytest.fixture
def spoken(recorder: Recorder) -> bytes:
    """The announcement as Asterisk plays it to an A-law call."""
    (file,) = (recorder.pbx.sounds_folder / "ari-recorder").glob("consent-*.alaw")
    return file.read_bytes()


@pytest.fixture
def prompt(spoken: bytes) -> dict[int, bytes]:
    """Its frames that are not all but silent."""
    frames = {n: spoken[n * FRAME : (n + 1) * FRAME] for n in range(len(spoken) // FRAME)}
    return {n: frame for n, frame in frames.items() if len(set(frame)) >= TELLING}


async def enter(stage: Scene, number: str, caller: Identity, user: str = "1001") -> Call:
    await stage.phone(user)
    return await (await stage.phone("trunk-berlin")).call(number, caller=caller)


async def through(
    stage: Scene, number: str, caller: Identity, *, user: str = "1001", seconds: float = 1.0
) -> tuple[Call, Call]:
    """A call through the gate to its end, talking for so long; the caller's and the callee's ends of it."""
    call = await enter(stage, number, caller, user)
    incoming = await stage.answer(user, caller=caller.number)
    await call.answered(timeout=LIMIT)
    await call.talk(seconds)
    await stage.finish(call, incoming)
    return call, incoming


async def finished(stage: Scene, **fields: Any) -> dict[str, Any]:
    return await stage.logged("recording.finished", **fields)


def told(result: Result) -> str:
    return f"{result.metadata['recording']['id']} {result.metadata['setting']['name']}"


# -- announcements ----------------------------------------------------------------------------------------


async def test_an_announcement_is_heard_and_recorded_where_the_setting_says_so(
    stage: Scene, spoken: bytes, prompt: dict[int, bytes]
) -> None:
    ring, after, answer = await asyncio.gather(
        through(stage, "+49301002001", ANNOUNCED),
        through(stage, "+49301002002", AFTER, user="1002"),
        through(stage, "+49301002003", FROM_ANSWER, user="1003"),
    )
    for call, _ in (ring, after, answer):
        assert not in_order(call.received, [*prompt.values()]).missing, f"{call!r} did not hear all of it"

    result = await stage.recording(ring[0])
    played = in_order(channel_of(result, Side.LOCAL), [*prompt.values()])
    assert not played.missing, "the announcement is not in the right channel"
    (told,) = result.metadata["announcements"]
    assert (told["prompt"], told["heard"]) == ("consent", True)
    lasted = seconds_between(told["started_at"], told["finished_at"])
    assert abs(lasted - len(spoken) / 8000) < 0.3
    off = played.runs[0].at - min(prompt) * FRAME - result.position(told["started_at"])
    log.info("the announcement lasts %.3f s and begins %.1f ms after its time", lasted, off / 8)
    assert abs(off) < 8 * 250
    assert moment(told["finished_at"]) < moment(result.call["answered_at"])
    assert_heard(result, ring[0])
    for side, said, heard in ((Side.REMOTE, ring[0], ring[1]), (Side.LOCAL, ring[1], ring[0])):
        log.info("%s after the announcement: %s", side, assert_said(result, side, said, heard=heard))
    assert result.metadata["assembly"]["exact"]

    for call, incoming in (after, answer):
        result = await stage.recording(call)
        assert not [n for n, frame in prompt.items() if frame in channel_of(result, Side.LOCAL)]
        (told,) = result.metadata["announcements"]
        assert told["heard"]
        assert moment(told["finished_at"]) <= result.begins_at
        assert_said(result, Side.REMOTE, call, heard=incoming, since=result.begins_at)
        assert_said(result, Side.LOCAL, incoming, heard=call)


async def test_without_its_required_announcement_a_call_is_not_recorded(stage: Scene) -> None:
    await asyncio.gather(stage.phone("1001"), stage.phone("1002"))
    (call, incoming), (optional, other) = await asyncio.gather(
        stage.connect(caller=ANNOUNCED), stage.connect("+49301001002", user="1002", caller=OPTIONAL)
    )
    await asyncio.gather(call.talk(1), optional.talk(1))
    await asyncio.gather(stage.finish(call, incoming), stage.finish(optional, other))
    result = await stage.recording(optional)
    assert result.metadata["announcements"] == []
    assert_said(result, Side.LOCAL, other, heard=optional, since=result.begins_at)
    line = await finished(stage, state="refused", reason="not-announced")
    await assert_nothing_is_kept(stage, line["recording"])


async def test_a_caller_who_hangs_up_in_the_announcement_is_not_recorded(stage: Scene) -> None:
    call = await enter(stage, "+49301002001", ANNOUNCED)
    await call.progress(183)
    await call.hear(0.5)
    started = len(stage.recorder.lines())
    await call.cancel()

    def refused() -> dict[str, Any] | None:
        lines = stage.recorder.lines()[started:]
        return next((line for line in lines if line.get("action") == "recording.finished"), None)

    line = await stage.until("the end of the recording", refused)
    assert line["state"] == "refused"
    log.info("a caller who hangs up in the announcement: %s", line["reason"])
    await assert_nothing_is_kept(stage, line["recording"])


async def assert_nothing_is_kept(stage: Scene, recording: str) -> None:
    folder = stage.pbx.recording_folder / "ari-recorder" / recording
    await stage.until("the end of a discarded recording", lambda: not folder.exists())
    assert not list(stage.recorder.spool.glob(f"{recording}*"))
    assert recording not in {r.metadata["recording"]["id"] for r in stage.results()}
    await asyncio.to_thread(no_channels, stage.pbx)


# -- what the dialplan asks for ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "caller", "said", "direction"),
    [
        ("+49301002001", PLAIN, "plain", "inbound"),
        ("+49301002011", UNSELECTED, "plain", "inbound"),
        ("+49301002031", PLAIN, "special", "inbound"),
        ("+49301002041", PLAIN, "plain", "internal"),
        ("+49301002051", UNSELECTED, "special", "outbound"),
        ("+49301003001", PLAIN, "plain", "inbound"),
        ("+49301003011", UNSELECTED, "plain", "inbound"),
        ("+49301002091", PLAIN, "plain", "inbound"),
    ],
    ids=["no wish", "force", "setting", "direction", "both", "closed", "closed, force", "no gate"],
)
async def test_the_dialplan_is_obeyed(
    stage: Scene, number: str, caller: Identity, said: str, direction: str
) -> None:
    folder = "second" if said == "special" else "archive"
    call, incoming = await through(stage, number, caller, seconds=0.6)

    def sealed() -> Result | None:
        found = stage.results(stage.recorder.folder / folder)
        return next((r for r in found if r.call["sip_call_id"] == call.call_id), None)

    result: Result = await stage.until(f"the recording of {call!r}", sealed)
    assert result.metadata["setting"]["name"] == said
    assert result.metadata["setting"]["targets"] == [folder]
    assert result.call["direction"] == direction
    assert f"gate said: recording {told(result)}" in stage.pbx.logs(5000)
    assert_said(result, Side.REMOTE, call, heard=incoming, since=result.begins_at)


@pytest.mark.parametrize(
    ("number", "caller", "reason"),
    [
        ("+49301002021", PLAIN, "forbidden"),
        ("+49301002001", UNSELECTED, "no-setting"),
        ("+49301002041", ANNOUNCED, "no-setting"),
        ("+49301003001", UNSELECTED, "no-setting"),
    ],
    ids=["forbid", "no setting", "no setting for the direction", "closed"],
)
async def test_a_refused_call_goes_on_unrecorded(
    stage: Scene, number: str, caller: Identity, reason: str
) -> None:
    before = len(stage.refusals())
    call, _ = await through(stage, number, caller, seconds=0.3)
    rows = await stage.until("the refusal", lambda: stage.refusals()[before:])
    assert reason in {row["reason"] for row in rows}
    assert "gate said: refused" in stage.pbx.logs(5000)
    await asyncio.to_thread(no_channels, stage.pbx)
    assert call.call_id not in {r.call["sip_call_id"] for r in stage.results()}
    assert not stage.recorder.journals()


async def test_a_call_that_goes_out_through_the_gate_is_decided_when_it_is_dialled(stage: Scene) -> None:
    local, remote = await stage.outbound("60307654321", ring_seconds=0.3)
    await remote.talk(0.6)
    await stage.finish(remote, local)
    result = await stage.recording(remote)
    assert result.call["direction"] == "outbound"
    assert result.call["callee"]["number"] == "0307654321"
    assert_said(result, Side.REMOTE, remote, heard=local)


# -- nobody is stranded -----------------------------------------------------------------------------------


async def test_a_recorder_that_dies_strands_no_caller(stage: Scene) -> None:
    """The dialplan's time limit of 2 s takes the call back; the recorder, back again, finds all in order."""
    call = await enter(stage, "+49301002061", ANNOUNCED)
    await call.progress(183)
    await call.hear(0.3)
    stage.recorder.kill()
    incoming = await stage.answer("1001", caller=ANNOUNCED.number)
    await call.answered(timeout=LIMIT)
    assert "gate said: failed" in stage.pbx.logs(5000)
    await call.talk(0.5)
    await asyncio.to_thread(stage.recorder.start)
    line = await finished(stage, state="refused", reason="not-announced")
    await call.talk(0.5)
    await stage.finish(call, incoming)
    await assert_nothing_is_kept(stage, line["recording"])
    call, incoming = await through(stage, "+49301002001", ANNOUNCED)
    result = await stage.recording(call)
    assert result.metadata["announcements"][0]["heard"]
    assert_said(result, Side.LOCAL, incoming, heard=call)


async def test_without_a_recorder_the_gate_stands_open_or_closed_as_the_dialplan_says(stage: Scene) -> None:
    await asyncio.to_thread(stage.recorder.stop)
    try:
        call, _ = await through(stage, "+49301002001", ANNOUNCED, seconds=0.3)
        assert "gate said: failed" in stage.pbx.logs(5000)
        closed = await enter(stage, "+49301003001", PLAIN)
        with pytest.raises(RejectedError, match="503"):
            await closed.answered(timeout=LIMIT)
    finally:
        await asyncio.to_thread(stage.recorder.start)
    assert call.call_id not in {r.call["sip_call_id"] for r in stage.results()}
