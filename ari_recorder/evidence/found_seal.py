"""The seal that a recorder left behind in a recording's folder, and died before it could journal it.

`seal.seal` appends the link to the chain's log first and gives the files their final names then. So one final
name says that the recording is sealed. Where none stands yet, and the signature has its temporary name, only
that recorder's own log tells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..model.errors import IntegrityError
from ..model.evidence import Link, Sealed
from ..model.recording import Recording
from . import manifest
from .links import read_log
from .seal import TEMPORARY, WRITTEN, read_back, settle


class Log:
    """The log of a chain, read when first asked, and never changed; ConfigError `evidence.unreadable`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def link_of(self, recording_id: str) -> Link | None:
        return self._read[0].get(recording_id)

    def tells_of(self, chain: str) -> bool:
        """It has links of this chain, and what it does not name is not in it."""
        links, whole = self._read
        return whole and any(link.chain == chain for link in links.values())

    @property
    def is_empty(self) -> bool:
        """Nothing was ever sealed in it."""
        links, whole = self._read
        return whole and not links

    @cached_property
    def _read(self) -> tuple[Mapping[str, Link], bool]:
        """Links by their recording's id, and whether every line could be read."""
        chains, findings = read_log(self._path)
        torn = self._path.read_bytes()[-1:] not in (b"", b"\n")  # a line that a crash tore off never counted
        return {link.recording: link for links in chains.values() for link in links}, len(findings) <= torn


@dataclass(frozen=True, slots=True)
class Logs:
    """Which chains can be asked."""

    theirs: Log | None = None
    """Of the recorder that recorded; None where nobody named it."""
    own: Log | None = None
    """What is adopted may come from a disk that this recorder had itself."""

    def link_of(self, recording_id: str, *, begun: bool) -> Link | None:
        """`begun`: a seal was, so that a look into the own log, which may be long, is worth it."""
        link = self.theirs.link_of(recording_id) if self.theirs is not None else None
        return self.own.link_of(recording_id) if link is None and begun and self.own is not None else link

    def tell_of(self, chain: str) -> bool:
        """What none of them names is not in this chain.

        Theirs, when empty, is that of a chain that had not begun; an empty own one says nothing of theirs.
        """
        if self.theirs is not None and (self.theirs.is_empty or self.theirs.tells_of(chain)):
            return True
        return self.own is not None and self.own.tells_of(chain)


NO_LOGS = Logs()


def found_seal(recording: Recording, folder: Path, logs: Logs) -> Sealed | None:
    """The seal in a folder, with all its final names; None when there is none, as far as can be told.

    IntegrityError `evidence.missing` or `evidence.altered` when it is sealed and what lies here is not that
    seal, whole. OSError.
    """
    link = logs.link_of(recording.id, begun=(folder / f"{TEMPORARY}.sig").exists())
    name = _final_name(folder) or (link.name if link is not None else None)
    if name is None:
        return None
    if not any((folder / each).exists() for each in (f"{name}.sig", f"{TEMPORARY}.sig")):
        raise IntegrityError(
            "evidence.missing",
            f"It was sealed as {name}, and its signature is not here.",
            remedy="Look for its files in the archives, and for another copy of this folder.",
        )
    settle(folder, name, recording.assembled)
    sealed = read_back(folder, _stated(recording, folder, name))
    if link is not None and sealed.link != link:
        raise IntegrityError(
            "evidence.altered", f"The seal {name} is not the one that its chain's log names."
        )
    return sealed


def doubtful_seal(folder: Path, logs: Logs) -> str | None:
    """What is known of a signed seal without any final name, where no log tells whether it counts."""
    if not (folder / f"{TEMPORARY}.sig").exists():
        return None
    try:
        content = manifest.decode((folder / f"{TEMPORARY}.json").read_bytes())
        link = manifest.link_in(content, "")
    except (OSError, ValueError):
        return "a link that cannot be told"
    if logs.tell_of(link.chain):
        return None
    return f"link {link.number} of the chain {link.chain[:16]}…, {link.name}"


def _final_name(folder: Path) -> str | None:
    for path in sorted(folder.glob("[!.]*")):
        for suffix in WRITTEN:
            name = path.name.removesuffix(suffix)
            if path.name != name != "recording":  # the journal's, which is never a seal's
                return name
    return None


def _stated(recording: Recording, folder: Path, name: str) -> Link:
    """The link that the metadata states; `read_back` compares them with the signed hashes."""
    try:
        signature = hashlib.sha256((folder / f"{name}.sig").read_bytes()).hexdigest()
        link = manifest.link_in(manifest.decode((folder / f"{name}.json").read_bytes()), signature)
    except ValueError as error:
        raise IntegrityError(
            "evidence.altered", f"The metadata of {name} cannot be read: {error}."
        ) from error
    if (link.name, link.recording) != (name, recording.id):
        raise IntegrityError("evidence.altered", f"The seal {name} is not this recording's.")
    return link
