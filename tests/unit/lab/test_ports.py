from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ari_recorder.lab import ports
from ari_recorder.lab.ports import BLOCK, HOST, Ports, free
from ari_recorder.model.errors import TransientError


def test_two_holders_never_share_a_port(tmp_path: Path) -> None:
    with Ports(folder=tmp_path) as first, Ports(folder=tmp_path) as second:
        mine = {first.one() for _ in range(BLOCK)}
        yours = {second.one() for _ in range(BLOCK)}
    assert len(mine) == len(yours) == BLOCK
    assert mine.isdisjoint(yours)


def test_a_row_begins_even_and_stays_in_its_blocks(tmp_path: Path) -> None:
    with Ports(250, folder=tmp_path) as row:
        one = row.one()
        first, last = row.range(240)
    assert first % 2 == 0
    assert last - first + 1 == 240
    assert first > one


def test_what_is_closed_can_be_taken_again(tmp_path: Path) -> None:
    with Ports(folder=tmp_path) as first:
        port = first.one()
    with Ports(folder=tmp_path) as second:
        assert second.one() == port


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_block_with_a_port_in_use_is_passed_over(tmp_path: Path, kind: socket.SocketKind) -> None:
    with Ports(folder=tmp_path) as row:
        port = row.range(BLOCK)[0] + 50
    with socket.socket(socket.AF_INET, kind) as occupant:
        occupant.bind((HOST, port))
        if kind is socket.SOCK_STREAM:
            occupant.listen()
        assert not free(port)
        with Ports(folder=tmp_path) as other:
            first, last = other.range(BLOCK)
    assert not first <= port <= last


def test_more_than_it_has_is_refused(tmp_path: Path) -> None:
    with Ports(folder=tmp_path) as row, pytest.raises(TransientError, match="cannot give"):
        row.range(BLOCK + 2)


def test_a_machine_without_free_ports_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_free(port: int) -> bool:
        return False

    monkeypatch.setattr(ports, "free", none_free)
    with pytest.raises(TransientError, match="no 100 free ports") as refusal:
        Ports(folder=tmp_path)
    assert refusal.value.code == "lab.failed"


def test_a_lock_is_never_taken_through_a_link(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / f"{ports.FIRST}.lock").symlink_to(target)
    with pytest.raises(OSError):
        Ports(folder=locks)
    assert not target.exists()
