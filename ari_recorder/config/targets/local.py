"""Settings of a target that is a folder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..table import ResolvedPath
from .common import AnyTarget


class LocalTarget(AnyTarget):
    """A folder on this machine, or one that is mounted here."""

    kind: Literal["local"]
    """Says that the target is a folder."""
    folder: ResolvedPath | None = None
    """Folder of the archive. A relative path counts from the policy file's folder."""
    mount: ResolvedPath | None = None
    """Mount point above the folder, such as `"/mnt/nas"`. While nothing is mounted there, nothing is written:
    the empty folder beneath must not be filled."""
    marked: Annotated[bool, Field(strict=True)] = False
    """`true` demands the file `.ari-recorder-target` in the folder, so that neither an empty mount point nor
    another disk is taken for the archive. `ari-recorder target test --prepare` puts it there."""

    @model_validator(mode="after")
    def _consistent(self) -> LocalTarget:
        if self.mount and self.folder and not self.folder.is_relative_to(self.mount):
            raise ValueError('has a "folder" that does not lie below its "mount"')
        return self

    def missing(self) -> tuple[str, ...]:
        return ("folder",) if self.folder is None else ()

    @property
    def place(self) -> str:
        """Where the recordings go, for people."""
        return str(self.folder or "?")
