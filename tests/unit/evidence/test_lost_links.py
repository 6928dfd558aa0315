"""A log that lost its end, or is an older copy, while the index beside it knows more; and no false alarm."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from ari_recorder.evidence.chain import Chain
from ari_recorder.model.errors import IntegrityError, TransientError
from tests.unit.disk.power import Disk

from . import crashes
from .crashes import PowerCut
from .test_index import COUNT, SMALL, draft, index_of, log, small_blocks, told, written

__all__ = ["log", "small_blocks"]

INDEXED = COUNT - COUNT % SMALL
"""Links that the index knows."""


@pytest.mark.parametrize("count", [INDEXED - 1, 2 * SMALL, 2 * SMALL - 1, 1, 0])
def test_a_log_that_lost_links_of_the_index_is_an_older_copy(log: Path, count: int) -> None:
    """Restored from a backup of yesterday, or cut by fsck, beside the index of today: its numbers would be
    given a second time."""
    newest, index = log.read_bytes(), index_of(log).read_bytes()
    older = written(log, count).read_bytes()
    for _ in range(2):  # the proof stays
        with pytest.raises(IntegrityError, match=rf"lacks link {INDEXED}, .*_0000{INDEXED},") as caught:
            Chain(log)
        assert caught.value.code == "seal.chain"
        assert str(index_of(log)) in caught.value.remedy
        assert (log.read_bytes(), index_of(log).read_bytes()) == (older, index)
    log.write_bytes(newest)
    assert told(log)
    written(log, count)
    index_of(log).unlink()  # a person decides that this is the newest there is
    with Chain(log) as chain:
        assert len(chain) == count
        assert chain.link_of(f"id-{COUNT}") is None
        assert (chain.link_of("id-1") is None) == (count == 0)


@pytest.mark.parametrize("count", [INDEXED, COUNT - 1])
def test_an_older_log_with_all_that_the_index_knows_is_read_as_it_is(log: Path, count: int) -> None:
    written(log, count)
    with Chain(log) as chain:
        assert len(chain) == count


def test_a_log_that_is_all_zeros_or_torn_beside_its_index_was_lost(log: Path) -> None:
    for content in (bytes(500), log.read_bytes()[:40]):
        log.write_bytes(content)
        with pytest.raises(IntegrityError, match="lacks link"):
            Chain(log)
        assert log.read_bytes() == content


def test_a_change_in_the_last_line_of_a_block_is_found_with_no_line_behind_it(log: Path) -> None:
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:INDEXED]))
    name = b"_%06d" % INDEXED
    log.write_bytes(log.read_bytes().replace(name, name[:-1] + b"9", 1))
    with pytest.raises(IntegrityError, match=f"lacks link {INDEXED}"):
        Chain(log)


def test_only_whole_blocks_prove_that_links_are_lost(log: Path) -> None:
    """One that a crash tore off says nothing of the log."""
    index = index_of(log).read_bytes()
    with Chain(log) as chain:
        last = chain._index.blocks[-2].end
    written(log, 3 * SMALL + 5)
    for torn in (index[:-1], index[: last + 30], index[: last + 200] + bytes(len(index) - last - 200)):
        index_of(log).write_bytes(torn)
        with Chain(log) as chain:
            assert len(chain) == 3 * SMALL + 5


def test_the_proof_is_kept_where_the_first_line_does_not_tell_the_chain(log: Path) -> None:
    older = written(log, SMALL).read_bytes()
    log.write_bytes(b"not a link\n" + older)
    with pytest.raises(IntegrityError, match="line 1: it is not JSON"):
        Chain(log)
    log.write_bytes(older)
    with pytest.raises(IntegrityError, match=f"lacks link {INDEXED}"):
        Chain(log)


@pytest.mark.parametrize("how", ["before", "inside", "after", "full"])
@pytest.mark.parametrize("moment", range(1, 5))
def test_no_death_around_the_end_of_a_block_makes_a_false_alarm(
    tmp_path: Path, how: str, moment: int
) -> None:
    """Nor does a full disk, after which the line is taken back. The first two touches open the log."""
    log = written(tmp_path / "chain.jsonl", 2 * SMALL - 1)
    Chain(log).close()
    with suppress(PowerCut, TransientError), crashes.disk(moment, how), Chain(log) as chain:
        chain.append(draft(chain, 2 * SMALL))
    with Chain(log) as chain:
        assert len(chain) == 2 * SMALL - (moment <= 2 or (moment == 3 and how != "after"))
        chain.append(draft(chain, 3 * SMALL))
    with Chain(log) as chain:
        chain.prove()


def test_no_kill_and_power_cut_after_it_make_a_false_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process is killed between writing the line that fills a block and syncing it. The next one reads that
    line and writes the block, which the file system may bring to the disk before all else."""
    root = tmp_path / "disk"
    root.mkdir()
    log = written(root / "chain.jsonl", SMALL - 1)
    disk = Disk(root)
    monkeypatch.setattr(os, "fsync", disk.fsync)
    written(log, SMALL)  # in the kernel only
    Chain(log).close()
    index = index_of(log).read_bytes()
    disk.restore(disk.cut())
    disk.close()
    index_of(log).write_bytes(index)
    with Chain(log) as chain:
        assert len(chain) == SMALL
