"""QuickXorHash against Microsoft's description, carried out word by word, and against published values."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.targets.graph.quickxor import BLOCK, quick_xor_hash
from tests.graph_peer.drives import quick_xor


def literally(data: bytes) -> str:
    """The pseudo code of learn.microsoft.com/onedrive/developer/code-snippets/quickxorhash."""
    block = 0
    for i, byte in enumerate(data):
        turned = byte << (i * 11 % 160)
        block ^= (turned & ((1 << 160) - 1)) | (turned >> 160)
    content = bytearray(block.to_bytes(20, "little"))
    for place, byte in enumerate(len(data).to_bytes(8, "little")):
        content[12 + place] ^= byte
    return base64.b64encode(bytes(content)).decode()


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="), (b"hello world", "aCgDG9jwBhDc4Q1yawMZAAAAAAA=")],
)
def test_published_values(data: bytes, value: str) -> None:
    assert quick_xor_hash(io.BytesIO(data)) == value == literally(data)


@given(st.binary(max_size=2000))
def test_any_bytes(data: bytes) -> None:
    assert quick_xor_hash(io.BytesIO(data)) == literally(data)


@pytest.mark.parametrize("size", [159, 160, 161, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 77])
def test_sizes_around_every_border(tmp_path: Path, size: int) -> None:
    data = bytes(n * 7919 >> 5 & 255 for n in range(1000)) * (size // 1000 + 1)
    (tmp_path / "file").write_bytes(data[:size])
    assert quick_xor_hash(io.BytesIO(data[:size])) == quick_xor(tmp_path / "file")


def test_it_starts_where_the_stream_stands() -> None:
    stream = io.BytesIO(b"xxhello world")
    stream.seek(2)
    assert quick_xor_hash(stream) == "aCgDG9jwBhDc4Q1yawMZAAAAAAA="


def test_what_it_cannot_see() -> None:
    """Why files of somebody else are not adopted by it."""
    one, other = b"a" * 160, b"b" * 160
    assert literally(one + other) == literally(other + one)
