"""The demo's two phones (SIPp) against a real Asterisk."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.phones import SippPhone
from ari_recorder.lab.ports import free
from ari_recorder.lab.programs import wait_until
from ari_recorder.model.errors import ConfigError, TransientError
from tests.phones import Exchange
from tests.phones.judge import assert_bit_exact, find_payload

pytestmark = pytest.mark.engine


def speech(path: Path, seed: int) -> bytes:
    """Three seconds and a bit of random A-law, so that the loop's seam falls inside a packet."""
    octets = random.Random(seed).randbytes(24_077)
    path.write_bytes(octets)
    return octets


class Demo:
    def __init__(self, pbx: Pbx, folder: Path) -> None:
        self.theirs, self.ours = speech(folder / "caller.alaw", 1), speech(folder / "callee.alaw", 2)
        where = (pbx.host, pbx.sip_port)
        self.callee = SippPhone(folder / "callee", where, "1001", folder / "callee.alaw")
        self.caller = SippPhone(
            folder / "caller", where, "+491701234567", folder / "caller.alaw", "Max Outside"
        )

    def dial(self, number: str, hold: float) -> None:
        self.caller.call(number, hold=hold, header="X-Trunk: berlin")


@pytest.fixture
def demo(pbx22: Pbx, tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(pbx22, tmp_path)
    yield demo
    demo.caller.close()
    demo.callee.close()


def idle(pbx: Pbx) -> bool:
    return "0 active channels" in pbx.cli("core show channels count")


def test_both_play_their_speech_into_the_call(demo: Demo, pbx22: Pbx) -> None:
    before = set(pbx22.monitor_folder.iterdir())
    demo.callee.answer(ring=0.5)
    demo.dial("+49301007721", hold=4)
    demo.caller.wait_answered(limit=10)
    demo.caller.wait(limit=15)
    demo.callee.wait(limit=5)
    assert demo.callee.answered
    wait_until("an idle PBX", lambda: idle(pbx22), limit=10)
    heard, said = sorted(set(pbx22.monitor_folder.iterdir()) - before)
    for path, played in ((heard, demo.theirs), (said, demo.ours)):
        recording = path.read_bytes()
        # Several runs where a busy machine let a packet come late; every one is what was played.
        runs = find_payload(recording, played * 3)
        assert sum(run.length for run in runs) >= 3.5 * 8000
        for run in runs:
            assert_bit_exact(recording, (played * 3)[run.sent : run.sent + run.length])


def test_the_callee_hangs_up_too(demo: Demo) -> None:
    demo.callee.answer(ring=0.1, hold=1)
    demo.dial("+49301001001", hold=30)
    demo.callee.wait(limit=10)
    demo.caller.wait(limit=5)


def test_early_media_and_music_before_the_answer_do_no_harm(demo: Demo) -> None:
    demo.callee.answer(ring=0.1)
    demo.dial("+49301004001", hold=1)
    demo.caller.wait(limit=15)
    demo.callee.wait(limit=5)


def test_a_busy_number_is_told_in_words(demo: Demo) -> None:
    demo.dial("+49301004030", hold=1)
    with pytest.raises(TransientError, match=r"otherwise than planned(.|\n)*486 Busy Here"):
        demo.caller.wait(limit=10)
    with pytest.raises(TransientError, match="486"):
        demo.caller.wait_answered(limit=1)


def test_closing_in_mid_call_leaves_no_process_and_no_port(demo: Demo, pbx22: Pbx) -> None:
    demo.callee.answer(ring=0.1, hold=2)
    demo.dial("+49301001001", hold=60)
    demo.caller.wait_answered(limit=10)
    demo.caller.close()
    assert not demo.caller.running
    assert free(demo.caller.port)
    demo.callee.wait(limit=10)
    wait_until("an idle PBX", lambda: idle(pbx22), limit=10)


async def test_a_caller_that_gives_up_while_it_rings_is_no_harm(demo: Demo, pbx22: Pbx) -> None:
    demo.callee.answer(ring=30)
    async with Exchange(pbx22.host, pbx22.sip_port) as exchange:
        call = await (await exchange.phone("trunk-berlin")).call("+49301001001")
        assert await call.progress() == 180
        await call.cancel()
    demo.callee.wait(limit=10)


def test_no_call_in_time_is_told(demo: Demo) -> None:
    demo.callee.answer(wait=-58.5, ring=0.1, hold=0.1)
    with pytest.raises(TransientError, match="out of time"):
        demo.callee.wait(limit=10)


def test_missing_speech_is_told(pbx22: Pbx, tmp_path: Path) -> None:
    (tmp_path / "empty.alaw").write_bytes(b"")
    phone = SippPhone(tmp_path / "p", (pbx22.host, pbx22.sip_port), "1001", tmp_path / "empty.alaw")
    with phone, pytest.raises(TransientError, match=r"speech\.alaw"):
        phone.answer()


def test_a_name_that_means_something_to_sip_is_refused(pbx22: Pbx, tmp_path: Path) -> None:
    speech(tmp_path / "a.alaw", 1)
    phone = SippPhone(tmp_path / "p", (pbx22.host, pbx22.sip_port), '1001"; rm', tmp_path / "a.alaw")
    with phone, pytest.raises(ConfigError, match="cannot be called"):
        phone.answer()


async def test_it_talks_with_the_other_kind_of_phone(demo: Demo, pbx22: Pbx) -> None:
    demo.callee.answer(ring=0.1)
    async with Exchange(pbx22.host, pbx22.sip_port) as exchange:
        trunk = await exchange.phone("trunk-berlin")
        call = await trunk.call("+49301001001")
        await call.answered()
        await call.hear(4)
        await call.hang_up()
    (run,) = find_payload(call.received, demo.ours * 3)
    assert run.length == len(call.received)
    assert run.sent < 160 * 5
