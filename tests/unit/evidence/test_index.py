"""The index beside the chain's log saves time, and is never believed further than the log."""

from __future__ import annotations

import json
import random
import shutil
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ari_recorder.evidence import chain as room
from ari_recorder.evidence.chain import Chain, encode, signed
from ari_recorder.evidence.index import Index, key_of
from ari_recorder.evidence.standing import Standing
from ari_recorder.model.errors import ConfigError, IntegrityError
from ari_recorder.model.evidence import ArchivePlace, Link, Predecessor

from .archives import NOON

COUNT = 45
SMALL = 10
"""Lines in a block here: four blocks, and five lines behind them."""


def links(count: int, chain: str = "c") -> Iterator[bytes]:
    """Lines of a chain's log; every third recording is owed to a second target as well."""
    before: Predecessor | None = None
    second: list[str] = []
    for number in range(1, count + 1):
        name, digest = f"2026-03-01_12-00-00_{number:06d}", f"{number:064x}"
        places = [ArchivePlace("archive", number, before.name if before else None)]
        if number % 3 == 0:
            places.append(ArchivePlace("second", len(second) + 1, second[-1] if second else None))
            second.append(name)
        yield encode(Link(number, f"id-{number}", name, NOON, digest, before, tuple(places), chain * 64))
        before = Predecessor(number, name, digest)


def written(log: Path, count: int, chain: str = "c") -> Path:
    with log.open("wb") as file:
        file.writelines(links(count, chain))
    return log


def index_of(log: Path) -> Path:
    return log.with_name(f"{log.name}.index")


def draft(chain: Chain, number: int) -> Link:
    link = chain.next(f"id-{number}", f"name-{number}", ("archive", "second"), "c" * 64, NOON)
    return signed(link, f"{number:064x}")


def told(log: Path, count: int = COUNT) -> object:
    """All that a chain answers."""
    with Chain(log) as chain:
        assert len(chain) == count
        known = [chain.link_of(f"id-{number}") for number in range(count + 2)]
        for name in (f"2026-03-01_12-00-00_{number:06d}" for number in (1, count // 2, count)):
            with pytest.raises(ConfigError, match="already"):
                chain.append(signed(chain.next("new", name, (), "c" * 64, NOON), "e" * 64))
        return chain.head, draft(chain, 999), known


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BLOCK", SMALL)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with its index."""
    path = written(tmp_path / "chain.jsonl", COUNT)
    Chain(path).close()
    assert index_of(path).exists()
    return path


def test_a_start_reads_what_is_behind_the_index(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    took: list[int] = []
    take = Standing.take

    def counting(self: Standing, row: dict[str, object], size: int) -> None:
        took.append(size)
        take(self, row, size)

    monkeypatch.setattr(Standing, "take", counting)
    Chain(log).close()
    assert len(took) == COUNT % SMALL
    index_of(log).unlink()
    Chain(log).close()
    assert len(took) == COUNT % SMALL + COUNT


def test_with_and_without_it_the_chain_says_the_same(log: Path) -> None:
    known = told(log)
    index_of(log).unlink()
    assert told(log) == known
    assert told(log) == known, "made again"


Harm = Callable[[Path], object]


def _cut(size: int) -> Harm:
    return lambda index: index.write_bytes(index.read_bytes()[:size])


def _flip(seed: int) -> Harm:
    def harm(index: Path) -> None:
        content = bytearray(index.read_bytes())
        content[random.Random(seed).randrange(len(content))] ^= 1 << seed % 8
        index.write_bytes(content)

    return harm


def _of_another_log(index: Path) -> None:
    other = written(index.with_name("other.jsonl"), COUNT + 30, "d")
    Chain(other).close()
    shutil.move(index_of(other), index)


def _older(index: Path) -> None:
    other = written(index.with_name("older.jsonl"), 2 * SMALL)
    Chain(other).close()
    shutil.move(index_of(other), index)


def _doubled(index: Path) -> None:
    index.write_bytes(index.read_bytes() * 2)


def _a_folder(index: Path) -> None:
    index.unlink()
    index.mkdir()


@pytest.mark.parametrize(
    "harm",
    [
        *(_cut(size) for size in (0, 1, 50, 400, 1000, 1500, 2000)),
        *(_flip(seed) for seed in range(40)),
        lambda index: index.write_bytes(bytes(5000)),
        lambda index: index.write_bytes(b"garbage" * 100),
        _of_another_log,
        _older,
        _doubled,
        _a_folder,
    ],
)
def test_damage_costs_time_only(log: Path, harm: Harm) -> None:
    known = told(log)
    harm(index_of(log))
    assert told(log) == known
    assert told(log) == known
    with Chain(log) as chain:
        chain.prove()


def test_a_change_before_the_index_ends_is_found_afterwards(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b'"id-15"', b'"id-xx"', 1))
    with Chain(log) as chain:
        with pytest.raises(IntegrityError, match=r"lines 11 to 20") as caught:
            chain.prove()
        assert caught.value.code == "seal.chain"
        with pytest.raises(IntegrityError, match="lines 11 to 20"):
            chain.append(draft(chain, COUNT + 1))
        assert chain.head is not None
        assert chain.head.number == COUNT


def test_a_torn_line_behind_the_index(log: Path) -> None:
    log.write_bytes(log.read_bytes() + b'{"format":')
    with Chain(log) as chain:
        assert chain.torn is not None
        chain.append(draft(chain, COUNT + 1))
    with Chain(log) as chain:
        assert chain.link_of(f"id-{COUNT + 1}") == chain.link_of(f"id-{len(chain)}")


@pytest.mark.parametrize("with_index", [True, False])
@pytest.mark.parametrize("number", [COUNT, 2 * SMALL + 1])
def test_a_recording_that_comes_twice_in_the_log(log: Path, number: int, with_index: bool) -> None:
    log.write_bytes(log.read_bytes().replace(b'"id-%d"' % number, b'"id-13"', 1))
    if not with_index:
        index_of(log).unlink()
    if with_index and number < COUNT:
        with Chain(log) as chain, pytest.raises(IntegrityError, match="lines 21 to 30"):
            chain.prove()
    else:
        with pytest.raises(IntegrityError, match=rf"line {number}: its recording or name is in the log"):
            Chain(log)


def test_what_is_in_the_index_is_sealed_once(log: Path) -> None:
    with Chain(log) as chain:
        link = chain.next("id-4", "new-name", (), "c" * 64, NOON)
        with pytest.raises(IntegrityError, match="already"):
            chain.append(signed(link, "e" * 64))


def test_two_values_may_share_a_key(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here all recordings do: the line itself decides."""
    index_of(log).unlink()
    monkeypatch.setattr(room, "key_of", lambda kind, _: key_of(kind, ""))
    with Chain(log) as chain:
        for number in (1, 17, COUNT):
            link = chain.link_of(f"id-{number}")
            assert link is not None
            assert link.number == number
        assert chain.link_of("id-0") is None


def test_looks_while_blocks_are_made(log: Path) -> None:
    missing: list[int] = []
    done = threading.Event()
    with Chain(log) as chain:

        def look() -> None:
            while not done.is_set():
                missing.extend(n for n in range(1, COUNT + 1) if chain.link_of(f"id-{n}") is None)

        looking = threading.Thread(target=look)
        looking.start()
        for number in range(COUNT + 1, COUNT + 3 * SMALL):
            chain.append(draft(chain, number))
        done.set()
        looking.join()
    assert missing == []


def test_an_index_cut_off_under_us_is_no_answer(log: Path) -> None:
    """Not "this was never sealed"."""
    with Chain(log) as chain:
        index_of(log).write_bytes(b"")
        with pytest.raises(Exception, match="cut off"):
            chain.link_of("id-1")


def test_memory_does_not_grow_with_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BLOCK", 200)

    def held(count: int) -> int:
        log = written(tmp_path / f"{count}.jsonl", count)
        Chain(log).close()
        tracemalloc.start()
        try:
            with Chain(log) as chain:
                assert len(chain) == count
                return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    held(301)  # whatever is made once
    assert (held(4100) - held(300)) / 3800 < 20, "bytes a link, with blocks that are 40 times too small"


def test_start_is_quick_however_long_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ratio, for a busy machine: five blocks and 20 lines against 20 lines."""
    monkeypatch.setattr(room, "BLOCK", 1000)
    log = written(tmp_path / "chain.jsonl", 5020)
    took = []
    for _ in range(2):
        begin = time.process_time()
        Chain(log).close()
        took.append(time.process_time() - begin)
    first, again = took
    assert again < first / 5


def test_the_index_alone(tmp_path: Path) -> None:
    log = written(tmp_path / "chain.jsonl", 1)
    index = Index(tmp_path / "index")
    standing = Standing()
    line = log.read_bytes()
    standing.take(json.loads(line), len(line))
    pairs = [(key, key // 7) for key in range(0, 7000, 7)]
    with log.open("rb") as file:
        assert index.load(file.fileno()) == Standing()
        assert index.add(standing, "0" * 64, reversed(pairs))
        for again in (index, Index(index.path)):
            if again is not index:
                assert again.load(file.fileno()) == standing
            assert [list(again.offsets(key)) for key, _ in pairs] == [[offset] for _, offset in pairs]
            assert not [key for key in (1, 6, 8, 6994, 7000, 2**64 - 1) if list(again.offsets(key))]
            assert again.known({0, 1, 21, 6993, 8000}) == {0, 21, 6993}
            again.close()
