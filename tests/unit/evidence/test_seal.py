"""E1, E2, E4: a seal is whole or not there, whatever happens while it is made."""

from __future__ import annotations

import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ari_recorder.disk import durable
from ari_recorder.evidence.chain import Chain, signed
from ari_recorder.evidence.keys import Keys
from ari_recorder.evidence.seal import GUESSES, seal
from ari_recorder.evidence.verify import verify
from ari_recorder.model.errors import ConfigError, IntegrityError, TransientError
from ari_recorder.model.evidence import Sealed
from ari_recorder.model.recording import Recording, Sides

from .archives import NOON, assembled, base_name, recording, seal_one
from .crashes import Disk, PowerCut, disk


class Bench:
    """A folder with a certificate and one sealed recording, and a second one that waits."""

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.folder, self.keys = folder, keys
        self.log = folder / "chain.log"
        (folder / "out").mkdir(parents=True)
        (folder / keys.certificate_name).write_bytes(keys.certificate_pem)
        with Chain(self.log) as chain:
            seal_one(1, folder / "out", keys, chain)
        audio = assembled(folder / "out", "unsealed", 2, Sides.SEPARATE)
        self.waiting: Recording = recording(2, audio)

    def seal(self, chain: Chain, name: str | None = None) -> Sealed:
        return seal(self.waiting, self.folder / "out", name or base_name(2), self.keys, chain, now=NOON)

    def restart(self) -> Sealed:
        with Chain(self.log) as chain:
            return self.seal(chain)

    def dies(self, moment: int, how: str) -> Disk:
        with disk(moment, how) as watched:
            chain = None
            try:
                chain = Chain(self.log)
                self.seal(chain)
            except PowerCut:
                pass
            finally:
                if chain is not None:
                    chain.close()
        return watched

    def assert_sealed_once(self, sealed: Sealed) -> None:
        lines = self.log.read_bytes().splitlines()
        report = verify([self.folder / "out"], chain_log=self.log)
        assert len(lines) == 2
        assert report.ok, report.findings
        assert report.intact == 2
        names = {file.name for file in sealed.files}
        present = {path.name for path in (self.folder / "out").iterdir()}
        assert {name for name in present if not name.startswith(base_name(1))} == names


@pytest.fixture
def bench(tmp_path: Path, keys: Keys) -> Bench:
    return Bench(tmp_path, keys)


def test_sha256sum_checks_the_list(bench: Bench) -> None:
    sealed = bench.restart()
    check = ["sha256sum", "-c", "--strict", f"{sealed.name}.sha256"]
    done = subprocess.run(check, cwd=bench.folder / "out", check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK") == 4


def test_the_list_is_what_sha256sum_writes(bench: Bench) -> None:
    sealed = bench.restart()
    names = [file.name for file in sealed.files[:4]]
    told = subprocess.run(
        ["sha256sum", *names], cwd=bench.folder / "out", check=True, capture_output=True
    ).stdout
    assert (bench.folder / "out" / f"{sealed.name}.sha256").read_bytes() == told


def test_the_files_come_in_the_order_of_delivery(bench: Bench) -> None:
    sealed = bench.restart()
    base = base_name(2)
    suffixes = [file.name.removeprefix(base) for file in sealed.files]
    assert suffixes == ["_remote.wav", "_local.wav", "_info.txt", ".json", ".sha256", ".sig"]
    assert all((bench.folder / "out" / f.name).stat().st_size == f.bytes for f in sealed.files)
    assert sealed.certificate_sha256 == bench.keys.fingerprint


def test_sealing_again_changes_nothing(bench: Bench) -> None:
    first = bench.restart()
    before = {path: path.stat().st_mtime_ns for path in (bench.folder / "out").iterdir()}
    with Chain(bench.log) as chain:
        assert bench.seal(chain, "another name") == first
    assert {path: path.stat().st_mtime_ns for path in (bench.folder / "out").iterdir()} == before
    bench.assert_sealed_once(first)


def test_the_order_on_the_disk(bench: Bench) -> None:
    """Everything is on the disk before the link, the link before any final name."""
    touches = [touch.split(" ")[0] for touch in bench.dies(0, "before").touches]
    commit = touches.index("append")
    assert touches.count("append") == 1
    assert touches[:commit].count("write_new") == 4
    assert touches[commit - 1] == "sync_folder"
    assert "rename" not in touches[:commit]
    assert touches[:commit].count("sync_file") == 1 + 2, "of the log when it is opened, and of the audio"
    assert touches[commit + 1 :] == ["rename"] * 6 + ["sync_folder"]


@pytest.mark.parametrize("how", ["before", "inside", "after"])
def test_a_crash_at_any_moment(tmp_path: Path, keys: Keys, how: str) -> None:
    moment = 0
    while True:
        moment += 1
        bench = Bench(tmp_path / str(moment), keys)
        watched = bench.dies(moment, how)
        bench.assert_sealed_once(bench.restart())
        if len(watched.touches) < moment:
            break
    assert moment > 20


def test_crash_upon_crash(tmp_path: Path, keys: Keys) -> None:
    chance = random.Random(4)
    for attempt in range(25):
        bench = Bench(tmp_path / str(attempt), keys)
        for _ in range(4):
            bench.dies(chance.randint(1, 25), chance.choice(["before", "inside", "after"]))
        bench.assert_sealed_once(bench.restart())


def test_a_full_disk_is_told_and_survived(tmp_path: Path, keys: Keys) -> None:
    steps = len(Bench(tmp_path / "0", keys).dies(0, "before").touches)
    for moment in range(3, steps + 1):  # 1 and 2 open the log
        bench = Bench(tmp_path / str(moment), keys)
        with Chain(bench.log) as chain:
            with disk(moment - 2, "full"), pytest.raises(TransientError) as caught:
                bench.seal(chain)
            assert caught.value.code == "spool.full"
            bench.assert_sealed_once(bench.seal(chain))


def test_fifty_at_once_make_one_chain(tmp_path: Path, keys: Keys) -> None:
    (tmp_path / keys.certificate_name).write_bytes(keys.certificate_pem)
    folders = [tmp_path / str(number) for number in range(50)]
    for folder in folders:
        folder.mkdir()
    with Chain(tmp_path / "chain.log") as chain:
        threads = [
            threading.Thread(target=seal_one, args=(number, folder, keys, chain))
            for number, folder in enumerate(folders)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    report = verify([tmp_path], chain_log=tmp_path / "chain.log")
    assert report.ok, report.findings
    assert report.intact == 50


def grown(chain: Chain) -> None:
    """Somebody else's recording is sealed meanwhile."""
    link = chain.next(f"other-{len(chain)}", f"other-{len(chain)}", ("archive",), "c" * 64, NOON)
    chain.append(signed(link, "e" * 64))


def test_a_folder_that_hangs_keeps_nobody_else_from_sealing(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, back = threading.Event(), threading.Event()
    real = durable.write_new

    def write_new(path: Path, data: bytes) -> None:
        if path.parent.name == "out":
            hangs.set()
            assert back.wait(30)
        real(path, data)

    monkeypatch.setattr(durable, "write_new", write_new)
    (tmp_path / "fine").mkdir()
    with Chain(bench.log) as chain:
        hung = threading.Thread(target=bench.seal, args=(chain,))
        hung.start()
        assert hangs.wait(30)
        fine = threading.Thread(target=seal_one, args=(3, tmp_path / "fine", bench.keys, chain), daemon=True)
        fine.start()
        fine.join(10)
        sealed = chain.link_of("id-00003")
        back.set()
        hung.join()
    assert sealed is not None
    assert sealed.number == 2
    report = verify([bench.folder / "out", tmp_path / "fine"], chain_log=bench.log)
    assert report.ok, report.findings
    assert report.intact == 3


@pytest.mark.parametrize(("between", "within"), [(1, 0), (GUESSES, 4)])
def test_files_are_written_within_a_turn_only_after_several_guesses(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, between: int, within: int
) -> None:
    """`between` others seal before the turns of this one."""
    turn, write, others = Chain.turn, durable.write_new, ["another"] * between
    held, written = [False], [0]

    @contextmanager
    def watched(chain: Chain) -> Iterator[None]:
        with turn(chain):
            if others:
                others.pop()
                grown(chain)
            held[0] = True
            yield
            held[0] = False

    def counted(path: Path, data: bytes, mode: int = 0o640) -> None:
        written[0] += held[0]
        write(path, data, mode)

    monkeypatch.setattr(Chain, "turn", watched)
    monkeypatch.setattr(durable, "write_new", counted)
    with Chain(bench.log) as chain:
        sealed = bench.seal(chain)
    assert written == [within]
    assert sealed.link.number == 2 + between
    report = verify([bench.folder / "out"], chain_log=bench.log, part=True)
    assert report.ok, report.findings


def test_a_crash_at_any_moment_while_others_seal(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link came in between, so that the files are written once more."""
    real = Chain.turn
    others = list[str]()

    def turn(chain: Chain) -> AbstractContextManager[None]:
        if others:
            others.pop()
            grown(chain)
        return real(chain)

    moment = 0
    while True:
        moment += 1
        bench = Bench(tmp_path / str(moment), keys)
        others.append("another")
        with monkeypatch.context() as patch:
            patch.setattr(Chain, "turn", turn)
            watched = bench.dies(moment, "inside")
        sealed = bench.restart()
        assert bench.log.read_bytes().count(b'"id-00002"') == 1
        report = verify([bench.folder / "out"], chain_log=bench.log, part=True)
        assert report.ok, report.findings
        assert report.intact == 2
        names = {path.name for path in (bench.folder / "out").iterdir()}
        assert {name for name in names if not name.startswith(base_name(1))} == {f.name for f in sealed.files}
        if len(watched.touches) < moment:
            break
    assert watched.touches.count("append") == 2
    assert len([touch for touch in watched.touches if touch.startswith("write_new")]) == 8


def test_changed_audio_is_not_sealed(bench: Bench) -> None:
    path = bench.folder / "out" / "unsealed_local.wav"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(IntegrityError) as caught:
        bench.restart()
    assert caught.value.code == "evidence.altered"
    assert len(bench.log.read_bytes().splitlines()) == 1


def test_missing_audio_is_told(bench: Bench) -> None:
    (bench.folder / "out" / "unsealed_local.wav").unlink()
    with pytest.raises(IntegrityError, match="missing") as caught:
        bench.restart()
    assert caught.value.code == "evidence.missing"


@pytest.mark.parametrize("suffix", ["_info.txt", ".json", ".sha256", ".sig", "_remote.wav"])
def test_sealed_files_that_changed_are_not_passed_on(bench: Bench, suffix: str) -> None:
    bench.restart()
    path = bench.folder / "out" / (base_name(2) + suffix)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError) as caught:
        bench.restart()
    assert caught.value.code == "evidence.altered"


def test_a_sealed_file_that_vanished_is_told(bench: Bench) -> None:
    bench.restart()
    (bench.folder / "out" / f"{base_name(2)}.json").unlink()
    with pytest.raises(IntegrityError) as caught:
        bench.restart()
    assert caught.value.code == "evidence.missing"


def test_sealed_files_are_never_replaced(bench: Bench) -> None:
    """The chain's log was put back to an older copy: the seal that lies there stays as it is."""
    old = bench.log.read_bytes()
    bench.restart()
    before = (bench.folder / "out" / f"{base_name(2)}.sig").read_bytes()
    bench.log.write_bytes(old)
    bench.waiting = replace(
        bench.waiting, assembled=assembled(bench.folder / "out", base_name(2), 2, Sides.SEPARATE)
    )
    with pytest.raises(IntegrityError, match="no link") as caught:
        bench.restart()
    assert caught.value.code == "seal.chain"
    assert (bench.folder / "out" / f"{base_name(2)}.sig").read_bytes() == before


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".x",
        "-x",
        " x",
        "x ",
        "x.",
        "a/b",
        "a\\b",
        "a\nb",
        "a\tb",
        "a\u202eb",
        "x" * 201,
        "recording",
        "a:b",
    ],
)
def test_names_that_no_archive_should_hold(bench: Bench, name: str) -> None:
    with Chain(bench.log) as chain, pytest.raises(ConfigError) as caught:
        seal(bench.waiting, bench.folder / "out", name, bench.keys, chain, now=NOON)
    assert caught.value.code == "config.value"
    assert len(bench.log.read_bytes().splitlines()) == 1


def test_what_is_not_assembled_cannot_be_sealed(bench: Bench) -> None:
    bench.waiting = replace(bench.waiting, assembled=None)
    with pytest.raises(ValueError, match="not assembled"):
        bench.restart()
