"""What is remembered over a restart: uploads under way, and stored files that are in doubt."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

import structlog

from ...model.errors import RecorderError
from ..vault import Vault

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """One thread's hold on one upload."""

    kept: Kept
    key: str
    url: str | None
    """The secret address under which the upload goes on; None when there is none."""
    mine: bool

    def keep(self, url: str, expires: datetime) -> None:
        """Remember where the upload goes on, and until when; also when only that has changed."""
        if self.mine:
            self.kept.keep(self.key, url, expires)

    def forget(self) -> None:
        if self.mine:
            self.kept.forget(self.key)


class Kept:
    """Which uploads are under way, over a restart. One thread at a time works on each."""

    def __init__(self, vault: Vault | None, name: str, clock: Callable[[], datetime] | None = None) -> None:
        self._clock = clock or (lambda: datetime.now(UTC))
        self._sheet = _Sheet(vault, f"{name}.uploads")
        self._guard = threading.Lock()
        self._claimed: set[str] = set()
        self._known: dict[str, tuple[str, datetime]] | None = None

    @contextmanager
    def claim(self, key: str, *, keeping: bool) -> Iterator[Claim]:
        """Work on an upload. What another thread works on is neither gone on with nor remembered twice."""
        with self._guard:
            mine = keeping and key not in self._claimed
            if mine:
                self._claimed.add(key)
            now = self._clock()
            url, expires = self._all().get(key, ("", now))
        try:
            yield Claim(self, key, url if mine and expires > now else None, mine)
        finally:
            if mine:
                with self._guard:
                    self._claimed.discard(key)

    def keep(self, key: str, url: str, expires: datetime) -> None:
        with self._guard:
            if self._all().get(key) != (url, expires):
                self._all()[key] = (url, expires)
                self._write()

    def forget(self, key: str) -> None:
        with self._guard:
            if self._all().pop(key, None) is not None:
                self._write()

    def _all(self) -> dict[str, tuple[str, datetime]]:
        if self._known is None:
            self._known = self._read()
        return self._known

    def _read(self) -> dict[str, tuple[str, datetime]]:
        found = self._sheet.read()
        try:
            return {key: (url, datetime.fromisoformat(expires)) for key, (url, expires) in found.items()}
        except ValueError as error:
            self._sheet.unread(error)
            return {}

    def _write(self) -> None:
        now = self._clock()
        self._known = {key: one for key, one in self._all().items() if one[1] > now}
        self._sheet.write({key: (url, expires.isoformat()) for key, (url, expires) in self._known.items()})


class Doubts:
    """Files that got their final name and were never confirmed: by path, their id and eTag.

    They are the recorder's own to delete, also after a restart, as long as nobody has changed them.
    """

    def __init__(self, vault: Vault | None, name: str) -> None:
        self._sheet = _Sheet(vault, f"{name}.doubts")
        self._guard = threading.Lock()
        self._known: dict[str, tuple[str, str]] | None = None

    def remember(self, path: PurePosixPath, item: str, etag: str) -> None:
        with self._guard:
            self._all()[str(path)] = (item, etag)
            self._sheet.write(self._all())

    def holds(self, path: PurePosixPath, item: str, etag: str) -> bool:
        with self._guard:
            return bool(etag) and self._all().get(str(path)) == (item, etag)

    def forget(self, path: PurePosixPath) -> None:
        with self._guard:
            if self._all().pop(str(path), None) is not None:
                self._sheet.write(self._all())

    def _all(self) -> dict[str, tuple[str, str]]:
        if self._known is None:
            self._known = self._sheet.read()
        return self._known


class _Sheet:
    """Pairs of words by key, in the vault. What cannot be read or kept is logged, and then not there."""

    def __init__(self, vault: Vault | None, file: str) -> None:
        self._vault = vault
        self._file = file

    def read(self) -> dict[str, tuple[str, str]]:
        try:
            content = self._vault.read(self._file) if self._vault is not None else None
            return {key: (one, other) for key, (one, other) in json.loads(content or b"{}").items()}
        except (RecorderError, ValueError) as error:  # then large files are begun anew: no more than that
            self.unread(error)
            return {}

    def unread(self, error: Exception) -> None:
        log.warning(f"{self._file}: {error}", action="onedrive.unread")

    def write(self, content: dict[str, tuple[str, str]]) -> None:
        if self._vault is None:
            return
        try:
            self._vault.write(self._file, json.dumps(content).encode("utf-8"))
        except RecorderError as error:
            log.warning(error.sentence, action="onedrive.not-kept", code=error.code)
