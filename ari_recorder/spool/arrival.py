"""A folder in which a recording from elsewhere is made ready: it is in the spool whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..disk import durable
from ..disk.faults import fault_point
from .folders import ADOPTING, ADOPTION_LOCK, adopting


@contextmanager
def arriving(root: Path, recording_id: str) -> Iterator[Path]:
    """An empty recording folder under a name that does not count. When the block ends in order, all in it is
    durable and it gets its own name; on any error it is gone. PermanentError `spool.in-use`, OSError."""
    with adopting(root):
        new = root / (ADOPTING + recording_id)
        try:
            new.mkdir(mode=0o700)
            (new / "legs").mkdir(mode=0o700)
            yield new
            for folder in (new / "legs", new):
                durable.sync_folder(folder)
            _give(new, root)
            fault_point("adopt.copied")
            durable.rename(new, root / recording_id)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)  # others may need the space to end in order
            raise
        fault_point("adopt.renamed")
        durable.sync_folder(root)


def _give(new: Path, root: Path) -> None:
    """What root makes must belong to the recorder's own user."""
    owner = root.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        for path in (root / ADOPTION_LOCK, new, *new.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
