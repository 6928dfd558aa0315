"""The chain's log: one line of JSON for each sealed recording, append-only, durable.

A recording is sealed when, and only when, its link's line stands here with its line end. At start the index
beside the log (`index.py`) tells where the part begins that has to be read; in memory are its head, the heads
of the archives, and the lines since the index's last block.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal

from ..disk import durable
from ..disk.faults import fault_point
from ..model import document
from ..model.errors import ConfigError, IntegrityError, PermanentError
from ..model.evidence import Link, Predecessor
from .index import BLOCK, Index, key_of
from .standing import FORMAT, Standing

Kind = Literal["recording", "name"]
"""By what a line is looked up."""

REPEATED = "its recording or name is in the log already"


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
        self._standing = Standing()
        self._index = Index(path.with_name(f"{path.name}.index"))
        self._recent = _none()
        """Offset of each line behind the index, by recording and by name."""
        self._digest = hashlib.sha256()
        """Of these lines."""
        self._damage = ""
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
        return self._standing.number

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
            self._index.close()
        if handle >= 0:
            os.close(handle)

    @property
    def head(self) -> Predecessor | None:
        """The last link, as the next one will name it."""
        return self._standing.head

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the chain from drafting a link to appending it; threads queue here."""
        with self._turn:
            yield

    def link_of(self, recording_id: str) -> Link | None:
        """The link of a recording, None when it is not sealed. Waits for nobody's turn."""
        return self._find("recording", recording_id)

    def prove(self) -> None:
        """Read what start took on trust from the index: seconds for a million links. Waits for nobody's turn.

        IntegrityError `seal.chain` when these lines were changed; from then on nothing is appended.
        """
        number = 1
        with durable.explained(f"Reading the chain's log {self.path}"), self.path.open("rb") as log:
            for block in self._index.blocks:
                last = block.standing.number
                if _sha256(log, block.begin, block.standing.size) != block.sha256:
                    self._damage = f"in one of the lines {number} to {last}: they were changed"
                    raise self._damaged(self._damage)
                number = last + 1

    def next(
        self,
        recording_id: str,
        name: str,
        targets: tuple[str, ...],
        certificate_sha256: str,
        sealed_at: datetime,
    ) -> Link:
        """The link that would come next, still without its signature; inside `turn()` it will."""
        with self._turn:
            standing = self._standing
            return Link(
                number=standing.number + 1,
                recording=recording_id,
                name=name,
                sealed_at=sealed_at,
                signature_sha256="",
                previous=standing.head,
                places=tuple(standing.place(target) for target in dict.fromkeys(targets)),
                chain=standing.chain or certificate_sha256,
            )

    def append(self, link: Link) -> None:
        """Commit a drafted link: on return it is on the disk and counts for ever."""
        with self._turn:
            self._check_usable(link)
            line = encode(link)
            row = json.loads(line)
            fault = self._standing.misfit(row)
            if fault is None and self.link_of(link.recording) is not None:
                fault = "its recording is in the log already"
            if fault:
                raise IntegrityError("seal.chain", f"{link.name} does not continue the chain: {fault}.")
            with durable.explained(f"Writing to the chain's log {self.path}"):
                self._write(line)
            self._take(row, line)
            self._index_block()

    def _check_usable(self, link: Link) -> None:
        if self._broken or self._handle < 0:
            raise PermanentError(
                "spool.unusable",
                f"The chain's log {self.path} could not be brought back to a known state.",
                remedy="Look at the disk, then restart the recorder: it reads the log afresh.",
            )
        if self._damage:
            raise self._damaged(self._damage)
        if self._find("name", link.name) is not None:
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
            durable.cut(self._handle, self._standing.size)
            self._broken = False
            raise

    def _read(self) -> None:
        self._standing = self._index.load(self._handle)
        self._check_end()
        with os.fdopen(os.dup(self._handle), "rb") as log:
            log.seek(self._standing.size)
            for line in log:
                if not line.endswith(b"\n"):
                    self._set_aside(line)
                    break
                self._read_line(line)
                if self._block_is_full:
                    self._check_unique()
                    self._index_block()
        self._check_unique()

    def _check_end(self) -> None:
        """A log that lost its end looks sound, and its numbers would be given a second time."""
        if (link := self._index.contradiction) is not None:
            raise IntegrityError(
                "seal.chain",
                f"The chain's log {self.path} lacks link {link.number}, {link.name}, which its index knows: "
                "it lost its end, was changed there, or is an older copy.",
                remedy="Restore the newest log. Where there is none, begin a new chain with a new key. "
                f"Delete {self._index.path} only if you know that the log lacks nothing: the numbers behind "
                "its end are given then, whether or not they were before.",
            )

    def _read_line(self, line: bytes) -> None:
        fault: str | None
        try:
            row = json.loads(line)
            fault = self._standing.misfit(row) or self._repeats(row)
        except (ValueError, RecursionError):
            fault = "it is not JSON"
        except (TypeError, KeyError, AttributeError):
            fault = f"it is not an entry of format {FORMAT}"
        if fault:
            raise self._damaged(f"in line {self._standing.number + 1}: {fault}")
        self._take(row, line)

    def _repeats(self, row: dict[str, Any]) -> str | None:
        recent = self._recent
        known = row["recording"] in recent["recording"] or row["name"] in recent["name"]
        return REPEATED if known else None

    def _check_unique(self) -> None:
        """No line behind the index repeats one within: of all at once, which is quicker than line by line."""
        every = {
            key_of(kind, value): (kind, value, offset)
            for kind, values in self._recent.items()
            for value, offset in values.items()
        }
        for key in self._index.known(set(every)):
            kind, value, offset = every[key]
            if self._indexed(kind, value) is not None:
                raise self._damaged(f"in line {self._decoded(offset).number}: {REPEATED}")

    def _damaged(self, what: str) -> IntegrityError:
        return IntegrityError(
            "seal.chain",
            f"The chain's log {self.path} is damaged {what}.",
            remedy="Restore the log from a backup; do not edit it. Nothing is sealed until then.",
        )

    def _find(self, kind: Kind, value: str) -> Link | None:
        recent = self._recent  # first: lines leave here only after they have come into the index
        with durable.explained(f"Reading the chain's log {self.path}"):
            offset = recent[kind].get(value)
            return self._decoded(offset) if offset is not None else self._indexed(kind, value)

    def _indexed(self, kind: Kind, value: str) -> Link | None:
        for offset in self._index.offsets(key_of(kind, value)):
            link = self._decoded(offset)
            if value == (link.name if kind == "name" else link.recording):
                return link
        return None

    def _decoded(self, offset: int) -> Link:
        with self.path.open("rb") as log:
            log.seek(offset)
            line = log.readline()
        try:
            return decode(line)
        except ValueError as error:
            raise IntegrityError(
                "seal.chain", f"The chain's log {self.path} was changed: {error} at byte {offset}."
            ) from error

    def _take(self, row: dict[str, Any], line: bytes) -> None:
        self._standing.take(row, len(line))
        self._digest.update(line)
        self._recent["recording"][row["recording"]] = self._standing.last
        self._recent["name"][row["name"]] = self._standing.last

    @property
    def _block_is_full(self) -> bool:
        count = len(self._recent["recording"])
        return count > 0 and count % BLOCK == 0

    def _index_block(self) -> None:
        """Hand the lines behind the index over to it, once they are many. Without success they stay here."""
        if not self._block_is_full:
            return
        offsets = (
            (key_of(kind, value), offset)
            for kind, values in self._recent.items()
            for value, offset in values.items()
        )
        if self._index.add(self._standing, self._digest.hexdigest(), offsets):
            self._recent, self._digest = _none(), hashlib.sha256()

    def _set_aside(self, line: bytes) -> None:
        """What a crash tore off never counted: its seal's files still had their temporary names."""
        aside = self.path.with_name(f"{self.path.name}.torn-{self._standing.size}")
        durable.remove(aside)
        durable.write_new(aside, line)
        durable.sync_folder(self.path.parent)
        durable.cut(self._handle, self._standing.size)
        self.torn = aside


def signed(link: Link, signature_sha256: str) -> Link:
    """A drafted link with the hash of its signature file."""
    return replace(link, signature_sha256=signature_sha256)


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A killed process may have left lines that only the kernel has. Read now they count, and the index,
        # which nobody syncs, may reach the disk before them.
        durable.sync_file(path)
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


def _none() -> dict[Kind, dict[str, int]]:
    return {"recording": {}, "name": {}}


def _sha256(log: BinaryIO, begin: int, end: int) -> str:
    digest = hashlib.sha256()
    log.seek(begin)
    while begin < end and (piece := log.read(min(durable.BLOCK, end - begin))):
        digest.update(piece)
        begin += len(piece)
    return digest.hexdigest()
