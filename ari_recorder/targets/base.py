"""The contract every target keeps, and what all of them share.

A target is a tree of files below one root. Paths are relative to that root and use "/". All methods block
and may be called from several threads at once; none may block for ever: a server that stops answering is
an error within the target's own time limit.

`put` is the heart of it:

1. A file that already stands under the final name is read back. The same content is adopted (nothing is
   sent again); a different one, or a folder, is PermanentError `target.conflict`: never overwritten.
2. Missing folders below the root are made. The root itself is not: a root that is gone is a share that is
   not mounted, and PermanentError `target.missing`. `prepare` makes the root, when an admin asks for it.
3. The bytes go to `part_name(…)` in the same folder. The name holds the content's hash, so whoever writes
   there writes the same bytes: leftovers of a torn upload are written over and two writers cannot harm each
   other. Therefore a part file is never opened in a way that empties it.
4. Size and SHA-256 are read back from the target, from the part file, where the target can do so.
5. Only then does the file get its final name, in one atomic step that does not overwrite.

Errors are the classes of `model.errors` with a `target.*` code, or `evidence.*` when the source itself is
not what was sealed. A target never retries: `spool/retry.py` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Protocol, runtime_checkable

from ..disk.digest import digest
from ..model.delivery import Receipt
from ..model.errors import IntegrityError, PermanentError, RecorderError, TransientError
from . import pace
from .progress import Followed
from .source import opened


class Confirms(StrEnum):
    """How a target proves that it holds what was sent."""

    READ_BACK = "read-back"
    SERVER_HASH = "server-hash"
    SIZE = "size"


@dataclass(frozen=True, slots=True)
class Properties:
    """What a target can do. The conformance suite demands exactly what is claimed here."""

    atomic_rename: bool
    """A file appears under its final name whole, or not at all."""
    server_side_hash: bool
    """The target can hash a file without sending it."""
    confirms: Confirms


@dataclass(frozen=True, slots=True)
class Stat:
    bytes: int
    modified_at: datetime | None = None
    regular: bool = True
    """A file; not a folder, link or device."""


class Target(Protocol):
    """See the module's text for the contract."""

    @property
    def name(self) -> str:
        """How settings, journal and messages call the target."""

    @property
    def path_template(self) -> str:
        """Template of the sub-folder of each recording, see `targets/paths.py`."""

    @property
    def properties(self) -> Properties: ...

    def prepare(self) -> None:
        """Make the root folder where it is missing. Never called by a delivery."""

    def put(self, source: Path, path: PurePosixPath, *, sha256: str, size: int) -> Receipt:
        """Store `source`, which must have that SHA-256 (hex) and size (bytes); idempotent."""

    def stat(self, path: PurePosixPath) -> Stat | None:
        """What stands under `path`; None when nothing does."""

    def open(self, path: PurePosixPath) -> BinaryIO:
        """A stored file for reading, to be closed by the caller. PermanentError `target.missing`."""

    def delete(self, path: PurePosixPath) -> bool:
        """Remove a file; False when it was not there. Folders stay."""

    def close(self) -> None:
        """Let go of connections; calls that are under way fail with a TransientError."""


@runtime_checkable
class Expiring(Protocol):
    """A target whose login does not last for ever."""

    def login_warnings(self) -> tuple[RecorderError, ...]:
        """What is wrong with the login, or will be soon (`target.expiring`); empty when all is well.

        Blocks: the login service may be asked, also in order to keep the login alive. TransientError when it
        could not be, so that nothing can be said.
        """


def checked(path: PurePosixPath) -> PurePosixPath:
    """`path` when it stays below a target's root; ValueError else, for that is a mistake of ours."""
    if path.is_absolute() or not path.name or ".." in path.parts or "\0" in str(path):
        raise ValueError(f"not a path inside a target: {path}")
    return path


def part_name(name: str, sha256: str) -> str:
    """The name a file has while it is not whole: hidden, recognisable, and the content's own."""
    return f".{name}.{sha256[:16]}.part"


def is_part(name: str) -> bool:
    """Whether a file is a part file: one that no recorder is at work on is rubbish and may be deleted."""
    return name.startswith(".") and name.endswith(".part")


def chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(pace.piece(stream)):
        yield chunk


def open_source(source: Path, *, sha256: str, size: int) -> BinaryIO:
    """The sealed file to be sent, checked first: what is not what was sealed leaves nothing anywhere.

    It reads no faster than the target's bandwidth allows (pace.py).
    IntegrityError `evidence.missing` or `evidence.altered`; the first also from a later read.
    """
    stream = opened(source)
    try:
        if digest(stream) != (sha256, size):
            raise IntegrityError(
                "evidence.altered",
                f"The file {source.name} in the spool is not what was sealed; it was not delivered.",
                remedy=f"Check the disk, and keep {source.parent} as it is.",
            )
        stream.seek(0)
    except BaseException:
        stream.close()
        raise
    return pace.at_pace(stream)


def digest_back(stream: IO[bytes]) -> tuple[str, int]:
    """As `digest`, of what a target gives back."""
    return digest(Followed(stream))


def adopted(target: Target, path: PurePosixPath, *, sha256: str, size: int) -> Receipt | None:
    """A receipt when the very file stands under its final name already; None when nothing does.

    PermanentError `target.conflict` when something else stands there.
    """
    there = target.stat(path)
    if there is None:
        return None
    if there.regular and there.bytes == size:
        with target.open(path) as stream:
            if digest_back(stream) == (sha256, size):
                return receipt(path, sha256=sha256, size=size)
    raise PermanentError(
        "target.conflict",
        f'A different file already stands under {path} in target "{target.name}"; it was not overwritten.',
        remedy="Move the other file away; the delivery is then made by itself.",
    )


def taken_away(target: Target, path: PurePosixPath) -> TransientError:
    """Neither the part file nor the final one is there any more, so no other writer was faster."""
    return TransientError(
        "target.torn",
        f'{path} was taken away from target "{target.name}" while it was at work on.',
        remedy="If this is seen again: a program that moves or deletes files there? Exclude the folder.",
    )


def receipt(
    path: PurePosixPath,
    *,
    sha256: str,
    size: int,
    how: Confirms = Confirms.READ_BACK,
    link: str | None = None,
) -> Receipt:
    """The receipt of a file that stands under its final name now; people find its folder under `link`."""
    now = datetime.now(UTC)
    return Receipt(path=str(path), bytes=size, sha256=sha256, confirmed_at=now, how=how, link=link)


def mismatch(target: str, path: PurePosixPath) -> IntegrityError:
    """What was read back is not what was sent."""
    return IntegrityError(
        "target.mismatch",
        f'What target "{target}" gave back for {path} is not what was sent; the file got no final name.',
        remedy="If this is seen again, check the target's disk and memory.",
    )
