"""Disks mounted for this process only: nobody else sees them, and they are gone with it. Needs root."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

CLONE_NEWNS = 0x00020000


@cache
def _own_namespace() -> None:
    """From now on mounts made here are this process's own (unshare(2)); once for the whole run."""
    if os.geteuid() != 0:
        pytest.fail("This test mounts a disk in a namespace of its own: it must run as root.")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        number = ctypes.get_errno()
        pytest.fail(f"unshare: {os.strerror(number)}; in a container this needs CAP_SYS_ADMIN")
    _call("mount", "--make-rprivate", "/")


def mount(place: Path, *words: str) -> None:
    """`mount WORDS… PLACE`, such as `-t tmpfs none`."""
    _own_namespace()
    _call("mount", *words, str(place))


def unmount(place: Path, *, lazily: bool = False) -> None:
    """Fails while the disk is in use; `lazily` takes it away from under its users."""
    _call("umount", *(["--lazy"] if lazily else []), str(place))


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """A disk of `size` (such as `2m`) at `place`."""
    mount(place, "-t", "tmpfs", "-o", f"size={size}", "none")
    try:
        yield
    finally:
        unmount(place, lazily=True)


def _call(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
