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

from ari_recorder.lab import debian

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


@contextmanager
def quota_disk(place: Path, image: Path, size: str) -> Iterator[None]:
    """A disk with room at `place` (it lies in `image`) and a quota of `size` on it, which binds root, too.

    btrfs, for no other file system has quotas in every kernel that has it.
    """
    debian.ensure({"mkfs.btrfs": "btrfs-progs"})
    with image.open("wb") as stream:
        stream.truncate(120 * 2**20)  # the least that btrfs takes; nearly all of it is a hole
    _call("mkfs.btrfs", "--quiet", "--mixed", str(image))
    mount(place, "-o", "loop", str(image))
    try:
        _call("btrfs", "quota", "enable", str(place))
        _call("btrfs", "qgroup", "limit", size, str(place))
        yield
    finally:
        unmount(place, lazily=True)


def _call(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
