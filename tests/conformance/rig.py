"""What the suite needs of a kind of target: a real place, a look behind its back, and ways to break it.

A kind adds a file `rig_<kind>.py` with a subclass and names it in `conftest.RIGS`.
"""

from __future__ import annotations

import hashlib
import shutil
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Self

from ari_recorder.config import targets as config
from ari_recorder.targets.base import Target, is_part
from ari_recorder.targets.register import make_target
from ari_recorder.targets.steps import Step


@dataclass(frozen=True)
class Sample:
    """A file to be sent, and what is promised of it."""

    path: Path
    sha256: str
    size: int


class Rig(ABC):
    """`target` is ready for use on an empty root. What the tests see of it lies in `root`, if that is a
    folder here; a kind that keeps its files elsewhere overrides the methods that look."""

    kind: ClassVar[str]
    networked: ClassVar[bool] = True
    """It has a server: may be frozen, killed, reached through a relay, and refuses wrong logins."""
    steps: ClassVar[tuple[Step, ...]] = tuple(s for s in Step if s not in (Step.FETCH, Step.DELETE))
    """Those that a first `put` goes through."""
    last_look: ClassVar[Step] = Step.READ_BACK
    """When what was written can still be spoilt, or its place taken away, and the target has to notice."""

    root: Path
    target: Target
    port: int = 0
    """Of the server, on the loopback interface."""

    def __init__(self, folder: Path) -> None:
        """`folder` is empty and for this rig alone."""
        self.folder = folder
        self._made: list[Target] = []

    def takes(self, name: str) -> bool:
        """Whether a file may have that name there; one that may not is refused before anything is sent."""
        return True

    @abstractmethod
    def start(self) -> None:
        """Start the server, or start it again after `kill`; the first time also make `target`."""

    @abstractmethod
    def settings(self, **changes: object) -> config.Target:
        """Settings of a target for the place, some of them changed. They can be sent to another process."""

    def make(self, **changes: object) -> Target:
        """Another target for the same place, with some settings changed; closed at the end."""
        return self.kept(make_target(self.settings(**changes)))

    def kept(self, target: Target) -> Target:
        """To be closed at the end."""
        self._made.append(target)
        return target

    def through(self, port: int, *, timeout: float) -> Target:
        """Another target for the same place, whose server is reached at another port."""
        return self.make(port=port, timeout=timeout)

    def impatient(self, timeout: float) -> Target:
        """Another target that gives a silent server so many seconds."""
        return self.make(timeout=timeout)

    def kill(self) -> None:
        """As a power cut would: the server and everything under way."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Stop answering without closing anything, until `thaw`."""
        raise NotImplementedError

    def thaw(self) -> None:
        raise NotImplementedError

    def wrong_login(self) -> Target:
        """A target with a user, password or key that the server refuses."""
        raise NotImplementedError

    @abstractmethod
    def denied(self) -> AbstractContextManager[Target]:
        """A target whose root may be read but not written; to be used inside the context only."""

    @abstractmethod
    def full(self) -> AbstractContextManager[Target]:
        """A target with space for less than 3 MB, or a quota of that; to be used inside the context only."""

    def renew(self, folder: Path) -> None:
        """As new, for another test: the server goes on, the root is empty, `folder` is this test's alone."""
        Rig.close(self)
        self._made.clear()
        self.folder = folder
        if self.networked:
            self.thaw()
        self.start()
        if self.root_exists:
            self.remove_root()
        self.target = self.make()
        self.target.prepare()

    def close(self) -> None:
        for target in self._made:
            target.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Looking at what is stored, and meddling with it, not by way of the target:

    def names(self) -> list[str]:
        """Every file below the root, part files included."""
        return sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if not p.is_dir())

    def read(self, path: PurePosixPath) -> bytes:
        return (self.root / path).read_bytes()

    def sha256(self, path: PurePosixPath) -> str:
        with (self.root / path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def identity(self, path: PurePosixPath) -> tuple[object, ...]:
        """Changes when the file is written or replaced."""
        found = (self.root / path).stat()
        return (found.st_ino, found.st_mtime_ns)

    def size(self, path: PurePosixPath) -> int | None:
        """Bytes under the final name; None when nothing stands there."""
        try:
            return (self.root / path).stat().st_size
        except FileNotFoundError:
            return None

    def plant(self, path: PurePosixPath, content: bytes) -> None:
        """A file as somebody else, or a torn upload, would leave it."""
        (self.root / path.parent).mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)

    def plant_folder(self, path: PurePosixPath) -> None:
        (self.root / path).mkdir(parents=True)

    def spoil_parts(self, content: bytes) -> None:
        """Bad blocks: what stands in every part file is now something else."""
        parts = [p for p in self.root.rglob("*") if is_part(p.name)]
        assert parts
        for part in parts:
            part.write_bytes(content)

    def remove_root(self) -> None:
        shutil.rmtree(self.root)

    @property
    def root_exists(self) -> bool:
        return self.root.exists()
