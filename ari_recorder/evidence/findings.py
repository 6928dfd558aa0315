"""What a verification says: findings, and what was looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from ..model.errors import CODES

Progress = Callable[[int, int, str], None]
"""Called with recordings done, recordings in all, and the base name just done."""


class Step(IntEnum):
    """The steps of a verification, numbered as in docs/reference/evidence.md and in check.sh."""

    FILES = 1
    CERTIFICATE = 2
    SIGNATURE = 3
    NAMES = 4
    HASHES = 5
    METADATA = 6
    AUDIO = 7
    CHAIN = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. All strings are safe to print (visible.py)."""

    code: str
    """`evidence.*` of model.errors.CODES."""
    step: Step
    file: str
    """The file, or the folder when there is no file to name."""
    sentence: str

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"error code {self.code!r} is not registered in CODES")

    def __str__(self) -> str:
        return f"{self.file}: {self.sentence} [{self.code}]"


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate that signatures were verified with. Compare the fingerprint with its owner's."""

    fingerprint: str
    subject: str
    file: str
    signatures: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far one chain was checked."""

    chain: str
    recordings: int
    """Recordings of this chain whose signature and metadata hold."""
    checked_as: str
    """`whole chain`, `archive of target <name>` or `part` (gaps were not looked for)."""
    last: int
    """The highest number seen in that count; whether more followed only the chain's log can tell."""
    with_log: bool


@dataclass(frozen=True, slots=True)
class Stated:
    """What a sealed statement says, as text that is safe to print."""

    kind: str
    """`gap`, `refusal`, or a word of a newer recorder."""
    pbx: str
    at: str
    until: str
    reason: str
    detail: str
    file: str


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `verify`."""

    recordings: int
    intact: int
    files: int
    bytes: int
    signers: tuple[Signer, ...]
    coverage: tuple[Coverage, ...]
    findings: tuple[Finding, ...]
    statements: int = 0
    """Sealed sets that are no recordings; not counted among them."""
    stated: tuple[Stated, ...] = ()
    """What those say whose signature and metadata hold, in the order of their begin."""

    @property
    def ok(self) -> bool:
        """Everything that was looked at is what was sealed, and there was something to look at."""
        return not self.findings and self.recordings + self.statements > 0
