"""`spool adopt`: what becomes of a seal that was under way, and who is told, also when it is interrupted."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from ari_recorder.cli import spool_news
from ari_recorder.disk import faults
from ari_recorder.evidence.chain import Chain
from ari_recorder.evidence.verify import verify
from ari_recorder.model.recording import ADOPTED, RESEALED, Recording, State
from ari_recorder.pipeline import Pipeline
from ari_recorder.runtime import requests
from ari_recorder.spool import adoption

from .spool_host import Host, until


def asked(host: Host) -> list[list[str]]:
    """The ids in each request that stands."""
    paths = (host.folder / "state" / requests.FOLDER).glob("[!.]*.request.json")
    return sorted(json.loads(path.read_bytes())["words"] for path in paths)


def test_a_command_that_is_killed_after_the_source_is_gone_has_told_the_recorder(
    host: Host, dead: Host
) -> None:
    dead.sealed("r-1")
    host.archive.mkdir()
    with host.recorder():
        command = ("spool", "adopt", str(dead.spool.root), "--move")
        assert host.run_command(*command, fault="adopt.cleared").returncode == -signal.SIGKILL
        assert not (dead.spool.root / "r-1").exists()
        until(lambda: host.delivered() == {"r-1"}, host.log)


def test_a_recorder_that_does_not_run_now_is_told_in_few_words(
    host: Host, dead: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_news, "BATCH", 3)
    for number in range(5):
        dead.captured(f"r-{number}")
    host.told("spool", "adopt", str(dead.spool.root))
    assert asked(host) == [["r-0", "r-1", "r-2"], ["r-3", "r-4"]]


def test_who_interrupts_it_has_told_of_all_until_then(
    host: Host, dead: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        dead.captured(f"r-{number}")
    clear = adoption._clear

    def interrupted(source: Path) -> None:
        clear(source)
        if source.name == "r-2":
            raise KeyboardInterrupt

    monkeypatch.setattr(adoption, "_clear", interrupted)
    host.ask("spool", "adopt", str(dead.spool.root), "--move")
    assert host.ids() == ["r-0", "r-1", "r-2"]
    assert asked(host) == [["r-0", "r-1", "r-2"]]


def test_a_recorder_that_gives_no_answer_is_waited_for_and_not_for_ever(
    host: Host, dead: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead.captured("r-1")
    monkeypatch.setattr("ari_recorder.cli.spool_retry.PATIENCE", 0.0)
    monkeypatch.setattr(
        "ari_recorder.runtime.presence.read", lambda _state: type("A", (), {"alive": lambda *_: True})()
    )
    result = host.ask("spool", "adopt", str(dead.spool.root))
    assert result.exit_code == 0
    assert "has not answered yet" in result.output
    assert "1 recording(s) taken over" in result.output
    assert asked(host) == [["r-1"]]


# A seal that was under way ---------------------------------------------------------------------------------


class PowerCut(BaseException):
    """Nothing catches it."""


def dies_sealing(dead: Host, moment: str) -> Path:
    """The folder of a recording whose recorder dies when it comes by a fault point for the nth time."""
    folder = dead.captured("r-1")
    point, _, count = moment.partition(":")
    left = int(count or 1)

    def hook(name: str) -> None:
        nonlocal left
        left -= name == point
        if not left:
            raise PowerCut

    with (
        pytest.MonkeyPatch.context() as patched,
        dead.spool,
        Chain(dead.folder / "state/chain.jsonl") as chain,
    ):
        pipeline = Pipeline(dead.keys, chain, {dead.pbx: dead.folder / "asterisk"})
        patched.setattr(faults, "hook", hook)
        with pytest.raises(PowerCut):
            pipeline.advance(folder)
    assert folder.load().state is State.ASSEMBLED
    return folder.path


def links(host: Host) -> int:
    log = host.folder / "state/chain.jsonl"
    return len(log.read_bytes().splitlines()) if log.exists() else 0


def here(host: Host) -> Recording:
    found = host.spool.get("r-1")
    assert found is not None
    return found.load()


def completed(host: Host) -> Recording:
    """As the recorder brings it on."""
    folder = host.spool.get("r-1")
    assert folder is not None
    with host.spool, Chain(host.folder / "state/chain.jsonl") as chain:
        Pipeline(host.keys, chain, {host.pbx: host.folder / "asterisk"}).advance(folder)
    return folder.load()


def log_of(dead: Host) -> tuple[str, str]:
    return "--chain", str(dead.folder / "state/chain.jsonl")


@pytest.mark.parametrize("moment", ["seal.rename:2", "seal.rename:3", "seal.rename:4", "seal.done"])
@pytest.mark.parametrize("with_log", [False, True])
def test_a_seal_of_which_one_name_is_final_is_finished(
    host: Host, dead: Host, moment: str, with_log: bool
) -> None:
    source = dies_sealing(dead, moment)
    told = host.told("spool", "adopt", str(source), "--move", *(log_of(dead) if with_log else ()))
    assert told["sealed_again"] == []
    assert told["certificates_missing"] == [dead.keys.fingerprint]
    assert here(host).state is State.SEALED
    assert completed(host) == here(host)
    assert (links(dead), links(host)) == (1, 0)
    report = verify(
        [host.spool.root / "r-1"],
        certificate=dead.machine.seal.certificate,
        chain_log=dead.folder / "state/chain.jsonl",
    )
    assert report.intact == 1
    assert not source.exists()


@pytest.mark.parametrize("moment", ["append.done", "seal.rename:1"])
def test_a_seal_that_only_its_log_knows_of_is_finished_where_that_is_named(
    host: Host, dead: Host, moment: str
) -> None:
    source = dies_sealing(dead, moment)
    assert host.told("spool", "adopt", str(source), *log_of(dead))["sealed_again"] == []
    assert completed(host).state is State.SEALED
    assert (links(dead), links(host)) == (1, 0)


@pytest.mark.parametrize("started_before", [False, True])
def test_where_the_log_is_not_named_it_is_sealed_again_and_said_so(
    host: Host, dead: Host, started_before: bool
) -> None:
    """Its own log tells nothing of another recorder's chain, also while there is no link in it."""
    if started_before:
        Chain(host.folder / "state/chain.jsonl").close()
    source = dies_sealing(dead, "seal.rename:1")
    said = host.ask("spool", "adopt", str(source))
    assert said.exit_code == 0
    assert "only that recorder's log can tell" in said.output
    assert [note.what for note in here(host).notes] == [RESEALED, ADOPTED]
    assert "link 1 of the chain" in here(host).notes[0].detail
    sealed = completed(host).sealed
    assert sealed is not None
    assert (links(dead), links(host)) == (1, 1)
    assert RESEALED in (host.spool.root / "r-1" / f"{sealed.name}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("moment", ["seal.write:2", "seal.append"])
def test_a_seal_that_its_log_does_not_count_is_made_here(host: Host, dead: Host, moment: str) -> None:
    source = dies_sealing(dead, moment)
    assert host.told("spool", "adopt", str(source), *log_of(dead))["sealed_again"] == []
    assert [note.what for note in here(host).notes] == [ADOPTED]
    assert completed(host).state is State.SEALED
    assert (links(dead), links(host)) == (0, 1)


def test_a_log_that_cannot_be_read_whole_is_not_believed_where_it_says_nothing(
    host: Host, dead: Host
) -> None:
    source = dies_sealing(dead, "seal.append")
    (dead.folder / "state/chain.jsonl").write_bytes(b"not a link\n")
    assert host.told("spool", "adopt", str(source), *log_of(dead))["sealed_again"] == ["r-1"]


def test_what_its_log_says_is_sealed_is_not_sealed_twice(host: Host, dead: Host) -> None:
    """A copy of the folder from before its seal: the sealed files are in an archive."""
    before = dies_sealing(dead, "seal.write")
    older = dead.folder / "older/r-1"
    shutil.copytree(before, older)
    with dead.spool, Chain(dead.folder / "state/chain.jsonl") as chain:
        folder = dead.spool.get("r-1")
        assert folder is not None
        Pipeline(dead.keys, chain, {dead.pbx: dead.folder / "asterisk"}).advance(folder)
    (why,) = host.told("spool", "adopt", str(older), "--move", *log_of(dead), status=1)["refused"].values()
    assert "evidence.missing" in why
    assert older.exists()
    assert host.ids() == []


def test_sound_that_is_not_what_was_sealed_is_not_taken_for_it(host: Host, dead: Host) -> None:
    """Also where the journal does not know of the seal, and so not of the hashes."""
    source = dies_sealing(dead, "seal.rename:3")
    next(source.glob("*.wav")).write_bytes(b"other sound")
    (why,) = host.told("spool", "adopt", str(source), "--move", status=1)["refused"].values()
    assert "evidence.altered" in why
    assert str(source) in why
    assert source.exists()
    assert list(source.glob(".sealing.sig"))


def test_what_this_recorder_sealed_itself_stays_sealed_when_its_disk_comes_back(host: Host) -> None:
    source = dies_sealing(host, "seal.rename:1")
    rescued = host.folder / "rescued/r-1"
    shutil.copytree(source, rescued)
    shutil.rmtree(source)
    assert host.told("spool", "adopt", str(rescued))["sealed_again"] == []
    assert here(host).state is State.SEALED
    assert links(host) == 1


def test_the_log_of_another_chain_tells_nothing(host: Host, dead: Host, tmp_path: Path) -> None:
    other = Host(tmp_path / "other")
    other.use_keys_of(host)
    other.sealed("r-2")
    source = dies_sealing(dead, "seal.rename:1")
    assert host.told("spool", "adopt", str(source), *log_of(other))["sealed_again"] == ["r-1"]
    assert host.told("spool", "adopt", str(source), "--chain", "/none", status=3)["error"]["code"]
