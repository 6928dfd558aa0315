"""What is wrong around the recorder is told in a sentence, with a code and a remedy, and costs no more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ari_recorder.cli.console import Exit
from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.recorder import Recorder
from ari_recorder.model.errors import CODES
from tests.crash.calls import QUEUE, Traffic, spool_of, until

from .cable import Cable, NoPbx
from .scene import assert_clean, policy, prepared, scene, through
from .test_delivery import prepare

QUICK = 20.0
"""Seconds in which a recorder that cannot begin must have said so; most of it is the start of Python."""
RULES = policy()


# -- what keeps a recorder from beginning ------------------------------------------------------------------


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """Configured for an Asterisk that is not there, and not started."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "recording").mkdir()
    (tmp_path / "sounds").mkdir()
    nothing = NoPbx(tmp_path / "recording", tmp_path / "sounds" / "ari-recorder")
    made = Recorder(tmp_path, nothing, RULES)  # type: ignore[arg-type]
    made.configure()
    yield made
    made.close()
    if made.log.exists():
        assert_clean(made)


def lived_once(recorder: Recorder) -> None:
    """Key and chain are there, as after any start."""
    recorder.start(connected=False)
    recorder.wait_for("the first word", lambda: recorder.lines())
    assert recorder.stop() == 0
    recorder.log.unlink()


def break_policy(recorder: Recorder) -> None:
    (recorder.folder / "policy.toml").write_text('country = "DE\n', encoding="utf-8")


def unknown_key(recorder: Recorder) -> None:
    text = RULES.replace('start = "ring"', 'stat = "ring"')
    (recorder.folder / "policy.toml").write_text(text, encoding="utf-8")


def no_policy(recorder: Recorder) -> None:
    (recorder.folder / "policy.toml").unlink()


def unknown_target(recorder: Recorder) -> None:
    text = RULES.replace('targets = ["archive"]', 'targets = ["archiv"]')
    (recorder.folder / "policy.toml").write_text(text, encoding="utf-8")


def broken_config(recorder: Recorder) -> None:
    recorder.config.write_text("[recorder\n", encoding="utf-8")


def no_password(recorder: Recorder) -> None:
    (recorder.folder / "ari.password").unlink()


def file_for_spool(recorder: Recorder) -> None:
    recorder.spool.write_text("not a folder", encoding="ascii")


def file_for_state(recorder: Recorder) -> None:
    (recorder.folder / "state").write_text("not a folder", encoding="ascii")


def wrong_passphrase(recorder: Recorder) -> None:
    lived_once(recorder)
    (recorder.folder / "seal.passphrase").write_text("something else\n", encoding="ascii")


def damaged_chain(recorder: Recorder) -> None:
    lived_once(recorder)
    recorder.chain.write_text('{"format":"ari-recorder/link/1","number":7}\n', encoding="ascii")


@dataclass(frozen=True)
class Wrong:
    cause: Callable[[Recorder], None]
    status: Exit
    code: str
    says: tuple[str, ...]


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong(break_policy, Exit.CONFIGURATION, "config.syntax", ("policy.toml", "line 1")),
        Wrong(unknown_key, Exit.CONFIGURATION, "config.unknown-key", ("policy.toml", "stat", "start")),
        Wrong(no_policy, Exit.CONFIGURATION, "config.missing", ("policy.toml",)),
        Wrong(unknown_target, Exit.CONFIGURATION, "config.reference", ("archiv", "archive")),
        Wrong(broken_config, Exit.CONFIGURATION, "config.syntax", ("config.toml", "line 1")),
        Wrong(no_password, Exit.CONFIGURATION, "config.unreadable", ("ari.password", "Make the file")),
        Wrong(file_for_spool, Exit.PERMANENT, "spool.unusable", ("spool", "A file stands where")),
        Wrong(file_for_state, Exit.CONFIGURATION, "config.value", ("state",)),
        Wrong(wrong_passphrase, Exit.CONFIGURATION, "seal.key", ("passphrase",)),
        Wrong(damaged_chain, Exit.INTEGRITY, "seal.chain", ("chain.jsonl", "line 1", "backup")),
    ],
    ids=lambda wrong: wrong.cause.__name__,
)
def test_a_recorder_that_cannot_begin_says_why_and_ends(recorder: Recorder, wrong: Wrong) -> None:
    wrong.cause(recorder)
    recorder.start(connected=False)
    assert recorder.wait(limit=QUICK) == wrong.status
    assert_explained(recorder.log.read_text(encoding="utf-8"), wrong.code, *wrong.says)


def assert_explained(said: str, code: str, *words: str) -> None:
    """One sentence, what to do, and the code; nothing a developer would have to read."""
    assert said.startswith("✗ "), said
    assert said.rstrip().endswith(code), said
    assert code in CODES
    for word in words:
        assert word in said, f"{word!r} is not in: {said}"
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 4


def test_an_unknown_key_is_told_with_its_line_and_the_right_word(recorder: Recorder) -> None:
    unknown_key(recorder)
    line = (recorder.folder / "policy.toml").read_text().splitlines().index('stat = "ring"') + 1
    said = recorder.command("run", "--config", str(recorder.config), limit=QUICK)
    assert said.returncode == Exit.CONFIGURATION
    assert f"line {line}" in said.stderr
    assert '"start"' in said.stderr or "start" in said.stderr.partition("stat")[2]


def test_a_read_only_spool_is_told(recorder: Recorder) -> None:
    recorder.spool.mkdir()
    with mounted(recorder.spool, "ro"):
        recorder.start(connected=False)
        assert recorder.wait(limit=QUICK) == Exit.PERMANENT
    assert_explained(recorder.log.read_text(encoding="utf-8"), "spool.unusable", "read-only")


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A disk of its own for `folder`. Needs root, as the whole laboratory does."""
    words = ["mount", "-t", "tmpfs", "-o", options, "ari-recorder-test", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"no disk could be mounted for the test, which needs root: {done.stderr}"
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_second_recorder_in_the_same_spool_is_refused(recorder: Recorder) -> None:
    recorder.start(connected=False)
    recorder.wait_for("the first word", lambda: recorder.lines())
    said = recorder.command("run", "--config", str(recorder.config), limit=QUICK)
    assert said.returncode == Exit.PERMANENT
    assert_explained(said.stderr, "spool.in-use", str(recorder.pid))
    assert recorder.running


def test_a_damaged_journal_harms_no_other(recorder: Recorder) -> None:
    text = (recorder.folder / "policy.toml").read_text(encoding="utf-8")
    (recorder.folder / "policy.toml").write_text(text, encoding="utf-8")
    prepare(recorder, 32000, 32000, 32000)
    first, second, third = sorted(path for path in recorder.spool.iterdir() if path.is_dir())
    whole = (second / "recording.json").read_bytes()
    (second / "recording.json").write_bytes(whole[: len(whole) // 2])
    (third / "recording.json").unlink()
    before = sorted(p.name for p in (*second.rglob("*"), *third.rglob("*")))
    recorder.start(connected=False)
    sealed = recorder.folder / "archive"
    recorder.wait_for("the good one", lambda: list(sealed.rglob("*.sig")))
    told = [line for line in recorder.lines() if line.get("action") == "spool.damaged"]
    assert {line["recording"] for line in told} == {second.name, third.name}
    assert {line["code"] for line in told} == {"spool.damaged"}
    assert sorted(p.name for p in (*second.rglob("*"), *third.rglob("*"))) == before
    document = recorder.status()
    assert set(document["damaged"]) == {second.name, third.name}
    assert not document["well"]
    assert recorder.stop() == 0
    (second / "recording.json").write_bytes(whole)
    recorder.start(connected=False)
    recorder.wait_for("the mended one", lambda: len(list(sealed.rglob("*.sig"))) == 2)
    assert first.name in {link["recording"] for link in recorder.links()}


# -- Asterisk is not there, or not as it should be ---------------------------------------------------------


def lost(recorder: Recorder) -> dict[str, Any] | None:
    return next((line for line in recorder.lines() if line.get("action") == "pbx.lost"), None)


def test_a_wrong_ari_password_is_told_and_tried_again(pbx22: Pbx, tmp_path: Path) -> None:
    recorder = prepared(pbx22, tmp_path, RULES)
    recorder.configure()
    (tmp_path / "ari.password").write_text("open-sesame\n", encoding="ascii")
    try:
        recorder.start(connected=False)
        told = recorder.wait_for("the refusal", lambda: lost(recorder))
        assert told["code"] == "ari.unauthorised"
        assert "ari.conf" in told["event"]
        assert recorder.running
        status = recorder.status()
        assert not status["well"]
        assert "password" in json.dumps(status)
        check = recorder.command("check", "--json")
        assert check.returncode == Exit.FINDINGS
        assert "open-sesame" not in check.stdout + recorder.log.read_text(encoding="utf-8")
    finally:
        recorder.close()
    assert_clean(recorder)


async def test_asterisk_that_is_not_up_yet_is_waited_for(pbx22: Pbx, tmp_path: Path) -> None:
    with Cable(pbx22.host, pbx22.http_port) as cable:
        cable.cut()
        through(cable, pbx22, tmp_path, RULES)
        recorder = prepared(pbx22, tmp_path, RULES)
        await asyncio.to_thread(recorder.start, connected=False)
        told = await until("the failure", lambda: lost(recorder))
        assert told["code"] == "ari.unreachable"
        assert "http.conf" in told["event"]
        assert recorder.running
        cable.mend()
        await until("the connection", lambda: recorder.connected)
        recorder.stop()
        async with scene(pbx22, tmp_path, RULES) as stage:
            traffic = await Traffic(stage).open()
            call = await traffic.whole(0.5)
            traffic.judge(call, await traffic.settled())


async def test_a_line_that_breaks_in_the_middle_of_calls_costs_no_sample(pbx22: Pbx, tmp_path: Path) -> None:
    """The calls go on, one of them ends; what happened meanwhile is found out afterwards."""
    with Cable(pbx22.host, pbx22.http_port) as cable:
        through(cable, pbx22, tmp_path, RULES)
        async with scene(pbx22, tmp_path, RULES) as stage:
            traffic = await Traffic(stage).open()
            ends, goes_on = await traffic.place(), await traffic.place()
            for call in (ends, goes_on):
                await traffic.ring(call)
                await traffic.rolling(call)
                await traffic.pick_up(call)
                await traffic.talk(call, 0.3)
            cable.cut()
            assert (await stage.logged("pbx.lost"))["code"] == "ari.unreachable"
            await traffic.talk(ends, 0.5)
            await traffic.finish(ends)
            cable.mend()
            await until("the reconnection", lambda: stage.recorder.connected)
            await traffic.talk(goes_on, 0.5)
            await traffic.finish(goes_on)
            results = await traffic.settled()
            for call in (ends, goes_on):
                traffic.judge(call, results)
                assert traffic.result(call, results).notes("away")


async def test_asterisk_that_ends_in_mid_call_leaves_what_was_said(pbx22: Pbx, tmp_path: Path) -> None:
    """Stopped in order and started again; its calls are gone, their recordings are not."""
    async with scene(pbx22, tmp_path, RULES) as stage:
        traffic = await Traffic(stage).open()
        call = await traffic.place()
        await traffic.ring(call)
        await traffic.rolling(call)
        await traffic.pick_up(call)
        await traffic.talk(call, 1.0)
        await asyncio.gather(call.caller.hush(), call.inside.hush())
        await asyncio.sleep(QUEUE)  # what was said is in the recording
        await asyncio.to_thread(pbx22.stop)
        assert (await stage.logged("pbx.lost"))["code"] == "ari.unreachable"
        await asyncio.to_thread(pbx22.start)
        await until("the reconnection", lambda: stage.recorder.connected)
        for phone in stage.phones.values():
            for each in phone.calls.values():
                each.end("Asterisk is gone")
            await phone.register()
        results = await traffic.settled()
        traffic.judge(call, results)
        after = await traffic.whole(0.5)
        traffic.judge(after, await traffic.settled())


async def test_another_client_that_takes_the_events_is_told_and_costs_no_sample(
    pbx22: Pbx, tmp_path: Path
) -> None:
    async with scene(pbx22, tmp_path, RULES) as stage:
        traffic = await Traffic(stage).open()
        call = await traffic.place()
        await traffic.ring(call)
        await traffic.rolling(call)
        await traffic.pick_up(call)
        login = aiohttp.encode_basic_auth(pbx22.ari_user, pbx22.ari_password)
        async with (
            aiohttp.ClientSession(headers={"Authorization": login}) as session,
            session.ws_connect(f"{pbx22.ari_url}/events?app=ari-recorder"),
        ):
            told = await stage.logged("pbx.lost")
            assert told["code"] == "ari.replaced"
            assert "one recorder" in told["event"]
            await traffic.talk(call, 0.5)
        status = await asyncio.to_thread(stage.recorder.status)
        assert not status["well"]
        assert await asyncio.to_thread(stage.recorder.stop) == 0
        await asyncio.to_thread(stage.recorder.start)
        await traffic.talk(call, 0.5)
        await traffic.finish(call)
        traffic.judge(call, await traffic.settled())


async def test_a_recording_folder_that_is_not_mounted_is_waited_for(pbx22: Pbx, tmp_path: Path) -> None:
    link = tmp_path / "mounted-later"
    made = prepared(pbx22, tmp_path, RULES)
    made.configure()
    text = made.config.read_text(encoding="utf-8")
    made.config.write_text(text.replace(str(pbx22.recording_folder.resolve()), str(link)), encoding="utf-8")
    async with scene(pbx22, tmp_path, RULES) as stage:
        traffic = await Traffic(stage).open()
        call = await traffic.whole(0.5)
        told = await stage.logged("completion.waits")
        assert told["code"] == "capture.no-legs"
        assert str(link) in told["event"]
        link.symlink_to(pbx22.recording_folder)
        traffic.judge(call, await traffic.settled())


# -- while it runs -----------------------------------------------------------------------------------------


async def test_a_broken_policy_on_reload_changes_nothing(pbx22: Pbx, tmp_path: Path) -> None:
    async with scene(pbx22, tmp_path, RULES) as stage:
        traffic = await Traffic(stage).open()
        break_policy(stage.recorder)
        stage.recorder.send(signal.SIGHUP)
        told = await stage.logged("policy.refused")
        assert told["code"] == "config.syntax"
        assert "line 1" in told["event"]
        call = await traffic.whole(0.3)
        traffic.judge(call, await traffic.settled())
        rules = RULES.replace("[[setting]]", "[[setting]]\nenabled = false")
        (tmp_path / "policy.toml").write_text(rules, encoding="utf-8")
        stage.recorder.send(signal.SIGHUP)
        await stage.logged("policy.reloaded")
        unrecorded = await traffic.place()
        await traffic.ring(unrecorded)
        refused = await stage.logged("call.refused")
        assert refused["reason"] == "no-setting"
        await traffic.pick_up(unrecorded)
        await stage.finish(unrecorded.caller, unrecorded.inside)
        await traffic.settled(1)


async def test_a_full_disk_loses_nothing_and_goes_on_when_there_is_space(pbx22: Pbx, tmp_path: Path) -> None:
    """Full in mid-call, and full already when a call begins; killed and started again meanwhile."""
    spool = tmp_path / "spool"
    spool.mkdir()
    with mounted(spool, "size=2m"):
        async with scene(pbx22, tmp_path, RULES) as stage:
            traffic = await Traffic(stage).open()
            before = await traffic.place()
            await traffic.ring(before)
            await traffic.rolling(before)
            await traffic.pick_up(before)
            await traffic.talk(before, 0.3)
            ballast = fill(spool)
            stage.recorder.kill()
            await asyncio.to_thread(stage.recorder.start)
            legs = pbx22.recording_folder / "ari-recorder"
            known = set(legs.glob("*/*"))
            within = await traffic.place()
            await traffic.ring(within)
            told = await stage.logged("journal.failed")
            assert told["code"] == "spool.full"
            assert "Free space" in told["event"]
            await until("its legs", lambda: len({*legs.glob("*/*")} - known) == 2)
            await traffic.pick_up(within)
            for call in (before, within):
                await traffic.talk(call, 0.5)
                await traffic.finish(call)
            await stage.until("both calls' ends", lambda: full_at_the_end(stage.recorder))
            assert stage.recorder.running
            ballast.unlink()
            results = await traffic.settled()
            for call in (before, within):
                traffic.judge(call, results)
            assert spool_of(spool) == []


def full_at_the_end(recorder: Recorder) -> bool:
    failures = [line for line in recorder.lines() if line.get("action") == "journal.failed"]
    return len({line["recording"] for line in failures}) == 2


def fill(folder: Path) -> Path:
    """Take all the space there is."""
    ballast = folder / ".ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert os.statvfs(folder).f_bavail == 0
    return ballast
