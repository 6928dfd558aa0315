"""Seal an assembled recording: metadata, hashes, signature, link.

The order makes a crash harmless:
1. everything is written under temporary names and is on the disk, names included;
2. the link is appended to the chain's log: from here on the recording is sealed, before it is not;
3. the files get their final names.
Called again after a crash, `seal` begins afresh when 2 had not happened and finishes 3 when it had.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

from ..model.errors import ConfigError, IntegrityError
from ..model.evidence import Link, Sealed, SealedFile
from ..model.recording import Assembled, AudioFile, Recording
from . import durable, info, manifest
from .chain import Chain, signed
from .keys import Keys

WRITTEN = ("_info.txt", ".json", ".sha256", ".sig")
"""Suffixes of the files a seal adds to the audio, in the order of delivery."""

TEMPORARY = ".sealing"
LONGEST_NAME = 200
"""Bytes of a base name, so that every suffix and a target's own temporary suffix still fit into 255."""


def seal(recording: Recording, folder: Path, name: str, keys: Keys, chain: Chain, *, now: datetime) -> Sealed:
    """Seal `recording`, whose audio lies in `folder`, under the base name `name`.

    Audio files get their final names too (manifest.audio_names). For a recording that is sealed already
    nothing is written: missing renames are made up for, the files are checked, `name` and `now` are
    ignored. Blocks on the disk; threads take turns.

    Raises IntegrityError (`evidence.altered`, `evidence.missing`, `seal.chain`), ConfigError
    (`config.value` for an unusable name), TransientError (`spool.full`, `spool.unusable`).
    """
    assembled = recording.assembled
    if assembled is None or not assembled.files:
        raise ValueError(f"recording {recording.id} is not assembled")
    with durable.explained(f"Sealing {name}"):
        if chain.link_of(recording.id) is None:
            check_name(name)
            _check_audio(assembled, folder, name)  # outside the turn: a long file must not hold up others
        with chain.turn():
            link = chain.link_of(recording.id)
            if link is None:
                link = _commit(recording, folder, name, keys, chain, now)
            _settle(folder, link.name, assembled)
        return _read_back(folder, link)


def _commit(recording: Recording, folder: Path, name: str, keys: Keys, chain: Chain, now: datetime) -> Link:
    _clear(folder, name)
    draft = chain.next(recording.id, name, recording.setting.targets, keys.fingerprint, now)
    contents = _contents(recording, draft, keys)
    for suffix, data in contents.items():
        durable.write_new(folder / (TEMPORARY + suffix), data)
    durable.sync_folder(folder)
    link = signed(draft, hashlib.sha256(contents[".sig"]).hexdigest())
    chain.append(link)
    return link


def _contents(recording: Recording, link: Link, keys: Keys) -> dict[str, bytes]:
    """The four files a seal adds, by suffix."""
    content = manifest.describe(recording, link, keys.fingerprint)
    told = {"_info.txt": info.write(content), ".json": manifest.encode(content)}
    sums = [(audio["sha256"], audio["name"]) for audio in content["audio"]]
    sums += [(hashlib.sha256(data).hexdigest(), link.name + suffix) for suffix, data in told.items()]
    # Exactly what `sha256sum` prints, so that `sha256sum -c` checks it.
    listing = "".join(f"{digest}  {file}\n" for digest, file in sums).encode()
    return {**told, ".sha256": listing, ".sig": keys.sign(listing)}


def _clear(folder: Path, name: str) -> None:
    """Make room. Temporary files of an attempt that never counted go; sealed files never do."""
    for suffix in WRITTEN:
        durable.remove(folder / (TEMPORARY + suffix))
        if (folder / (name + suffix)).exists():
            raise IntegrityError(
                "seal.chain",
                f"{folder / (name + suffix)} is there although the chain's log has no link for it.",
                remedy="The log may be an old copy: restore the newest one. Sealed files are not replaced.",
            )


def _settle(folder: Path, name: str, assembled: Assembled) -> None:
    """Final names for all that does not have them yet."""
    pairs = [(folder / file.name, folder / final) for file, final in _finals(assembled, name)]
    pairs += [(folder / (TEMPORARY + suffix), folder / (name + suffix)) for suffix in WRITTEN]
    for source, final in pairs:
        if final.exists():
            continue
        if not source.exists():
            raise IntegrityError("evidence.missing", f"The sealed file {final} is missing.")
        durable.rename(source, final)
    durable.sync_folder(folder)


def _finals(assembled: Assembled, name: str) -> list[tuple[AudioFile, str]]:
    return list(zip(assembled.files, manifest.audio_names(name, assembled), strict=True))


def _check_audio(assembled: Assembled, folder: Path, name: str) -> None:
    for file, final in _finals(assembled, name):
        path = folder / file.name
        if not path.exists():
            raise IntegrityError("evidence.missing", f"The assembled file {path} is missing.")
        if final != file.name and (folder / final).exists():
            raise IntegrityError("evidence.altered", f"{folder / final} is there although it is not sealed.")
        durable.sync_file(path)
        if durable.digest(path) != (file.sha256, file.bytes):
            raise IntegrityError(
                "evidence.altered",
                f"{path} is not what was assembled: it was changed before it could be sealed.",
                remedy="Assemble the recording again from its legs.",
            )


def _read_back(folder: Path, link: Link) -> Sealed:
    """What lies on the disk now, compared with the link and with the list of hashes."""
    signature = (folder / f"{link.name}.sig").read_bytes()
    listing = (folder / f"{link.name}.sha256").read_bytes()
    if hashlib.sha256(signature).hexdigest() != link.signature_sha256:
        raise IntegrityError("evidence.altered", f"{folder / link.name}.sig is not what was sealed.")
    files = []
    for line in listing.decode().splitlines():
        told, _, name = line.partition("  ")
        digest, size = durable.digest(folder / name)
        if digest != told:
            raise IntegrityError("evidence.altered", f"{folder / name} is not what was sealed.")
        files.append(SealedFile(name, size, digest))
    for suffix, data in ((".sha256", listing), (".sig", signature)):
        files.append(SealedFile(link.name + suffix, len(data), hashlib.sha256(data).hexdigest()))
    content = manifest.decode((folder / f"{link.name}.json").read_bytes())
    return Sealed(link.name, tuple(files), link, content["recording"]["certificate_sha256"])


def check_name(name: str) -> None:
    """A base name every tool and file system takes, and that cannot look like something else."""
    fine = name.isprintable() and not set(name) & set('/\\:*?"<>|') and name[:1] not in ("", ".", "-", " ")
    if not fine or name[-1] in ". " or len(name.encode()) > LONGEST_NAME or name == "recording":
        raise ConfigError(
            "config.value",
            f"{name!r} cannot be the base name of sealed files.",
            remedy="Change the template for file names.",
        )
