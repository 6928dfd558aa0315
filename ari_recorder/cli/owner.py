"""Commands that write into the recorder's folders, typed by root: what they write must be its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..disk import durable
from ..spool.places import Spools


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """As long as this lasts root acts as the user whom `folder` belongs to; nothing changes for others."""
    owner = folder.stat() if folder.exists() else None
    if owner is None or os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([owner.st_gid])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def make_folders(spool: Spools, state: Path) -> None:
    """Those of a spool that was never used, or got a new disk; `state`: whose owner they are to have."""
    with as_owner_of(state):
        for place in spool.in_use():
            if place.mounted(spool.known(place)):
                with suppress(OSError):  # one that cannot be made takes nothing, which is said then
                    durable.make_folders(place.root)
