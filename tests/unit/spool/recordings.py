"""Sealed recordings for the tests, and targets that do as they are told."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ari_recorder.config import targets as config
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.delivery import Receipt
from ari_recorder.model.evidence import Link, Sealed, SealedFile
from ari_recorder.model.recording import Call, Chosen, Recording, State
from ari_recorder.spool.folders import RecordingFolder, Spool
from ari_recorder.targets.base import Confirms, Properties, Stat
from ari_recorder.targets.local import LocalTarget

AT = datetime(2026, 11, 21, 22, 50, 46, tzinfo=UTC)
SUFFIXES = (".wav", "_info.txt", ".json", ".sha256", ".sig")
CERTIFICATE = "c0ffee00" * 8


def recording(own: str = "r-1", *targets: str, state: State = State.DECIDED) -> Recording:
    call = Call("pbx", "c1", Direction.INBOUND, Party("+4930123456"), Party("1001"), created_at=AT)
    return Recording(own, state, AT, call, Chosen("everything", "7", targets=targets))


def contents(own: str) -> dict[str, bytes]:
    """The sealed files of a recording by name, in the order of delivery."""
    return {f"{own}{suffix}": f"{own} {suffix} ".encode() * 50 for suffix in SUFFIXES}


def sealed(spool: Spool, own: str = "r-1", *targets: str) -> RecordingFolder:
    """A recording in the spool that waits for its delivery."""
    folder = spool.create(recording(own, *targets))
    files = contents(own)
    for name, content in files.items():
        (folder.path / name).write_bytes(content)
    (folder.legs / "leg.sln").write_bytes(b"leg")
    entries = tuple(SealedFile(n, len(c), hashlib.sha256(c).hexdigest()) for n, c in files.items())
    seal = Sealed(own, entries, Link(1, own, own, AT, "00" * 32, None), CERTIFICATE)
    folder.update(lambda r: replace(r, state=State.SEALED, sealed=seal))
    return folder


def local_target(folder: Path, name: str = "archive") -> LocalTarget:
    made = LocalTarget(config.LocalTarget(kind="local", name=name, folder=folder))
    made.prepare()
    return made


def stored(folder: Path) -> dict[str, bytes]:
    """Every file below a target's root by its path there, part files included."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class ToldTarget:
    """Keeps files in memory; `before_put` may raise, wait, or do nothing."""

    properties = Properties(atomic_rename=True, server_side_hash=False, confirms=Confirms.SIZE)

    def __init__(self, name: str, before_put: Callable[[PurePosixPath], None] = lambda _: None) -> None:
        self.name = name
        self.path_template = "$Y/$M"
        self.before_put = before_put
        self.files: dict[PurePosixPath, bytes] = {}
        self.puts: list[PurePosixPath] = []
        self.most_at_once = 0
        self.closed = threading.Event()
        self._at_once = 0
        self._guard = threading.Lock()

    def prepare(self) -> None: ...

    def put(self, source: Path, path: PurePosixPath, *, sha256: str, size: int) -> Receipt:
        with self._guard:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.puts.append(path)
        try:
            self.before_put(path)
            self.files[path] = source.read_bytes()
        finally:
            with self._guard:
                self._at_once -= 1
        return Receipt(str(path), size, sha256, AT, "size")

    def stat(self, path: PurePosixPath) -> Stat | None:
        return Stat(len(self.files[path])) if path in self.files else None

    def open(self, path: PurePosixPath) -> BinaryIO:
        return io.BytesIO(self.files[path])

    def delete(self, path: PurePosixPath) -> bool:
        return self.files.pop(path, None) is not None

    def close(self) -> None:
        self.closed.set()
