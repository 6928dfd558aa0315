"""E4: the log of the chain is the truth about what was sealed."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import pytest

from ari_recorder.evidence.chain import Chain, decode, encode, signed
from ari_recorder.model.errors import ConfigError, IntegrityError, PermanentError, TransientError
from ari_recorder.model.evidence import ArchivePlace, Link, Predecessor

from .archives import NOON
from .crashes import disk


def draft(chain: Chain, number: int, *targets: str) -> Link:
    link = chain.next(f"id-{number}", f"name-{number}", targets, "c" * 64, NOON)
    return signed(link, hashlib.sha256(str(number).encode()).hexdigest())


def grow(chain: Chain, number: int, *targets: str) -> Link:
    with chain.turn():
        link = draft(chain, number, *targets)
        chain.append(link)
    return link


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log of three links."""
    path = tmp_path / "chain.log"
    with Chain(path) as chain:
        grow(chain, 1, "a")
        grow(chain, 2, "b")
        grow(chain, 3, "a", "b", "a")
    return path


def test_every_link_names_the_one_before_it(log: Path) -> None:
    with Chain(log) as chain:
        first, third = chain.link_of("id-1"), chain.link_of("id-3")
    assert first is not None
    assert first.previous is None
    assert third is not None
    assert third.previous == Predecessor(2, "name-2", hashlib.sha256(b"2").hexdigest())
    assert third.chain == first.chain == "c" * 64


def test_every_target_counts_its_own(log: Path) -> None:
    with Chain(log) as chain:
        third, fourth = chain.link_of("id-3"), chain.next("id-4", "name-4", ("c", "b"), "d" * 64, NOON)
    assert third is not None
    assert third.places == (ArchivePlace("a", 2, "name-1"), ArchivePlace("b", 2, "name-2"))
    assert fourth.places == (ArchivePlace("c", 1, None), ArchivePlace("b", 3, "name-3"))
    assert fourth.number == 4
    assert fourth.chain == "c" * 64, "a new certificate goes on with the chain"


def test_an_unknown_recording_has_no_link(log: Path) -> None:
    with Chain(log) as chain:
        assert chain.link_of("id-9") is None
        assert len(chain) == 3


def test_a_line_and_its_link_are_the_same(log: Path) -> None:
    for line in log.read_bytes().splitlines(keepends=True):
        assert encode(decode(line)) == line


def test_only_one_process_may_write(log: Path) -> None:
    with Chain(log), pytest.raises(PermanentError, match="Another recorder") as caught:
        Chain(log)
    assert caught.value.code == "spool.in-use"
    Chain(log).close()


@pytest.mark.parametrize("cut", [1, 2, 100, 300])
def test_a_torn_last_line_is_set_aside(log: Path, cut: int) -> None:
    whole = log.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    log.write_bytes(whole[:-cut])
    with Chain(log) as chain:
        assert len(chain) == 2
        assert chain.torn is not None
        assert chain.torn.read_bytes() == last[:-cut]
        assert grow(chain, 3).number == 3
    with Chain(log) as chain:
        assert chain.torn is None
        assert len(chain) == 3


def test_zeros_after_a_power_cut_are_set_aside(log: Path) -> None:
    log.write_bytes(log.read_bytes() + bytes(500))
    with Chain(log) as chain:
        assert len(chain) == 3
        assert chain.torn is not None


def _edited(line: bytes, **changes: object) -> bytes:
    return json.dumps({**json.loads(line), **changes}).encode() + b"\n"


@pytest.mark.parametrize(
    ("change", "number"),
    [
        (lambda lines: [lines[0], b"\n", lines[2]], 2),
        (lambda lines: [lines[0], b"[]\n", lines[2]], 2),
        (lambda lines: [lines[0], b"[" * 100_000 + b"\n", lines[2]], 2),
        (lambda lines: [lines[0], lines[2]], 2),
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[1], lines[0], lines[2]], 1),
        (lambda lines: [*lines, lines[2]], 4),
        (lambda lines: [lines[0], lines[1].replace(b"name-2", b"name-x"), lines[2]], 3),
        (lambda lines: [_edited(lines[0], format="other/2"), *lines[1:]], 1),
        (lambda lines: [lines[0], _edited(lines[1], recording="id-1"), lines[2]], 2),
        (lambda lines: [lines[0], _edited(lines[1], places=[{"target": "b"}]), lines[2]], 2),
        (lambda lines: [lines[0], _edited(lines[1], places=None), lines[2]], 2),
        (lambda lines: [lines[0], _edited(lines[1], chain="other"), lines[2]], 2),
        (lambda lines: [lines[0], _edited(lines[1], signature_sha256=5), lines[2]], 2),
        (lambda lines: [*lines[:2], b"\xff\xfe\n"], 3),
    ],
)
def test_any_other_damage_is_named_by_its_line(log: Path, change: object, number: int) -> None:
    assert callable(change)
    log.write_bytes(b"".join(change(log.read_bytes().splitlines(keepends=True))))
    before = log.read_bytes()
    with pytest.raises(IntegrityError, match=rf"line {number}:") as caught:
        Chain(log)
    assert caught.value.code == "seal.chain"
    assert log.read_bytes() == before


def test_a_name_is_sealed_once(log: Path) -> None:
    with Chain(log) as chain, pytest.raises(ConfigError, match="already"):
        chain.append(signed(chain.next("id-4", "name-1", (), "c" * 64, NOON), "e" * 64))


def test_a_stale_draft_is_refused(log: Path) -> None:
    with Chain(log) as chain:
        stale = draft(chain, 5)
        grow(chain, 4)
        with pytest.raises(IntegrityError, match="does not continue"):
            chain.append(stale)


def test_a_full_disk_leaves_the_log_as_it_was(log: Path) -> None:
    with Chain(log) as chain:
        before = log.read_bytes()
        with disk(1, "full"), pytest.raises(TransientError) as caught:
            grow(chain, 4)
        assert caught.value.code == "spool.full"
        assert log.read_bytes() == before
        assert grow(chain, 4).number == 4


def test_a_log_in_an_unknown_state_is_not_written_to(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Chain(log) as chain:
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", _dead_disk)
            with pytest.raises(TransientError):
                grow(chain, 4)
        with pytest.raises(PermanentError, match="known state"):
            grow(chain, 4)
    with Chain(log) as chain:
        assert len(chain) in (3, 4)


def _dead_disk(_: int) -> None:
    raise OSError(5, "Input/output error")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="Opening the chain's log"):
        Chain(tmp_path / "absent" / "chain.log")


def test_threads_take_turns(tmp_path: Path) -> None:
    with Chain(tmp_path / "chain.log") as chain:
        threads = [threading.Thread(target=grow, args=(chain, number, "a")) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with Chain(tmp_path / "chain.log") as chain:
        assert len(chain) == 20


def test_a_look_waits_for_nobodys_turn(log: Path) -> None:
    """One hung spool folder must not keep others from knowing what is sealed."""
    found: list[Link | None] = []
    with Chain(log) as chain, chain.turn():
        asking = threading.Thread(target=lambda: found.append(chain.link_of("id-1")))
        asking.start()
        asking.join(10)
    assert [link.number for link in found if link] == [1]
