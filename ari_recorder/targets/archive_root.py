"""The root of a folder target: entered, it is held open, so that nobody can put another folder in its place.

A disk may be unmounted at any moment. Whoever then goes by paths fills the empty folder beneath. So the root
is opened once for each piece of work, looked at through that handle, and everything below it is reached
through the handle too: what is unmounted meanwhile, even lazily, leaves the work on the disk where it began.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..config import targets as config
from ..disk import durable
from ..disk.mounts import disk_at, mount_point_of
from ..model.errors import ConfigError, PermanentError

MARK = ".ari-recorder-target"
"""File in the root of a marked target: its name, in one line."""

FOLDER_MODE = 0o750
MARK_MODE = 0o640


class ArchiveRoot:
    """Methods raise OSError besides what they name."""

    def __init__(self, settings: config.LocalTarget) -> None:
        self.path = Path(settings.folder or "")
        self._target = settings.name
        self._mount = settings.mount
        self._marked = settings.marked

    @contextmanager
    def entered(self) -> Iterator[Path]:
        """The root under a path that stays this very folder. PermanentError `target.missing` or
        `target.not-mounted`."""
        with self._opened() as root:
            if self._marked:
                self._demand_mark(root)
            yield root

    def prepare(self) -> None:
        """Make the folder, below a disk that must be mounted, and mark it where it is to be marked."""
        if self._mount is not None:
            with self._held(self._mount) as (handle, _):
                self._demand_mount(handle, self._mount)
        durable.make_folders(self.path, FOLDER_MODE)
        if not self._marked:
            return
        with self._opened() as root:
            try:
                durable.write_new(root / MARK, self._mark(), MARK_MODE)
            except FileExistsError:
                self._demand_mark(root)
            durable.sync_folder(root)

    @contextmanager
    def _opened(self) -> Iterator[Path]:
        with self._held(self.path) as (handle, root):
            if self._mount is not None:
                self._demand_mount(handle, self._mount)
            yield root

    @contextmanager
    def _held(self, folder: Path) -> Iterator[tuple[int, Path]]:
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._missing() from error
        try:
            yield handle, Path(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)

    def _missing(self) -> PermanentError:
        if self._mount is not None and not _is_mounted(self._mount):
            return self._not_mounted(self._mount)
        return PermanentError(
            "target.missing",
            f'The folder {self.path} of target "{self._target}" does not exist.',
            remedy="Create it, or mount the share that belongs there.",
        )

    def _demand_mount(self, handle: int, mount: Path) -> None:
        if not _below(mount_point_of(handle), mount):
            raise self._not_mounted(mount)

    def _not_mounted(self, mount: Path) -> PermanentError:
        return PermanentError(
            "target.not-mounted",
            f'Nothing is mounted at {mount}, where target "{self._target}" lies; nothing was written there.',
            remedy=f"Mount it, for instance: mount {mount}. What waits is then delivered by itself.",
        )

    def _mark(self) -> bytes:
        return f"{self._target}\n".encode()

    def _demand_mark(self, root: Path) -> None:
        try:
            found = (root / MARK).read_bytes()
        except FileNotFoundError as error:
            raise PermanentError(
                "target.not-mounted",
                f'The folder {self.path} of target "{self._target}" does not bear the mark {MARK}: '
                "perhaps nothing is mounted there; nothing was written.",
                remedy="Mount what belongs there. If this is the right folder, mark it once: "
                f"ari-recorder target test --prepare {self._target}",
            ) from error
        if found != self._mark():
            raise ConfigError(
                "target.not-mounted",
                f'The folder {self.path} is marked as another target\'s, not "{self._target}".',
                remedy=f"Mount the right disk there, or correct the folder, or remove {MARK} from it.",
            )


def _below(place: Path | None, mount: Path) -> bool:
    """Whether a disk that is mounted at `place` counts as the one of `mount`."""
    return place is not None and place.is_relative_to(mount.resolve())


def _is_mounted(mount: Path) -> bool:
    try:
        return _below(disk_at(mount), mount)
    except OSError:
        return False
