"""Steps 3 to 7 of a verification: one recording, by itself. Nothing in it is believed before step 3."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..model.evidence import Link
from . import header, info, listing, manifest
from .archive import Group, UnreadableError, beginning, digest, read, shown
from .certificates import Certificate, Certificates
from .findings import Finding, Stated, Step
from .listing import AUDIO
from .visible import visible

LARGEST_LISTING = 64 * 1024
LARGEST_SIGNATURE = 16 * 1024
LARGEST_METADATA = 16 << 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Member:
    """A recording whose signature and metadata hold: it may speak for its place in the chain."""

    link: Link
    file: str
    """Its `.sig`, safe to print."""
    base: str
    """The base name it has now; `link.name` is the one it was sealed under."""
    signer: str
    """Fingerprint of the certificate."""
    stated: tuple[Stated, ...] = ()
    """Not empty: it is a statement, and no recording."""


@dataclass(slots=True)
class Examined:
    """What steps 3 to 7 found out about one recording."""

    group: Group
    findings: list[Finding] = field(default_factory=list)
    changed: list[tuple[Path, str]] = field(default_factory=list)
    """Files that are not what was sealed, with the SHA-256 they have now."""
    sealed: dict[str, str] = field(default_factory=dict)
    """SHA-256 → name, as signed."""
    claimed: set[Path] = field(default_factory=set)
    member: Member | None = None
    files: int = 0
    bytes: int = 0

    @property
    def intact(self) -> bool:
        return self.member is not None and not self.findings and not self.changed


def examine(group: Group, certificates: Certificates) -> Examined:
    """Never raises for anything the files may hold."""
    work = _Examination(group, certificates)
    work.run()
    return work.result


class _Examination:
    def __init__(self, group: Group, certificates: Certificates) -> None:
        self.group = group
        self.certificates = certificates
        self.result = Examined(group, claimed={group.path(suffix) for suffix in AUDIO})
        self.listed: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}
        self.name = group.base

    def run(self) -> None:
        sums = self._guarded(Step.FILES, ".sha256", lambda path: read(path, LARGEST_LISTING))
        signature = self._guarded(Step.FILES, ".sig", lambda path: read(path, LARGEST_SIGNATURE))
        if sums is None:
            return
        signer = None if signature is None else self._signature(sums, signature)
        if not self._names(sums, signer is not None):
            return
        self._hashes()
        if signature is not None and signer is not None and ".json" in self.contents:
            self._metadata(signer, hashlib.sha256(signature).hexdigest())

    def _signature(self, sums: bytes, signature: bytes) -> Certificate | None:
        """Step 3."""
        folder, base = self.group.folder, visible(self.group.base)
        if not self.certificates.candidates(folder):
            sentence = "cannot be checked: there is no certificate (*.crt) in its folder or above."
            self._add("evidence.certificate", Step.CERTIFICATE, ".sig", sentence)
            return None
        signer = self.certificates.signer(folder, sums, signature)
        if signer is None:
            sentence = (
                f"is not a signature of {base}.sha256 by the certificate: one of the two was changed, "
                "or somebody else signed."
            )
            self._add("evidence.signature", Step.SIGNATURE, ".sig", sentence)
        return signer

    def _names(self, data: bytes, proven: bool) -> bool:
        """Step 4. The hashes by suffix; False when the list is of no use."""
        try:
            self.name, self.listed = listing.decode(data)
        except ValueError:
            if proven:
                self._add("evidence.altered", Step.NAMES, ".sha256", "does not list one recording's files.")
            return False
        self.result.claimed = {self.group.path(suffix) for suffix in self.listed}
        if proven:
            self.result.sealed = {told: self.name + suffix for suffix, told in self.listed.items()}
        if self.name != self.group.base:
            sentence = f"belongs to {visible(self.name)}: files were renamed or exchanged."
            self._add("evidence.altered", Step.NAMES, ".sha256", sentence)
        return True

    def _hashes(self) -> None:
        """Step 5. Keeps the metadata's bytes that were hashed: what is parsed later is what was proven."""
        for suffix, told in self.listed.items():
            found = self._guarded(Step.HASHES, suffix, digest if suffix in AUDIO else self._keep)
            if found is None:
                continue
            actual, size = found
            self.result.files += 1
            self.result.bytes += size
            if actual != told:
                self.contents.pop(suffix, None)
                self.result.changed.append((self.group.path(suffix), actual))

    def _keep(self, path: Path) -> tuple[str, int]:
        data = read(path, LARGEST_METADATA)
        self.contents[path.name.removeprefix(self.group.base)] = data
        return hashlib.sha256(data).hexdigest(), len(data)

    def _metadata(self, signer: Certificate, signature_sha256: str) -> None:
        """Step 6."""
        try:
            content = manifest.decode(self.contents[".json"])
            link = manifest.link_in(content, signature_sha256)
        except ValueError as error:
            sentence = f"cannot be understood: {visible(str(error))}."
            self._add("evidence.altered", Step.METADATA, ".json", sentence)
            return
        audio = [item for item in _list(content.get("audio")) if isinstance(item, dict)]
        listed = {self.name + suffix: told for suffix, told in self.listed.items() if suffix in AUDIO}
        if link.name != self.name or {info.as_text(i.get("name")): i.get("sha256") for i in audio} != listed:
            sentence = "names other files than the signed list beside it."
            self._add("evidence.altered", Step.METADATA, ".json", sentence)
        if content["recording"].get("certificate_sha256") != signer.fingerprint:
            sentence = f"names another certificate than the one that signed, {signer.fingerprint}."
            self._add("evidence.certificate", Step.METADATA, ".json", sentence)
        self._agreement(content)
        self._headers(audio)
        file = shown(self.group.path(".sig"))
        stated = _stated(content.get("statement"), file)
        self.result.member = Member(link, file, self.group.base, signer.fingerprint, stated)

    def _agreement(self, content: manifest.Document) -> None:
        if "_info.txt" not in self.contents:
            return
        try:
            keys = info.disagreements(content, info.read(self.contents["_info.txt"]))
        except ValueError as error:
            sentence = f"cannot be understood: {visible(str(error))}."
            self._add("evidence.altered", Step.METADATA, "_info.txt", sentence)
            return
        if keys:
            sentence = f"says something else than the JSON file: {visible(', '.join(keys[:5]))}."
            self._add("evidence.altered", Step.METADATA, "_info.txt", sentence)

    def _headers(self, audio: list[dict[str, Any]]) -> None:
        """Step 7, for files whose hash was right: a recorder at fault, not somebody who changed it."""
        changed = {path for path, _ in self.result.changed}
        for item in audio:
            suffix = info.as_text(item.get("name")).removeprefix(self.name)
            path = self.group.path(suffix)
            if suffix in self.listed and path not in changed:
                fault = self._guarded(Step.AUDIO, suffix, partial(_unlike, item))
                if fault:
                    self._add("evidence.altered", Step.AUDIO, suffix, fault)

    def _guarded(self, step: Step, suffix: str, work: Callable[[Path], T]) -> T | None:
        path = self.group.path(suffix)
        try:
            return work(path)
        except FileNotFoundError:
            self._add("evidence.missing", step, suffix, "is missing.")
        except UnreadableError as error:
            self._add("evidence.unreadable", step, suffix, f"{error}.")
        return None

    def _add(self, code: str, step: Step, suffix: str, sentence: str) -> None:
        self.result.findings.append(Finding(code, step, shown(self.group.path(suffix)), sentence))


def _unlike(item: dict[str, Any], path: Path) -> str | None:
    """How the audio differs from what the metadata says of it."""
    size = path.stat().st_size
    try:
        actual = header.Header.parse(beginning(path, header.ENOUGH), size)
    except ValueError as error:
        return f"cannot be played as sealed: {error}."
    found = {
        "bytes": size,
        "channels": actual.channels,
        "coding": actual.coding.value,
        "rate": actual.rate,
        "samples": actual.samples,
    }
    told = {**{key: item.get(key) for key in found}, "channels": len(_list(item.get("channels")))}
    odd = [
        f"{key} {found[key]}, told {visible(info.as_text(told[key]))}"
        for key in found
        if found[key] != told[key]
    ]
    return f"is not the audio that the metadata describes: {'; '.join(odd)}." if odd else None


def _stated(entries: Any, file: str) -> tuple[Stated, ...]:
    keys = ("kind", "pbx", "at", "until", "reason", "detail")
    items = [item for item in _list(entries) if isinstance(item, dict)]
    texts = ({key: visible(info.as_text(item.get(key))) for key in keys} for item in items)
    return tuple(Stated(**text, file=file) for text in texts)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
