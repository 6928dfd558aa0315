"""Where each sealed recording's line stands in the chain's log, so that nobody has to read or hold it whole.

The log is the truth; this file beside it may be lost, old or damaged at any time, which costs the time to
read the log again. It is a row of blocks, each for some thousand lines: a header (up to where the log was
read, what the next line has to continue, the SHA-256 of these lines) and, sorted, a key and an offset for
each recording's id and each name. A block counts only with its own SHA-256 intact, so that no write has to
be synced, and one that a crash tore off is made again.

A block is written once its lines are synced. So a whole one that knows a link of this chain which the log
does not have is no old index: the log lost its end, was changed there, or is an older copy.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..model.evidence import Predecessor
from .standing import Standing

BLOCK = 8192
"""Links in a block: a start reads fewer lines than that, and a million links make 122 blocks to look into."""

STRIDE = 128
"""Every so many keys one stays in memory, so that a look into a block reads no more than twice as many."""

_MAGIC = f"ari-index/1 {sys.byteorder:<6}".encode()
_FRAME = struct.Struct(f"<{len(_MAGIC)}sII32s")
"""Magic, bytes of the header, bytes of the entries, SHA-256 of both."""
_ENTRY = 16
LARGEST = 1 << 26


def key_of(kind: str, value: str) -> int:
    """64 bits of a recording's id or of a name; two values may share one, so look at the line itself."""
    digest = hashlib.blake2b(f"{kind} {value}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines from byte `begin` of the log to `standing.size`."""

    begin: int
    standing: Standing
    """After the last of these lines."""
    sha256: str
    """Of these lines."""
    at: int
    """Where its entries stand in the index."""
    entries: int
    fence: array[int]
    """Every STRIDE-th key."""

    @property
    def end(self) -> int:
        """Where the next block stands in the index."""
        return self.at + self.entries * _ENTRY


class Index:
    """The file, as far as it was found to be whole. Not there, or not readable: an empty one.

    Only one thread may `load` and `add`; any may look things up meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blocks: tuple[Block, ...] = ()
        self.contradiction: Predecessor | None = None
        """A link that the log lacks although a whole block has it for the same chain. Then nothing may be
        added: the block would be overwritten, and what it proves with it."""
        self._handle = -1

    def close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def load(self, log: int) -> Standing:
        """Take what is whole and fits the log's open file; the standing after its last line.

        The file stays as it is: only a log that was read as sound up to the next block may overwrite it.
        """
        with suppress(OSError):
            self._handle = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            blocks = list(self._whole())
            while blocks and not _fits(blocks[-1], log):
                standing = blocks.pop().standing
                if self.contradiction is None and _chain_of(log) in (standing.chain, ""):
                    self.contradiction = standing.head
            self.blocks = tuple(blocks)
        return self.blocks[-1].standing.copy() if self.blocks else Standing()

    def add(self, standing: Standing, sha256: str, offsets: Iterable[tuple[int, int]]) -> bool:
        """A block for the lines since the last one, with the standing after them, and key and offset of each
        id and each name.

        False when the disk does not take it: whoever asked keeps them in memory, and asks again.
        """
        begin, at = (self.blocks[-1].standing.size, self.blocks[-1].end) if self.blocks else (0, 0)
        entries = array("Q", (word for pair in sorted(offsets) for word in pair))
        header = json.dumps({"begin": begin, "sha256": sha256, "standing": standing.plain()}).encode()
        data = _framed(header, entries.tobytes())
        try:
            if self._handle < 0:
                self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            os.ftruncate(self._handle, at)  # of what does not fit nothing may come to stand behind this block
            if os.pwrite(self._handle, data, at) != len(data):
                return False  # what was written is no whole block
        except OSError:
            return False
        at += _FRAME.size + len(header)
        block = Block(begin, standing.copy(), sha256, at, len(entries) // 2, entries[:: 2 * STRIDE])
        self.blocks = (*self.blocks, block)
        return True

    def offsets(self, key: int) -> Iterator[int]:
        """Where in the log a line with this key may stand. OSError when the index cannot be read."""
        for block in reversed(self.blocks):
            yield from self._in(block, key)

    def known(self, keys: set[int]) -> set[int]:
        """Those of many keys that are in the index: quicker than one by one. OSError."""
        return {
            key
            for block in self.blocks
            for key in keys.intersection(self._read(block, 0, block.entries)[::2])
        }

    def _in(self, block: Block, key: int) -> Iterator[int]:
        first = max(bisect_left(block.fence, key) - 1, 0) * STRIDE
        words = self._read(block, first, min(2 * STRIDE, block.entries - first))
        keys = words[::2]
        for place in range(bisect_left(keys, key), len(keys)):
            if keys[place] != key:
                return
            yield words[2 * place + 1]

    def _read(self, block: Block, first: int, count: int) -> array[int]:
        data = os.pread(self._handle, count * _ENTRY, block.at + first * _ENTRY)
        if len(data) != count * _ENTRY:
            raise OSError(errno.ENODATA, "It was cut off", str(self.path))
        return array("Q", data)

    def _whole(self) -> Iterator[Block]:
        """The blocks from the first on, up to the first that is not whole."""
        at, begin = 0, 0
        while (block := self._block(at)) is not None and block.begin == begin:
            yield block
            at, begin = block.end, block.standing.size

    def _block(self, at: int) -> Block | None:
        frame = os.pread(self._handle, _FRAME.size, at)
        if len(frame) < _FRAME.size:
            return None
        magic, long, large, sha256 = _FRAME.unpack(frame)
        if magic != _MAGIC or max(long, large) > LARGEST or large % _ENTRY:
            return None
        data = os.pread(self._handle, long + large, at + _FRAME.size)
        if hashlib.sha256(data).digest() != sha256:
            return None
        try:
            header = json.loads(data[:long])
            begin, lines, standing = header["begin"], header["sha256"], Standing.load(header["standing"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return None  # of another version
        fence = array("Q", data[long:])[:: 2 * STRIDE]
        return Block(begin, standing, lines, at + _FRAME.size + long, large // _ENTRY, fence)


def _framed(header: bytes, entries: bytes) -> bytes:
    digest = hashlib.sha256(header + entries).digest()
    return _FRAME.pack(_MAGIC, len(header), len(entries), digest) + header + entries


def _fits(block: Block, log: int) -> bool:
    """The last line that a block knows stands in the log, where it says."""
    standing = block.standing
    head, line = standing.head, os.pread(log, standing.size - standing.last, standing.last)
    if head is None or len(line) != standing.size - standing.last or not line.endswith(b"\n"):
        return False
    try:
        row = json.loads(line)
        told = (row["number"], row["name"], row["signature_sha256"], row["chain"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return told == (head.number, head.name, head.signature_sha256, standing.chain)


def _chain_of(log: int) -> str | None:
    """As its first line says. "" when there is none: it may be any. None when that line is no link."""
    with os.fdopen(os.dup(log), "rb") as file:
        file.seek(0)
        line = file.readline()
    if not line.endswith(b"\n"):
        return ""
    try:
        return str(json.loads(line)["chain"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
