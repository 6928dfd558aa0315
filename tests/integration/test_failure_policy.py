"""Calls that cannot be recorded: each goes on or ends as its setting says, and nobody stays in the gate."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ari_recorder.lab.engine import Engine
from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.programs import wait_until
from ari_recorder.lab.progress import spoken
from ari_recorder.lab.recorder import Recorder
from tests.conformance.mounts import small_disk
from tests.phones import Call, Identity, RejectedError

from .scene import ARCHIVE, LIMIT, TRUNKS, Scene, phones_of, prepared

pytestmark = pytest.mark.engine

log = logging.getLogger(__name__)

CARRIED, STRICT, LOUD, ANNOUNCED = (
    Identity(f"+4917200{n}0001", name) for n, name in enumerate(("Carried", "Strict", "Loud", "Announced"))
)

SORRY = """
[[prompt]]
name = "sorry"
file = "shipped:en/cannot-be-recorded"

[[prompt]]
name = "consent"
file = "shipped:en/recorded"
"""

POLICY = f"""{TRUNKS}{ARCHIVE}{SORRY}
[[setting]]
name = "strict"
remote = ["{STRICT.number}"]
targets = ["archive"]
on_failure = "hang-up"
failure_announcement = "sorry"

[[setting]]
name = "loud"
remote = ["{LOUD.number}"]
targets = ["archive"]
on_failure = "alarm"

[[setting]]
name = "announced"
remote = ["{ANNOUNCED.number}"]
targets = ["archive"]
announcement = {{ prompt = "consent", required = false }}

[[setting]]
name = "carried"
targets = ["archive"]
"""

FAREWELL = f"ari-recorder/sorry-{sha256(b'sorry').hexdigest()[:6]}"
"""Where the recorder puts the prompt `sorry`, as Playback() names it."""


@asynccontextmanager
async def faulty(pbx: Pbx, folder: Path, rules: str = POLICY, **how: Any) -> AsyncIterator[Scene]:
    """A recorder that is killed in the end, for it may hang by then."""
    recorder = prepared(pbx, folder, rules, **how)
    await asyncio.to_thread(recorder.start)
    try:
        async with phones_of(pbx, recorder) as stage:
            yield stage
            await hung_up(stage)
    finally:
        recorder.send(signal.SIGCONT)
        recorder.kill()


async def hung_up(stage: Scene) -> None:
    for phone in stage.exchange.phones:
        await phone.hang_up_all()


async def enter(stage: Scene, number: str, caller: Identity, **how: Any) -> Call:
    await stage.phone("1001")
    return await (await stage.phone("trunk-berlin")).call(number, caller=caller, **how)


async def through(stage: Scene, number: str, caller: Identity) -> tuple[float, Call, Call]:
    """Seconds until the user's phone rings, and both ends of the call, answered."""
    begun = time.monotonic()
    call = await enter(stage, number, caller)
    incoming = await stage.ring("1001", caller=caller.number)
    took = time.monotonic() - begun
    await incoming.answer(timeout=LIMIT)
    await call.answered(timeout=LIMIT)
    return took, call, incoming


async def rejected(stage: Scene, number: str, caller: Identity) -> tuple[float, Call]:
    """Seconds until the caller hears 503."""
    begun = time.monotonic()
    call = await enter(stage, number, caller)
    with pytest.raises(RejectedError, match="503"):
        await call.answered(timeout=LIMIT)
    return time.monotonic() - begun, call


def prompt_frames(pbx: Pbx) -> set[bytes]:
    """Frames of the prompt `sorry` that nothing else holds."""
    sound = (pbx.sounds_folder / f"{FAREWELL}.alaw").read_bytes()
    frames = {sound[at : at + 160] for at in range(0, len(sound), 160)}
    return {frame for frame in frames if len(set(frame)) > 30}


def heard_sorry(pbx: Pbx, call: Call) -> float:
    """The share of the prompt that a caller heard."""
    frames = prompt_frames(pbx)
    return sum(frame in call.received for frame in frames) / len(frames)


def gate_said(pbx: Pbx, words: str) -> None:
    assert f"gate said: {words}" in pbx.logs(5000)


def conditions(recorder: Recorder) -> dict[str, dict[str, Any]]:
    text = (recorder.folder / "state" / "presence.json").read_text(encoding="utf-8")
    return {condition["key"]: condition for condition in json.loads(text).get("conditions", [])}


# -- a recorder that hangs ----------------------------------------------------------------------------------


async def test_a_recorder_that_hangs_holds_up_nobody(pbx22: Pbx, pbx16: Pbx, tmp_path: Path) -> None:
    both = {"22": pbx22, "16": pbx16}
    await asyncio.gather(*(hangs(which, pbx, tmp_path / which) for which, pbx in both.items()))


async def hangs(which: str, pbx: Pbx, folder: Path) -> None:
    async with faulty(pbx, folder) as stage:
        await stage.until("a sign of life", lambda: abs(time.time() - alive(pbx)) < 5)
        await asyncio.to_thread(pbx.cli, f"dialplan set global FAREWELL {FAREWELL}")
        stage.recorder.send(signal.SIGSTOP)
        took, call, incoming = await through(stage, "+49301002001", CARRIED)
        log.info("%s: a caller who meets a recorder that just hung goes on after %.1f s", which, took)
        assert took < 17
        gate_said(pbx, "failed   timeout")
        await stage.finish(call, incoming)

        await stage.until("an old sign of life", lambda: time.time() - alive(pbx) > 11)
        took, call, incoming = await through(stage, "+49301002001", CARRIED)
        log.info("%s: a caller who comes later goes on after %.2f s", which, took)
        assert took < 3
        gate_said(pbx, "failed   silent")
        await stage.finish(call, incoming)

        took, call = await rejected(stage, "+49301002071", CARRIED)
        log.info("%s: and is rejected after %.2f s where the dialplan says so", which, took)
        assert took < 3
        took, call = await rejected(stage, "+49301002081", CARRIED)
        log.info("%s: with a sound before it after %.1f s", which, took)
        assert heard_sorry(pbx, call) > 0.9

        stage.recorder.send(signal.SIGCONT)

        await stage.until("a fresh sign of life", lambda: abs(time.time() - alive(pbx)) < 5)
        took, call, incoming = await through(stage, "+49301002001", CARRIED)
        await call.talk(0.5)
        await stage.finish(call, incoming)
        assert (await stage.recording(call)).call["sip_call_id"] == call.call_id


async def test_a_loop_that_is_blocked_does_not_keep_a_caller(pbx22: Pbx, tmp_path: Path) -> None:
    """The recorder's loop stops for ever right after it began the announcement; its gatekeeper does not."""
    fault = {"ARI_RECORDER_FAULT": "hang:order.play"}
    async with faulty(pbx22, tmp_path, environment=fault) as stage:
        took, _, _ = await through(stage, "+49301002001", ANNOUNCED)
        log.info("a caller whom a blocked loop holds goes on after %.1f s", took)
        assert took < 13
        gate_said(pbx22, "failed   overdue")
        await stage.logged("gate.overdue", hung_up=False)


async def test_a_disk_that_hangs_at_the_decision_ends_or_lets_go_as_the_setting_says(
    pbx22: Pbx, tmp_path: Path
) -> None:
    async with faulty(pbx22, tmp_path, environment={"ARI_RECORDER_FAULT": "hang:create.made"}) as stage:
        took, call = await rejected(stage, "+49301002001", STRICT)
        log.info("a strict call that cannot be journalled is over after %.1f s", took)
        assert heard_sorry(pbx22, call) > 0.9
        await stage.logged("recording.failing", failure="journal", policy="hang-up")
        took, _, _ = await through(stage, "+49301002001", CARRIED)
        log.info("one that may go on goes on after %.2f s", took)
        assert took < 3
        gate_said(pbx22, "recording")
        rows = stage.refusals()
        assert {row["reason"] for row in rows} == {"journal"}
        assert any("the call is ended" in row["because"] for row in rows)


# -- disks that are full ------------------------------------------------------------------------------------


async def test_a_full_spool_is_told_and_the_call_is_recorded_all_the_same(pbx22: Pbx, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    with small_disk(spool, "2m"):
        async with faulty(pbx22, tmp_path) as stage, ami(pbx22) as told:
            filler = spool / "filler"
            fill(filler)
            _, loud, incoming = await through(stage, "+49301001001", LOUD)
            line = await stage.logged("recording.failing", failure="journal", policy="alarm")
            assert line["code"] == "spool.full"
            await until("the user event", lambda: "UserEvent: AriRecorderAlarm" in told)
            assert "Failure: journal" in told
            assert await stage.until("the condition", lambda: conditions(stage.recorder).get("capture:lab"))
            await loud.talk(0.5)
            filler.unlink()
            await stage.until("the journal", lambda: "capturing" in stage.recorder.states())
            await stage.finish(loud, incoming)
            result = await stage.recording(loud)
            assert [note["detail"].partition(":")[0] for note in result.notes("failure")] == ["journal"]
            assert result.notes("recovered")
            await stage.until(
                "the end of the condition", lambda: "capture:lab" not in conditions(stage.recorder)
            )

            fill(filler)
            took, _ = await rejected(stage, "+49301001001", STRICT)
            log.info("a strict call that cannot be journalled is over after %.2f s", took)
            filler.unlink()


@pytest.fixture(scope="module")
def cramped(engine: Engine, run_folder: Path) -> Iterator[Pbx]:
    """A PBX whose recordings lie on a disk of 1 MB."""
    disks = {"/var/spool/asterisk/recording": "1m"}
    with Pbx(engine, run_folder / "cramped", disks=disks, progress=spoken) as pbx:
        yield pbx


async def test_a_disk_of_asterisk_that_fills_up_in_the_call(cramped: Pbx, tmp_path: Path) -> None:
    recorder = prepared(cramped, tmp_path, POLICY)
    recorder.configure()
    text = recorder.config.read_text(encoding="utf-8")
    folder = str(cramped.recording_folder.resolve())
    recorder.config.write_text(text.replace(folder, "ari"), encoding="utf-8")
    async with faulty(cramped, tmp_path) as stage:
        _, carried, incoming = await through(stage, "+49301001001", CARRIED)
        await carried.talk(4.5)  # two blocks of 32 KiB reach the disk
        full = time.monotonic()
        with filled(cramped):
            await stage.logged("recording.failing", failure="broken", policy="carry-on")
            log.info("a full disk of Asterisk is noticed after %.1f s", time.monotonic() - full)
            assert time.monotonic() - full < 12
            assert not carried.ended_by
            begun = time.monotonic()
            strict = await enter(stage, "+49301001001", STRICT)
            await (await stage.ring("1001", caller=STRICT.number)).answer(timeout=LIMIT)
            await strict.hung_up(timeout=LIMIT)
            log.info("a strict call is ended %.1f s after it began", time.monotonic() - begun)

        def mended() -> bool:
            return any(
                note["what"] == "recovered" for each in stage.recorder.journals() for note in each["notes"]
            )

        await carried.talk(0.5)
        await stage.until("a recording that lasts", mended)
        await stage.finish(carried, incoming)
        result = await stage.recording(carried)
        assert [note["detail"].partition(":")[0] for note in result.notes("failure")] == ["broken"]
        assert result.notes("gap")
        assert abs(result.metadata["assembly"]["seconds"] - result.call["seconds"]) < 1
    assert "No space left on device" in cramped.logs(5000)


async def test_what_asterisk_refuses_to_record_ends_or_goes_on_as_the_setting_says(
    pbx22: Pbx, tmp_path: Path
) -> None:
    folder = pbx22.recording_folder / "ari-recorder"
    aside = folder.with_name("aside")
    async with faulty(pbx22, tmp_path) as stage:
        if folder.exists():
            folder.rename(aside)
        folder.touch()
        try:
            took, call = await rejected(stage, "+49301002001", STRICT)
            log.info("a strict call that Asterisk does not record is over after %.1f s", took)
            assert heard_sorry(pbx22, call) > 0.9
            await stage.logged("recording.failing", failure="not-begun", policy="hang-up")
            took, _, _ = await through(stage, "+49301002001", CARRIED)
            assert took < 3
            await stage.logged("recording.failing", failure="not-begun", policy="carry-on")
        finally:
            folder.unlink()
            if aside.exists():
                aside.rename(folder)


# -- tools --------------------------------------------------------------------------------------------------


def fill(file: Path) -> None:
    with suppress(OSError), file.open("ab", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


@contextmanager
def filled(pbx: Pbx) -> Iterator[None]:
    """Not a byte is free on the disk of Asterisk's recordings."""
    place = "/var/spool/asterisk/recording/filler"
    pbx.engine.docker("exec", pbx.container, "dd", "if=/dev/zero", f"of={place}", "bs=4096", check=False)
    try:
        yield
    finally:
        pbx.engine.docker("exec", pbx.container, "rm", place)


def alive(pbx: Pbx) -> float:
    """The recorder's last sign of life."""
    lines = pbx.cli("dialplan show globals").splitlines()
    found = next((line for line in lines if "ARI_RECORDER_ALIVE" in line), "=0")
    return float(found.partition("=")[2].split()[0])


class Told(list[str]):
    """Lines that AMI has said."""


@asynccontextmanager
async def ami(pbx: Pbx) -> AsyncIterator[Told]:
    told = Told()
    reader, writer = await asyncio.open_connection(pbx.host, pbx.ami_port)
    login = f"Action: Login\r\nUsername: {pbx.ami_user}\r\nSecret: {pbx.ami_password}\r\n\r\n"
    writer.write(login.encode())

    async def listen() -> None:
        while line := await reader.readline():
            told.append(line.decode("utf-8", "replace").strip())

    listening = asyncio.create_task(listen())
    try:
        yield told
    finally:
        listening.cancel()
        writer.close()


async def until(what: str, ask: Any) -> None:
    await asyncio.to_thread(wait_until, what, ask, limit=LIMIT)
