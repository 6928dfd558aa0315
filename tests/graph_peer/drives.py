"""A drive as a folder on the disk: items with ids, hashes and download addresses.

<https://learn.microsoft.com/graph/api/resources/driveitem>. Names are the same whatever their case.
"""

from __future__ import annotations

import base64
import os
import secrets
import stat
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .names import refused
from .wire import RefusedError

WIDTH = 160
HALVINGS = 14


def quick_xor(path: Path) -> str:
    """QuickXorHash in Base64: byte i is XORed in at bit 11·i of 160, the length into the last 64 bits.

    <https://learn.microsoft.com/onedrive/developer/code-snippets/quickxorhash>
    """
    fold = 0
    size = 0
    with path.open("rb") as stream:
        while block := stream.read(WIDTH << HALVINGS):
            size += len(block)
            number = int.from_bytes(block, "little")
            for halving in reversed(range(HALVINGS)):  # bytes 160 apart meet: 160·11 is a multiple of 160
                bits = WIDTH * 8 << halving
                number = (number >> bits) ^ (number & ((1 << bits) - 1))
            fold ^= number
    found = 0
    for i, byte in enumerate(fold.to_bytes(WIDTH, "little")):
        shifted = byte << (11 * i % 160)
        found ^= (shifted & (1 << 160) - 1) | (shifted >> 160)
    found ^= size << 96
    return base64.b64encode(found.to_bytes(20, "little")).decode("ascii")


@dataclass
class Drive:
    folder: Path
    id: str = "b!drive-1"
    hashes: str = "quickXorHash"
    """Which hash items show: `quickXorHash`, `sha256Hash`, or none at all (empty)."""
    read_only: bool = False
    room: int | None = None
    """Bytes that still fit."""
    labels: set[str] = field(default_factory=set)
    labelled: dict[str, str] = field(default_factory=dict)
    """Path → retention label."""
    _ids: dict[str, str] = field(default_factory=dict)
    _cache: dict[tuple[str, int, int], str] = field(default_factory=dict)
    _guard: threading.RLock = field(default_factory=threading.RLock)

    def by_id(self, item: str) -> Path:
        """Where an item lies; RefusedError 404."""
        if item == "root":
            return self.folder
        for relative, known in list(self._ids.items()):
            if known == item and os.path.lexists(self.folder / relative):
                return self.folder / relative
        raise RefusedError(404, "itemNotFound", "The resource could not be found.")

    def below(self, start: Path, names: list[str]) -> Path:
        """Follow a path; names match in any case. RefusedError 404 or 400."""
        place = start
        for name in names:
            self.check_name(place, name)
            found = self.child(place, name)
            if found is None:
                raise RefusedError(404, "itemNotFound", "The resource could not be found.")
            place = found
        return place

    def child(self, parent: Path, name: str) -> Path | None:
        if parent.is_symlink() or not parent.is_dir():
            return None
        return next((p for p in parent.iterdir() if p.name.casefold() == name.casefold()), None)

    def check_name(self, parent: Path, name: str) -> None:
        if (why := refused(name, at_root=parent == self.folder)) is not None:
            raise RefusedError(400, "invalidRequest", f"The provided name cannot be used: {why}.")

    def check_writable(self, size: int = 0) -> None:
        if self.read_only:
            raise RefusedError(403, "accessDenied", "Either scp or roles claim need to be present.")
        if self.room is not None and size > self.room:
            raise RefusedError(507, "quotaLimitReached", "Insufficient Space Available")

    def make_folder(self, parent: Path, name: str) -> Path:
        self.check_name(parent, name)
        self.check_writable()
        with self._guard:
            if not parent.is_dir():
                raise RefusedError(404, "itemNotFound", "The parent is gone.")
            if self.child(parent, name) is not None:
                raise RefusedError(409, "nameAlreadyExists", "Name already exists")
            (parent / name).mkdir()
            return parent / name

    def commit(self, part: Path, parent: Path, name: str, *, replace: bool) -> Path:
        """A whole file gets its name, in one step."""
        self.check_writable(part.stat().st_size)
        with self._guard:
            if not parent.is_dir():
                raise RefusedError(404, "itemNotFound", "The parent is gone.")
            there = self.child(parent, name)
            if there is not None and (not replace or there.is_dir()):
                raise RefusedError(409, "nameAlreadyExists", "Another file exists with the same name.")
            part.replace(parent / name)
            return parent / name

    def remove(self, place: Path) -> None:
        self.check_writable()
        with self._guard:
            self._ids.pop(str(place.relative_to(self.folder)), None)
            place.unlink()

    def rename(self, place: Path, name: str) -> None:
        """As a person would: the folder and all in it keep their ids."""
        with self._guard:
            old, new = (str(one.relative_to(self.folder)) for one in (place, place.with_name(name)))
            place.rename(place.with_name(name))
            self._ids = {
                new + path.removeprefix(old) if Path(path).is_relative_to(old) else path: item
                for path, item in self._ids.items()
            }

    def id_of(self, place: Path) -> str:
        if place == self.folder:
            return "01ROOT"
        with self._guard:
            return self._ids.setdefault(
                str(place.relative_to(self.folder)), f"01{secrets.token_hex(16).upper()}"
            )

    def document(self, place: Path, base: str) -> dict[str, Any]:
        """The driveItem as JSON."""
        facts = place.lstat()
        relative = "" if place == self.folder else place.relative_to(self.folder).as_posix()
        found: dict[str, Any] = {
            "id": self.id_of(place),
            "name": place.name if relative else "root",
            "eTag": f'"{{{self.id_of(place)}}},{facts.st_mtime_ns}"',
            "lastModifiedDateTime": f"{datetime.fromtimestamp(int(facts.st_mtime), UTC):%Y-%m-%dT%H:%M:%SZ}",
            "webUrl": f"https://contoso.example/Documents/{relative}".rstrip("/"),
            "parentReference": {"driveId": self.id, **self._parent(place)},
            "size": facts.st_size,
        }
        if stat.S_ISDIR(facts.st_mode):
            return found | {"folder": {"childCount": len(list(place.iterdir()))}}
        if not stat.S_ISREG(facts.st_mode):
            return found | {"package": {"type": "oneNote"}}
        shown = {self.hashes: self._hash(place, facts)} if self.hashes else {}
        address = f"{base}/download/{self.id_of(place)}?tempauth={secrets.token_hex(8)}"
        return found | {"file": {"hashes": shown}, "@microsoft.graph.downloadUrl": address}

    def _parent(self, place: Path) -> dict[str, str]:
        """<https://learn.microsoft.com/graph/api/resources/itemreference>: a path is percent-encoded."""
        if place == self.folder:
            return {}
        parent = place.parent.relative_to(self.folder).as_posix()
        path = f"/drives/{self.id}/root:" + (f"/{quote(parent)}" if parent != "." else "")
        return {"id": self.id_of(place.parent), "path": path}

    def _hash(self, place: Path, facts: os.stat_result) -> str:
        key = (str(place), facts.st_mtime_ns, facts.st_size)
        if key not in self._cache:
            self._cache[key] = quick_xor(place)
        return self._cache[key]
