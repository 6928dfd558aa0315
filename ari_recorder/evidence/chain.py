"""The chain's log: one line of JSON for each sealed recording, append-only, durable.

A recording is sealed when, and only when, its link's line stands here with its line end. The log is read
once at start; after that only its head, the heads of the archives and an index stay in memory.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from ..disk import durable
from ..disk.faults import fault_point
from ..model import document
from ..model.errors import ConfigError, IntegrityError, PermanentError
from ..model.evidence import ArchivePlace, Link, Predecessor

FORMAT = "ari-recorder/link/1"


def encode(link: Link) -> bytes:
    """A link as a line of the log, ASCII only, line end included."""
    row = {"format": FORMAT, **document.plain(link)}
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Link:
    """The link of a line; ValueError when it is none."""
    try:
        row = json.loads(line)
        if not isinstance(row, dict) or row.pop("format", None) != FORMAT:
            raise ValueError(f"it is not an entry of format {FORMAT}")
        return document.load(Link, json.dumps(row))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


class Chain:
    """The open log. Only one process can hold it open; its methods may be called from any thread.

    Raises IntegrityError `seal.chain`, naming the line, when the log is damaged; PermanentError
    `spool.in-use` when another recorder has it open; TransientError `spool.*` when the disk fails.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn: Path | None = None
        """Where a line that a crash had torn off was set aside at start."""
        self._turn = threading.RLock()
        self._offsets: dict[str, int] = {}
        self._names: set[str] = set()
        self._places: dict[str, tuple[int, str]] = {}
        self._head: Predecessor | None = None
        self._name = ""
        self._size = 0
        self._broken = False
        with durable.explained(f"Opening the chain's log {path}"):
            self._handle = _locked(path)
        try:
            with durable.explained(f"Reading the chain's log {path}"):
                self._read()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._offsets)

    def __enter__(self) -> Chain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the log back, after whoever has its turn. Harmless when closed already."""
        with self._turn:
            handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    @property
    def head(self) -> Predecessor | None:
        """The last link, as the next one will name it."""
        return self._head

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the chain from drafting a link to appending it; threads queue here."""
        with self._turn:
            yield

    def link_of(self, recording_id: str) -> Link | None:
        """The link of a recording, None when it is not sealed."""
        with self._turn:
            offset = self._offsets.get(recording_id)
            if offset is None:
                return None
            with durable.explained(f"Reading the chain's log {self.path}"), self.path.open("rb") as log:
                log.seek(offset)
                line = log.readline()
        try:
            return decode(line)
        except ValueError as error:
            raise IntegrityError(
                "seal.chain", f"The chain's log {self.path} was changed: {error} at byte {offset}."
            ) from error

    def next(
        self,
        recording_id: str,
        name: str,
        targets: tuple[str, ...],
        certificate_sha256: str,
        sealed_at: datetime,
    ) -> Link:
        """The link that would come next, still without its signature. Call inside `turn()`."""
        with self._turn:
            head = self._head
            return Link(
                number=head.number + 1 if head else 1,
                recording=recording_id,
                name=name,
                sealed_at=sealed_at,
                signature_sha256="",
                previous=head,
                places=tuple(self._place(target) for target in dict.fromkeys(targets)),
                chain=self._name or certificate_sha256,
            )

    def append(self, link: Link) -> None:
        """Commit a drafted link: on return it is on the disk and counts for ever."""
        with self._turn:
            self._check_usable(link)
            line = encode(link)
            row = json.loads(line)
            fault = self._misfit(row)
            if fault:
                raise IntegrityError("seal.chain", f"{link.name} does not continue the chain: {fault}.")
            with durable.explained(f"Writing to the chain's log {self.path}"):
                self._write(line)
            self._take(row, len(line))

    def _place(self, target: str) -> ArchivePlace:
        number, previous = self._places.get(target, (0, None))
        return ArchivePlace(target, number + 1, previous)

    def _check_usable(self, link: Link) -> None:
        if self._broken or self._handle < 0:
            raise PermanentError(
                "spool.unusable",
                f"The chain's log {self.path} could not be brought back to a known state.",
                remedy="Look at the disk, then restart the recorder: it reads the log afresh.",
            )
        if link.name in self._names:
            raise ConfigError(
                "config.value",
                f"The file name {link.name} is already that of another sealed recording.",
                remedy="Use a template for file names that holds the time or the recording's id.",
            )

    def _write(self, line: bytes) -> None:
        fault_point("seal.append")
        try:
            durable.append(self._handle, line)
        except OSError:
            self._broken = True
            durable.cut(self._handle, self._size)
            self._broken = False
            raise

    def _read(self) -> None:
        with os.fdopen(os.dup(self._handle), "rb") as log:
            for number, line in enumerate(log, 1):
                if not line.endswith(b"\n"):
                    self._set_aside(line)
                    return
                self._read_line(number, line)

    def _read_line(self, number: int, line: bytes) -> None:
        fault: str | None
        try:
            row = json.loads(line)
            fault = self._misfit(row)
        except (ValueError, RecursionError):
            fault = "it is not JSON"
        except (TypeError, KeyError, AttributeError):
            fault = f"it is not an entry of format {FORMAT}"
        if fault:
            raise IntegrityError(
                "seal.chain",
                f"The chain's log {self.path} is damaged in line {number}: {fault}.",
                remedy="Restore the log from a backup; do not edit it. Nothing is sealed until then.",
            )
        self._take(row, len(line))

    def _misfit(self, row: dict[str, Any]) -> str | None:
        """Why a row does not continue what was read so far. Plain dictionaries, for a quick start."""
        head = self._head
        if row["format"] != FORMAT:
            return f"its format is not {FORMAT}"
        if row["number"] != (head.number + 1 if head else 1):
            return f"its number is {row['number']!r}, expected {head.number + 1 if head else 1}"
        previous = row["previous"]
        told = (previous["number"], previous["name"], previous["signature_sha256"]) if previous else None
        if told != (None if head is None else (head.number, head.name, head.signature_sha256)):
            return "it names another predecessor than the line before it"
        if self._name and row["chain"] != self._name:
            return "it belongs to another chain"
        if row["recording"] in self._offsets or row["name"] in self._names:
            return "its recording or name is in the log already"
        for place in row["places"]:
            number, name = self._places.get(place["target"], (0, None))
            if (place["number"], place["previous"]) != (number + 1, name):
                return f"its place in the archive {place['target']!r} does not follow the one before"
        fields = (row["name"], row["recording"], row["signature_sha256"], row["chain"], row["sealed_at"])
        return None if all(type(field) is str and field for field in fields) else "a field is missing"

    def _take(self, row: dict[str, Any], size: int) -> None:
        name = row["name"]
        self._head = Predecessor(row["number"], name, row["signature_sha256"])
        self._name = row["chain"]
        self._offsets[row["recording"]] = self._size
        self._names.add(name)
        for place in row["places"]:
            self._places[place["target"]] = (place["number"], name)
        self._size += size

    def _set_aside(self, line: bytes) -> None:
        """What a crash tore off never counted: its seal's files still had their temporary names."""
        aside = self.path.with_name(f"{self.path.name}.torn-{self._size}")
        durable.remove(aside)
        durable.write_new(aside, line)
        durable.sync_folder(self.path.parent)
        durable.cut(self._handle, self._size)
        self.torn = aside


def signed(link: Link, signature_sha256: str) -> Link:
    """A drafted link with the hash of its signature file."""
    return replace(link, signature_sha256=signature_sha256)


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        durable.sync_folder(path.parent)
    except BlockingIOError as error:
        os.close(handle)
        raise PermanentError(
            "spool.in-use",
            f"Another recorder has the chain's log {path} open.",
            remedy="Stop it, or give this recorder its own spool folder.",
        ) from error
    except BaseException:
        os.close(handle)
        raise
    return handle
