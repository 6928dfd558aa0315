"""Read a folder that nobody vouches for: no link is followed, nothing but plain files is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..disk import digest as disk
from .findings import Finding, Step
from .listing import AUDIO
from .visible import visible

OWN = ("_info.txt", ".sha256", ".sig")
"""Suffixes that make a set: JSON and WAV files may lie in an archive for other reasons."""
SUFFIXES = (*OWN, ".json", *AUDIO)


class UnreadableError(Exception):
    """A file cannot be read; the text is the end of a sentence that begins with its name."""


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """The files of one recording, as far as names tell: `folder/base` + suffix."""

    folder: Path
    base: str

    def path(self, suffix: str) -> Path:
        return self.folder / (self.base + suffix)


@dataclass(slots=True)
class Collection:
    """Everything found below the given paths."""

    groups: set[Group] = field(default_factory=set)
    waves: set[Path] = field(default_factory=set)
    """WAV files in searched folders, to be claimed by a recording each."""
    findings: list[Finding] = field(default_factory=list)
    whole: bool = True
    """Only folders were given, so that a gap in the numbers means something."""

    def add(self, code: str, path: Path, sentence: str) -> None:
        self.findings.append(Finding(code, Step.FILES, shown(path), sentence))


def collect(paths: list[Path]) -> Collection:
    """Step 1. A folder is searched with all below it; a file stands for the recording it belongs to."""
    found = Collection()
    for given in paths:
        try:
            path = Path(os.path.realpath(given))  # links above what was given are the caller's own
            if path.is_dir():
                _search(path, found)
            else:
                _single(path, found)
        except (OSError, ValueError) as error:
            found.add("evidence.unreadable", given, f"cannot be read: {_reason(error)}.")
    return found


def shown(path: Path) -> str:
    """A path that is safe to print."""
    return visible(os.fspath(path))


def read(path: Path, limit: int) -> bytes:
    """A whole plain file of at most `limit` bytes; UnreadableError, or FileNotFoundError."""
    with _opened(path) as handle:
        if os.fstat(handle).st_size > limit:
            raise UnreadableError(f"is larger than {limit} bytes and cannot be genuine")
        data = b""
        while len(data) <= limit and (block := os.read(handle, limit + 1 - len(data))):
            data += block
        return data


def digest(path: Path) -> tuple[str, int]:
    """SHA-256 in hexadecimal and size of a plain file; UnreadableError, or FileNotFoundError."""
    with _opened(path) as handle, os.fdopen(handle, "rb", buffering=0, closefd=False) as file:
        return disk.digest(file)


def beginning(path: Path, size: int) -> bytes:
    """At most the first `size` bytes of a plain file; UnreadableError, or FileNotFoundError."""
    with _opened(path) as handle:
        return os.read(handle, size)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not make us wait
    try:
        handle = os.open(path, flags)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise UnreadableError("is not a plain file")
            yield handle
        finally:
            os.close(handle)
    except FileNotFoundError:
        raise
    except OSError as error:
        link = path.is_symlink()
        raise UnreadableError(
            "is a symbolic link" if link else f"cannot be read: {_reason(error)}"
        ) from error


def _search(top: Path, found: Collection) -> None:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(folder / entry.name)
                    else:
                        _sort_in(folder, entry.name, found)
        except OSError as error:
            found.add("evidence.unreadable", folder, f"cannot be searched: {_reason(error)}.")


def _sort_in(folder: Path, name: str, found: Collection) -> None:
    if name.lower().endswith(".wav"):  # a player takes .WAV just as well
        found.waves.add(folder / name)
    for suffix in OWN:
        if name.endswith(suffix) and name != suffix:
            found.groups.add(Group(folder, name.removesuffix(suffix)))


def _single(path: Path, found: Collection) -> None:
    found.whole = False
    names = [
        path.name,
        *(path.name.removesuffix(suffix) for suffix in SUFFIXES if path.name.endswith(suffix)),
    ]
    for base in reversed(names):
        group = Group(path.parent, base)
        if base and any(group.path(suffix).exists() for suffix in OWN):
            found.groups.add(group)
            return
    if path.exists():
        found.add("evidence.missing", path, "no seal lies beside it.")
    else:
        found.add("evidence.missing", path, "does not exist.")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or visible(str(error))
