"""Recordings judged sample by sample: what the phones sent is what stands in the sealed file."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.recorder import Recorder
from ari_recorder.model.call import Side
from tests.phones import G722, PCMA, PCMU, Call, Codec, Identity, noise
from tests.phones.judge import FRAME, SILENCE, describe, foreign, judge
from tests.phones.wavefile import ALAW, PCM, ULAW

from .scene import ARCHIVE, TRUNKS, Result, Scene, moment, phones_of, seconds_between, serving
from .verdicts import assert_heard, assert_said, channel_of, flushed, missed_ticks_ms

pytestmark = pytest.mark.engine

log = logging.getLogger(__name__)
"""Tells what was measured: `pytest -rP --log-level=INFO`."""

FROM_ANSWER = Identity("+49170100001", "From Answer")
SEPARATE, THEIRS, OURS = (Identity(f"+49170200000{n}") for n in range(3))
KEPT_HERE = Identity("+49170300001")

POLICY = f"""{TRUNKS}{ARCHIVE}
[[setting]]
name = "from answer"
remote = ["{FROM_ANSWER.number}"]
start = "answer"
targets = ["archive"]

[[setting]]
name = "separate files"
remote = ["{SEPARATE.number}"]
sides = "separate"
targets = ["archive"]

[[setting]]
name = "their side"
remote = ["{THEIRS.number}"]
sides = "remote"
targets = ["archive"]

[[setting]]
name = "our side"
remote = ["{OURS.number}"]
sides = "local"
targets = ["archive"]

[[setting]]
name = "kept here"
remote = ["{KEPT_HERE.number}"]
targets = []

[[setting]]
name = "everything"
directions = ["inbound", "outbound", "internal"]
targets = ["archive"]
"""


@pytest.fixture(scope="module", params=["pbx22", "pbx16"])
def recorder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    pbx: Pbx = request.getfixturevalue(request.param)
    with serving(pbx, tmp_path_factory.mktemp("recorder"), POLICY) as running:
        yield running


@pytest.fixture
async def stage(recorder: Recorder) -> AsyncIterator[Scene]:
    async with phones_of(recorder.pbx, recorder) as found:
        yield found


def assert_untouched(result: Result) -> None:
    """Nothing was edited in between; the two snoops begin and end one after the other, by a frame or two."""
    assert result.metadata["assembly"]["exact"]
    ended = result.begins_at + result.metadata["assembly"]["seconds"]
    tail = 0.2 + max(missed_ticks_ms(result, side) for side in Side) / 1000
    times = [(moment(e["at"]), e) for e in result.metadata["assembly"]["edits"]]
    inside = [e for at, e in times if at - result.begins_at > 0.2 and ended - at > tail]
    assert not inside, inside
    assert len(result.segments) == 1


# -- bit for bit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["inbound", "outbound", "internal"])
async def test_an_a_law_call_is_the_bytes_on_the_wire(stage: Scene, way: str) -> None:
    if way == "outbound":
        local, remote = await stage.outbound(ring_seconds=0.5)
    elif way == "inbound":
        remote, local = await stage.connect(ring_seconds=0.5)
    else:
        remote, local = await stage.connect("1002", trunk="1001", user="1002", ring_seconds=0.5)
    await remote.talk(3)
    await stage.finish(remote, local)
    result = await stage.recording(remote)
    assert (result.wave.tag, result.wave.rate) == (ALAW, 8000)
    assert result.call["direction"] == way
    assert result.call["codec"] == "alaw"
    log.info("caller's side: %s", assert_said(result, Side.REMOTE, remote, heard=local))
    log.info("callee's side: %s", assert_said(result, Side.LOCAL, local, heard=remote))
    assert_heard(result, remote)
    assert_untouched(result)


async def test_a_mu_law_call_is_the_bytes_on_the_wire(stage: Scene) -> None:
    call, incoming = await stage.connect(codecs=(PCMU,), ring_seconds=0.5)
    await call.talk(3)
    await stage.finish(call, incoming)
    result = await stage.recording(call)
    assert (result.wave.tag, result.wave.rate) == (ULAW, 8000)
    log.info("caller's side: %s", assert_said(result, Side.REMOTE, call, heard=incoming))
    log.info("callee's side: %s", assert_said(result, Side.LOCAL, incoming, heard=call))
    assert_untouched(result)


async def test_a_g722_call_is_what_asterisk_decoded(stage: Scene) -> None:
    call, incoming = await stage.connect("+49301007711", codecs=(G722,), answer=(G722,), ring_seconds=0.5)
    await call.talk(3)
    await stage.finish(call, incoming)
    result = await stage.recording(call)
    assert (result.wave.tag, result.wave.rate, result.wave.width) == (PCM, 16000, 2)
    assert_untouched(result)
    for side, name in ((Side.REMOTE, "in"), (Side.LOCAL, "out")):
        monitor = stage.pbx.monitor_folder / f"{result.call['linkedid']}-{name}.sln16"
        await stage.until(f"all of {monitor.name}", partial(longer, monitor, 2.5 * 32000))
        decoded = sounding(monitor.read_bytes())
        verdict = judge(channel_of(result, side), decoded, width=2, frame=2 * FRAME)
        assert verdict.frames > 2 * 50
        assert not [*verdict.damaged, *verdict.doubled, *verdict.backwards], describe(verdict, side)
        assert not set(verdict.missing) - flushed(result, verdict), describe(verdict, side)
        log.info("%s of G.722: %d frames, %d missing", side, verdict.frames, len(verdict.missing))


def longer(path: Path, size: float) -> bool:
    return path.stat().st_size > size


def sounding(samples: bytes) -> bytes:
    """Without inserted silence, the first frame (a decoder that begins is all but silent), and the last 0.4 s
    (what waits in a queue at the end is lost, and the queues of the two need not be equally long)."""
    parts = re.split(rb"(?:\0\0){80,}", samples)
    return b"".join(part[: len(part) // 2 * 2] for part in parts)[4 * FRAME : -20 * 4 * FRAME]


# -- several codecs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "offer", [(PCMA, G722), (G722, PCMA), (PCMU, PCMA)], ids=["PCMA+G722", "G722+PCMA", "PCMU+PCMA"]
)
async def test_an_offer_of_several_codecs_that_ends_in_a_law_is_exact(
    stage: Scene, offer: tuple[Codec, ...]
) -> None:
    call, incoming = await stage.connect(codecs=offer, answer=(PCMA,), ring_seconds=0.5)
    await call.talk(2.5)
    await stage.finish(call, incoming)
    assert call.codec == incoming.codec == PCMA
    result = await stage.recording(call)
    assert result.wave.tag == ALAW
    log.info("caller's side: %s", assert_said(result, Side.REMOTE, call, heard=incoming))
    log.info("callee's side: %s", assert_said(result, Side.LOCAL, incoming, heard=call))
    lost = {side: judge(channel_of(result, side), said.sent).missing for side, said in (
        (Side.REMOTE, call), (Side.LOCAL, incoming))}  # fmt: skip
    log.info("frames lost to taking the snoops anew: %s", lost)
    if any(frame < 25 for frames in lost.values() for frame in frames):
        assert result.segments == ["start", "codec"]
        assert result.notes("retaken")


@pytest.mark.parametrize("answer", [PCMA, PCMU], ids=lambda codec: codec.name)
async def test_an_outbound_call_is_kept_in_the_codec_that_the_trunk_chose(
    stage: Scene, answer: Codec
) -> None:
    local, remote = await stage.outbound(codecs=(PCMA, PCMU, G722), answer=(answer,), ring_seconds=0.5)
    await remote.talk(2)
    await stage.finish(remote, local)
    result = await stage.recording(remote)
    assert result.wave.tag == (ALAW if answer is PCMA else ULAW)
    log.info("trunk's side: %s", assert_said(result, Side.REMOTE, remote))
    assert_heard(result, remote)


async def test_parties_with_codecs_of_different_rates(stage: Scene) -> None:
    """Snoops get sound that Asterisk has resampled: all of it is there, and said not to be exact."""
    call, incoming = await stage.connect("+49301001004", user="1004", answer=(G722,), ring_seconds=0.3)
    await call.talk(2)
    await stage.finish(call, incoming)
    result = await stage.recording(call)
    assert (result.wave.tag, result.wave.rate) == (ALAW, 8000)
    assert not result.metadata["assembly"]["exact"]
    assert {edit["detail"].partition(":")[0] for edit in result.edits("off-grid")} == {"remote", "local"}
    for side, phone in ((Side.REMOTE, call), (Side.LOCAL, incoming)):
        said = len(phone.sent)
        loud = sum(run.length for run in foreign(channel_of(result, side), []))
        assert 0.9 * said < loud < 1.1 * said, (side, said, loud)


async def test_a_codec_changed_in_the_call_is_stated(stage: Scene) -> None:
    call, incoming = await stage.connect(ring_seconds=0.3)
    await call.talk(2)
    await call.switch((G722,), noise("wide", G722))
    await call.talk(3.5)
    await stage.finish(call, incoming)
    result = await stage.recording(call)
    assert result.segments == ["start", "codec"]
    assert [note["detail"] for note in result.notes("codec")] == ["alaw → g722"]
    assert (result.wave.tag, result.wave.rate) == (PCM, 16000)
    assert result.edits("resampled")
    assert not result.metadata["assembly"]["exact"]
    assert abs(result.wave.seconds - result.call["seconds"]) < 0.5


# -- before the answer ------------------------------------------------------------------------------------


async def test_ringing_has_its_true_length(stage: Scene) -> None:
    (ring, rung), (answer, answered) = await asyncio.gather(
        stage.connect(ring_seconds=2),
        stage.connect("+49301001002", user="1002", caller=FROM_ANSWER, ring_seconds=2),
    )
    await asyncio.gather(ring.talk(1.5), answer.talk(1.5))
    await asyncio.gather(stage.finish(ring, rung), stage.finish(answer, answered))
    kept = await stage.recording(ring)
    late = seconds_between(kept.call["created_at"], kept.metadata["assembly"]["begins_at"])
    log.info("audio begins %d ms after the INVITE", late * 1000)
    assert 0 <= late < 0.5
    for side, said, heard in ((Side.REMOTE, ring, rung), (Side.LOCAL, rung, ring)):
        log.info("%s after 2 s of ringing: %s", side, assert_said(kept, side, said, heard=heard))
    for side in Side:
        silent = kept.position(kept.call["answered_at"]) - FRAME - round(8 * missed_ticks_ms(kept, side))
        assert silent > 1.5 * 8000
        assert set(channel_of(kept, side)[:silent]) == set(SILENCE["alaw"])
    later = await stage.recording(answer)
    assert later.metadata["assembly"]["begins_at"] == later.call["answered_at"]
    assert abs(later.wave.seconds - later.call["answered_seconds"]) < 0.25
    for side, said, heard in ((Side.REMOTE, answer, answered), (Side.LOCAL, answered, answer)):
        placed = assert_said(later, side, said, heard=heard, since=later.begins_at)
        log.info("%s from the answer on: %s", side, placed)


@pytest.mark.parametrize(("number", "answers"), [("4001", False), ("4101", False), ("4011", True)])
async def test_what_is_heard_before_somebody_picks_up_is_there(
    stage: Scene, number: str, answers: bool
) -> None:
    """Music as early media, music while it rings, and an IVR that answers first."""
    outside, _ = await stage.phone("trunk-berlin"), await stage.phone("1001")
    call = await outside.call(f"+4930100{number}")
    if answers:
        await call.answered()
    incoming = await (await stage.phone("1001")).ring(timeout=20)
    await incoming.ringing()
    if number == "4101":
        await call.hear(1)
    music = len(call.received)
    assert music >= 8000 * 0.8
    await incoming.answer()
    await call.answered()
    await call.talk(1)
    await stage.finish(call, incoming)
    result = await stage.recording(call)
    assert_heard(result, call, since=result.begins_at)
    early = result.begins_at
    assert_said(result, Side.REMOTE, call, heard=incoming, since=early, answered_by_pbx=answers)
    assert_said(result, Side.LOCAL, incoming, heard=call)
    assert result.call["answered_at"] is not None
    assert result.call["callee"]["number"] == "1001"


@pytest.mark.parametrize("number", ["5000", "5001"], ids=["echo", "music"])
async def test_a_call_that_meets_only_the_pbx_is_recorded(stage: Scene, number: str) -> None:
    call = await (await stage.phone("trunk-berlin")).call(f"+4930100{number}")
    await call.answered()
    await call.talk(1.5)
    await stage.finish(call)
    result = await stage.recording(call)
    assert_heard(result, call, since=result.begins_at)
    assert_said(result, Side.REMOTE, call, since=result.begins_at, answered_by_pbx=True)


async def test_early_media_of_a_call_that_is_never_answered_is_there(stage: Scene) -> None:
    call = await (await stage.phone("trunk-berlin")).call("+49301004020")
    await call.progress(183)
    await call.hung_up(timeout=20)
    assert call.ended_by.startswith("486")
    result = await stage.recording(call)
    assert result.call["answered_at"] is None
    assert_heard(result, call, since=result.begins_at)
    music = foreign(channel_of(result, Side.LOCAL), [])
    assert sum(run.length for run in music) > 2 * 8000


# -- what becomes of it -----------------------------------------------------------------------------------


async def test_sides_become_the_files_that_the_setting_names(stage: Scene) -> None:
    users = ("1001", "1002", "1003")
    callers = (SEPARATE, THEIRS, OURS)
    pairs = await asyncio.gather(
        *(
            stage.connect(f"+4930100{user}", user=user, caller=caller, ring_seconds=0.3)
            for user, caller in zip(users, callers, strict=True)
        )
    )
    await asyncio.gather(*(call.talk(1.5) for call, _ in pairs))
    await asyncio.gather(*(stage.finish(*pair) for pair in pairs))
    results = [await stage.recording(call) for call, _ in pairs]
    assert [[file["channels"] for file in r.metadata["audio"]] for r in results] == [
        [["remote"], ["local"]], [["remote"]], [["local"]]]  # fmt: skip
    for result, (call, incoming) in zip(results, pairs, strict=True):
        said: dict[str, Call] = {"remote": call, "local": incoming}
        for file in result.metadata["audio"]:
            (side,) = file["channels"]
            alone = Result(result.metadata | {"audio": [file]}, result.file, file["name"])
            assert len(alone.wave.channels) == 1
            assert_said(alone, Side(side), said[side])


async def test_without_a_target_the_recording_stays_on_the_recorder(stage: Scene) -> None:
    call, incoming = await stage.connect(caller=KEPT_HERE, ring_seconds=0.3)
    await call.talk(1)
    await stage.finish(call, incoming)

    def kept() -> Path | None:
        folders = [p.parent for p in stage.recorder.spool.glob("*/recording.json")]
        return next((f for f in folders for _ in f.glob("*.sig")), None)

    folder: Path = await stage.until("a sealed recording in the spool", kept)
    (journal,) = [r for r in stage.recorder.journals() if r["call"]["sip_call_id"] == call.call_id]
    assert journal["deliveries"] == []
    (wav,) = folder.glob("*.wav")
    assert wav.stat().st_size > 8000
    said = stage.recorder.command(
        "verify", "--part", "--certificate", str(stage.recorder.certificate), str(wav)
    )
    assert said.returncode == 0, said.stdout
    assert not [r for r in stage.results() if r.call["sip_call_id"] == call.call_id]
