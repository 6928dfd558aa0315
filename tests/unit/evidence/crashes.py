"""A machine that dies at a chosen touch of the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ari_recorder.disk import durable

DOORS = ("write_new", "append", "cut", "rename", "remove", "sync_folder", "sync_file")


class PowerCut(BaseException):
    """Nobody catches this: what comes after it in the program does not happen."""


@dataclass
class Disk:
    """Counts touches; at touch `fail_at` (from 1) it does what `how` says."""

    fail_at: int = 0
    how: str = "before"
    """`before`, `inside` (half of the bytes are written), `after`, `full` (ENOSPC, then space again)."""
    touches: list[str] = field(default_factory=list)

    def wrapped(self, name: str, real: Callable[..., None]) -> Callable[..., None]:
        def touch(*args: Any) -> None:
            told = [str(a.name) for a in args if isinstance(a, Path)]
            self.touches.append(" ".join([name, *told]))
            if len(self.touches) != self.fail_at:
                real(*args)
                return
            if self.how == "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self.how == "inside" and name in ("write_new", "append"):
                real(args[0], args[1][: len(args[1]) // 2], *args[2:])
            if self.how == "after":
                real(*args)
            raise PowerCut

        return touch


@contextmanager
def disk(fail_at: int = 0, how: str = "before") -> Iterator[Disk]:
    with pytest.MonkeyPatch.context() as patch:
        watched = Disk(fail_at, how)
        for name in DOORS:
            patch.setattr(durable, name, watched.wrapped(name, getattr(durable, name)))
        yield watched
