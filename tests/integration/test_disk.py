"""Disks that fill, fail and are exchanged under a running recorder: nothing is lost, or sealed twice."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ari_recorder.evidence.verify import verify
from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.recorder import Recorder
from tests.conformance.mounts import mount, small_disk, unmount

from .cable import NoPbx
from .scene import Scene, assert_clean, phones_of, policy, prepared
from .test_delivery import prepare

LEG = 160_000
"""Bytes of a prepared leg: 10 s."""


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Not a byte is left on the disk of this folder as long as the block lasts."""
    ballast = folder / ".ballast"
    with ballast.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
    try:
        yield
    finally:
        ballast.unlink()


def with_second(recorder: Recorder) -> Recorder:
    """The same with a second spool folder in its configuration."""
    recorder.configure()
    text = recorder.config.read_text(encoding="utf-8")
    text = text.replace('spool = "spool"\n', 'spool = "spool"\nsecond_spool = "second"\n')
    recorder.config.write_text(text, encoding="utf-8")
    return recorder


def conditions(recorder: Recorder) -> dict[str, str]:
    return {one["key"]: one["code"] for one in recorder.status()["conditions"]}


def states(folder: Path) -> list[str]:
    """Of the recordings that stand in a spool folder."""
    journals = sorted(folder.glob("[!.]*/recording.json"))
    return [json.loads(path.read_text(encoding="utf-8"))["recording"]["state"] for path in journals]


def waiting(folder: Path) -> int:
    """How many sealed recordings wait there."""
    found = states(folder)
    return len(found) if {*found} <= {"sealed", "delivering"} else 0


# -- without a PBX ------------------------------------------------------------------------------------------


@pytest.fixture
def disks() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def recorder(tmp_path: Path, disks: ExitStack) -> Iterator[Recorder]:
    """With two spool folders, each on a disk of its own; its log must be clean in the end."""
    for name in ("archive", "recording", "sounds", "spool", "second"):
        (tmp_path / name).mkdir()
    for name in ("spool", "second"):
        disks.enter_context(small_disk(tmp_path / name, "24m"))
    nothing = NoPbx(tmp_path / "recording", tmp_path / "sounds" / "ari-recorder")
    made = with_second(Recorder(tmp_path, nothing, policy()))  # type: ignore[arg-type]
    yield made
    made.close()
    assert_clean(made)


def seal_without_archive(recorder: Recorder, count: int) -> Path:
    """So many recordings are sealed and wait, for the archive is away; where it is."""
    away = (recorder.folder / "archive").rename(recorder.folder / "archive.away")
    prepare(recorder, *[LEG] * count, targets=("archive",))
    recorder.start(connected=False)
    recorder.wait_for("sealed recordings", lambda: waiting(recorder.spool) == count)
    return away


def give_back(archive: Path, recorder: Recorder, count: int) -> None:
    """Everything arrives, each recording once, and nothing is left anywhere."""
    archive.rename(recorder.folder / "archive")
    retried = recorder.command("spool", "retry", "--all")
    assert retried.returncode == 0, retried.stderr

    def arrived() -> bool:
        left = states(recorder.spool) + states(recorder.folder / "second")
        return not left and len(list((recorder.folder / "archive").rglob("*.sig"))) == count

    recorder.wait_for("the deliveries", arrived, limit=60)
    report = verify(
        [recorder.folder / "archive"],
        certificate=recorder.certificate,
        chain_log=recorder.chain,
        target="archive",
    )
    assert report.ok, report.findings
    assert report.intact == count


def test_a_recorder_starts_on_a_full_disk_and_empties_it(recorder: Recorder) -> None:
    archive = seal_without_archive(recorder, 3)
    recorder.kill()
    (recorder.spool / ".reserve" / "space").unlink()  # of an earlier emergency
    with full(recorder.spool):
        recorder.start(connected=False)
        recorder.wait_for("the condition", lambda: conditions(recorder).get("disk:spool") == "spool.full")
        give_back(archive, recorder, 3)


def test_the_spool_moves_its_disk_is_exchanged_and_it_moves_back(recorder: Recorder) -> None:
    archive = seal_without_archive(recorder, 3)
    second = recorder.folder / "second"
    said = recorder.command("spool", "move", "--to", "second", "--json")
    assert said.returncode == 0, said.stdout + said.stderr
    assert json.loads(said.stdout)["moved"] == 3
    assert (states(recorder.spool), len(states(second))) == ([], 3)
    recorder.wait_for("its report", lambda: recorder.status()["begin_in"] == str(second))

    unmount(recorder.spool)  # not lazily: nobody uses it any more
    recorder.kill()
    recorder.start(connected=False)  # the empty mount point is left alone
    recorder.wait_for("its life", lambda: recorder.status()["recorder"]["running"])
    recorder.wait_for(
        "the report", lambda: [d["key"] for d in recorder.status()["disks"]][:1] == ["second-spool"]
    )
    assert not list(recorder.spool.iterdir())
    mount(recorder.spool, "-t", "tmpfs", "-o", "size=24m", "none")

    said = recorder.command("spool", "move", "--to", "primary")
    assert said.returncode == 0, said.stdout + said.stderr
    assert (len(states(recorder.spool)), states(second)) == (3, [])
    give_back(archive, recorder, 3)


@pytest.mark.parametrize("moment", ["move.copied:2", "move.decided:2"])
def test_killed_in_mid_move_it_goes_on_where_it_was(recorder: Recorder, moment: str) -> None:
    archive = seal_without_archive(recorder, 3)
    recorder.kill()
    recorder.environment = {"ARI_RECORDER_FAULT": moment}
    recorder.start(connected=False)
    recorder.wait_for("its life", lambda: recorder.status()["recorder"]["running"])
    said = recorder.command("spool", "move", "--to", "second")
    assert said.returncode == 4, said.stdout + said.stderr  # the recorder is gone
    assert recorder.wait(limit=20) == -signal.SIGKILL
    recorder.environment = {}
    recorder.start(connected=False)
    second = recorder.folder / "second"
    recorder.wait_for("the rest of the move", lambda: len(states(second)) == 3 and not states(recorder.spool))
    assert waiting(second) == len(recorder.status()["recordings"]) == 3
    give_back(archive, recorder, 3)


def test_a_disk_that_became_read_only_is_left_and_what_waits_on_it_is_rescued(recorder: Recorder) -> None:
    archive = seal_without_archive(recorder, 2)
    recorder.stop()
    mount(recorder.spool, "-o", "remount,ro")
    recorder.start(connected=False)
    recorder.wait_for("the condition", lambda: conditions(recorder).get("disk:spool") == "spool.unusable")
    said = recorder.command("spool", "move", "--to", "second")
    assert said.returncode == 0, said.stdout + said.stderr
    assert len(states(recorder.folder / "second")) == 2
    assert len(states(recorder.spool)) == 2  # cannot be removed there, and does not count any more
    archive.rename(recorder.folder / "archive")
    assert recorder.command("spool", "retry", "--all").returncode == 0
    recorder.wait_for("the deliveries", lambda: not states(recorder.folder / "second"), limit=60)
    recorder.stop()
    mount(recorder.spool, "-o", "remount,rw")
    recorder.start(connected=False)
    recorder.wait_for("its life", lambda: recorder.status()["recorder"]["running"])
    said = recorder.command("spool", "move", "--to", "primary")
    assert said.returncode == 0, said.stdout + said.stderr
    assert recorder.status()["recordings"] == []
    assert len(list((recorder.folder / "archive").rglob("*.sig"))) == 2
    assert len(recorder.links()) == 2


# -- with real calls ----------------------------------------------------------------------------------------


async def started(pbx: Pbx, folder: Path, disks: ExitStack) -> Recorder:
    for name in ("spool", "second"):
        (folder / name).mkdir()
        disks.enter_context(small_disk(folder / name, "24m"))
    recorder = with_second(prepared(pbx, folder, policy()))
    await asyncio.to_thread(recorder.start)
    return recorder


async def talk(stage: Scene) -> tuple[Any, Any]:
    call, incoming = await stage.connect()
    await stage.until(
        "a running recording",
        lambda: any(
            s == "capturing" for name in ("spool", "second") for s in states(stage.recorder.folder / name)
        ),
    )
    await asyncio.gather(call.talk(1.0), incoming.talk(1.0))
    return call, incoming


async def test_a_disk_that_fills_in_mid_call_loses_nothing(
    pbx22: Pbx, tmp_path: Path, disks: ExitStack
) -> None:
    """The call ends on the full disk, the recorder is killed there and starts there; then space is freed."""
    recorder = await started(pbx22, tmp_path, disks)
    try:
        async with phones_of(pbx22, recorder) as stage:
            call, incoming = await talk(stage)
            away = (tmp_path / "archive").rename(tmp_path / "archive.away")
            with full(tmp_path / "spool"):
                await asyncio.gather(call.talk(1.0), incoming.talk(1.0))
                await stage.finish(call, incoming)
                await stage.until("the end", lambda: "capturing" not in states(tmp_path / "spool"))
                recorder.kill()
                await asyncio.to_thread(recorder.start)
                mine = [j for j in recorder.journals() if j["call"]["sip_call_id"] == call.call_id]
                assert len(mine) == 1  # beside it stands the statement of the gap
            away.rename(tmp_path / "archive")
            await asyncio.to_thread(recorder.command, "spool", "retry", "--all")
            result = await stage.recording(call)
            assert len(result.left) > 2.0 * 8000
            await stage.verify()
        assert_clean(recorder)
    finally:
        recorder.close()


async def test_while_the_first_disk_is_full_calls_are_recorded_on_the_second(
    pbx22: Pbx, tmp_path: Path, disks: ExitStack
) -> None:
    """The second is a RAM disk: what waits there goes home when there is room."""
    recorder = await started(pbx22, tmp_path, disks)
    try:
        async with phones_of(pbx22, recorder) as stage:
            away = (tmp_path / "archive").rename(tmp_path / "archive.away")
            with full(tmp_path / "spool"):
                call, incoming = await talk(stage)
                assert (states(tmp_path / "spool"), states(tmp_path / "second")) == ([], ["capturing"])
                assert call.received  # and it was never held up
                await stage.finish(call, incoming)
                await stage.until("the seal", lambda: waiting(tmp_path / "second") == 1)
            away.rename(tmp_path / "archive")
            await asyncio.to_thread(recorder.command, "spool", "retry", "--all")
            await stage.recording(call)
            await stage.until("the end", lambda: not states(tmp_path / "second") + states(tmp_path / "spool"))
            await stage.verify()
        assert_clean(recorder)
    finally:
        recorder.close()
