"""SHA-256 and size of what lies on a disk, in constant memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

from .durable import BLOCK


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def digest(stream: Readable) -> tuple[str, int]:
    """SHA-256 (hex) and number of bytes from here to the end of a stream."""
    seen = hashlib.sha256()
    size = 0
    while block := stream.read(BLOCK):
        seen.update(block)
        size += len(block)
    return seen.hexdigest(), size


def digest_of(path: Path) -> tuple[str, int]:
    """SHA-256 (hex) and size in bytes of a file; OSError."""
    with path.open("rb", buffering=0) as file:
        return digest(file)
