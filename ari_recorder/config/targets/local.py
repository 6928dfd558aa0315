"""Settings of a target that is a folder."""

from __future__ import annotations

from typing import Literal

from ..table import ResolvedPath
from .common import AnyTarget


class LocalTarget(AnyTarget):
    """A folder on this machine, or one that is mounted here."""

    kind: Literal["local"]
    """Says that the target is a folder."""
    folder: ResolvedPath | None = None
    """Folder of the archive. A relative path counts from the policy file's folder."""

    def missing(self) -> tuple[str, ...]:
        return ("folder",) if self.folder is None else ()

    @property
    def place(self) -> str:
        """Where the recordings go, for people."""
        return str(self.folder or "?")
