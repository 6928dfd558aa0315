"""A power cut: what was never synced is gone.

Remembers what each fsync(2) made durable, a file's bytes or a folder's names, and can give back a tree in
which nothing else is left. `Disk.cut()` is the poorest disk: a name counts once its folder was synced. With
`names_early` it is one that brought every name to the disk at once, as file systems may, but no bytes.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

Tree = dict[str, bytes | None]
"""By relative path; None is a folder."""


class Disk:
    """Everything below `root`. What stands there at the beginning is durable. Slow: for small trees."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._bytes: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        self._folders: set[int] = set()
        self._held: list[int] = []
        """Handles: an inode that is remembered must not be given to another file."""
        self.settle()

    def settle(self) -> None:
        """Everything is durable as it is."""
        for path in (self.root, *self.root.rglob("*")):
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            self.fsync(handle)
            os.close(handle)

    def fsync(self, handle: int) -> None:
        """Stands in for `os.fsync`."""
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            self._names[found.st_ino] = {name: self._hold(name, handle) for name in os.listdir(handle)}
            return
        self._hold(f"/proc/self/fd/{handle}")
        self._bytes[found.st_ino] = Path(f"/proc/self/fd/{handle}").read_bytes()

    def cut(self, *, names_early: bool = False) -> Tree:
        """What is left when the power fails now."""
        if names_early:
            return {
                str(path.relative_to(self.root)): None if path.is_dir() else self._kept(path)
                for path in sorted(self.root.rglob("*"))
            }
        left: Tree = {}
        self._gather(self.root.stat().st_ino, "", left)
        return left

    def restore(self, tree: Tree) -> None:
        """Put a tree in the place of what stands there now."""
        shutil.rmtree(self.root)
        self.root.mkdir()
        for name, content in tree.items():
            if content is None:
                (self.root / name).mkdir()
            else:
                (self.root / name).write_bytes(content)

    def close(self) -> None:
        for handle in self._held:
            os.close(handle)

    def _hold(self, name: str, folder: int | None = None) -> int:
        handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        self._held.append(handle)
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            self._folders.add(found.st_ino)
        return found.st_ino

    def _kept(self, path: Path) -> bytes:
        return self._bytes.get(path.stat().st_ino, b"")

    def _gather(self, folder: int, prefix: str, left: Tree) -> None:
        for name, inode in sorted(self._names.get(folder, {}).items()):
            is_folder = inode in self._folders
            left[prefix + name] = None if is_folder else self._bytes.get(inode, b"")
            if is_folder:
                self._gather(inode, f"{prefix}{name}/", left)
