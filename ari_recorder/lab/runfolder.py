"""One run's own folder: all it writes is in there, and it is removed or named at the end."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from .checkout import root
from .processes import Process

OWNER = "owner"


class RunFolder:
    """A folder `.run/<id>` in the checkout, or in the temporary folder where that cannot be written.

    On leaving it is removed, unless `keep` is set by then. `id` is unique on this machine and safe in the
    names of files and containers.
    """

    def __init__(self, *, parent: Path | None = None, keep: bool = False) -> None:
        self.keep = keep
        self.id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        self.path = (parent or home()) / self.id
        self.path.mkdir(parents=True, mode=0o755)
        (self.path / OWNER).write_text(f"{Process.current()}\n", encoding="ascii")

    def folder(self, name: str) -> Path:
        """The sub-folder of that name, made when missing."""
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def close(self) -> None:
        if self.keep:
            # Kept on purpose: not to be taken for the left-over of a crash.
            (self.path / OWNER).unlink(missing_ok=True)
        else:
            shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def home() -> Path:
    """Where run folders are made: `.run` in the checkout, else a folder of this user's own."""
    top = root()
    if os.access(top, os.W_OK):
        return top / ".run"
    return Path(tempfile.gettempdir()) / f"ari-recorder-run-{os.getuid()}"


def abandoned(parent: Path | None = None) -> list[Path]:
    """Run folders whose run has ended without removing them."""
    place = parent or home()
    if not place.is_dir():
        return []
    return sorted(entry for entry in place.iterdir() if _abandoned(entry))


def _abandoned(folder: Path) -> bool:
    try:
        owner = Process.parse((folder / OWNER).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return False
    return owner is not None and not owner.alive
