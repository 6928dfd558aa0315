"""The nouns of evidence: a link of the chain and what a seal leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The link before this one. `signature_sha256` is the SHA-256 of that recording's `.sig` file."""

    number: int
    name: str
    signature_sha256: str


@dataclass(frozen=True, slots=True)
class ArchivePlace:
    """A recording's place among those owed to one target, so that an archive can be checked by itself.

    `number` counts from 1 without holes for each target; `previous` is the recording before it there.
    """

    target: str
    number: int
    previous: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """One line of the chain's log."""

    number: int
    """Counts from 1 without holes, for each recorder."""
    recording: str
    """The recording's id."""
    name: str
    """The base name of its sealed files."""
    sealed_at: datetime
    signature_sha256: str
    previous: Predecessor | None
    places: tuple[ArchivePlace, ...] = ()
    chain: str = ""
    """Names the chain: the fingerprint of the certificate its first link was signed with."""


@dataclass(frozen=True, slots=True)
class SealedFile:
    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """A recording's sealed files, in the order in which they are delivered: the signature last."""

    name: str
    files: tuple[SealedFile, ...]
    link: Link
    certificate_sha256: str
