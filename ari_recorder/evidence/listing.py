"""`<name>.sha256`: the list of a recording's files and hashes, byte for byte what `sha256sum` prints."""

from __future__ import annotations

import re
from collections.abc import Iterable

AUDIO = ("_remote_local.wav", "_remote.wav", "_local.wav", ".wav")
"""Suffixes an audio file of a recording can have; the longer before those they end in."""

METADATA = ("_info.txt", ".json")

_LINE = re.compile(r"([0-9a-f]{64})  ([^/\0]+)")


def encode(sums: Iterable[tuple[str, str]]) -> bytes:
    """From (file name, SHA-256) pairs."""
    return "".join(f"{digest}  {name}\n" for name, digest in sums).encode()


def decode(data: bytes) -> tuple[str, dict[str, str]]:
    """The base name and, in the order of the list, suffix → SHA-256; ValueError when it is no such list."""
    *lines, end = data.decode().split("\n")
    entries = [(match[2], match[1]) for match in map(_LINE.fullmatch, lines) if match]
    names = [name.removesuffix(".json") for name, _ in entries if name.endswith(".json")]
    if end or len(entries) < len(lines) or len(names) != 1:
        raise ValueError("it is not a list of hashes with one JSON file")
    sums = {name.removeprefix(names[0]): told for name, told in entries if name.startswith(names[0])}
    if len(sums) < len(entries) or "_info.txt" not in sums or not set(sums) <= {*METADATA, *AUDIO}:
        raise ValueError("it does not list the files of one recording")
    return names[0], sums
