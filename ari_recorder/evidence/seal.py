"""Seal an assembled recording: metadata, hashes, signature, link.

The order makes a crash harmless:
1. everything is written under temporary names and is on the disk, names included;
2. the link is appended to the chain's log: from here on the recording is sealed, before it is not;
3. the files get their final names.
Called again after a crash, `seal` begins afresh when 2 had not happened and finishes 3 when it had.

Only 2 needs a turn at the chain. 1 is done before, on the guess that nobody else's link comes in between, and
again where one did: a spool folder that hangs keeps nobody else from sealing. Only who had no luck `GUESSES`
times does it within the turn.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

from ..disk import durable
from ..disk.digest import digest_of
from ..disk.faults import fault_point
from ..model.errors import ConfigError, IntegrityError
from ..model.evidence import Link, Sealed, SealedFile
from ..model.recording import Assembled, AudioFile, Recording
from . import info, listing, manifest
from .chain import Chain, signed
from .keys import Keys

WRITTEN = ("_info.txt", ".json", ".sha256", ".sig")
"""Suffixes of the files a seal adds to the audio, in the order of delivery."""

TEMPORARY = ".sealing"
GUESSES = 3
"""How often the files are written before a turn, whoever comes in between."""
LONGEST_NAME = 200
"""Bytes of a base name, so that every suffix and a target's own temporary suffix still fit into 255."""


def seal(recording: Recording, folder: Path, name: str, keys: Keys, chain: Chain, *, now: datetime) -> Sealed:
    """Seal `recording`, whose audio lies in `folder`, under the base name `name`.

    Audio files get their final names too (manifest.audio_names). For a recording that is sealed already
    nothing is written: missing renames are made up for, the files are checked, `name` and `now` are
    ignored. Blocks on the disk. Threads may seal side by side, each in a folder of its own.

    Raises IntegrityError (`evidence.altered`, `evidence.missing`, `seal.chain`), ConfigError
    (`config.value` for an unusable name), TransientError (`spool.full`, `spool.unusable`).
    """
    assembled = recording.assembled
    if assembled is None or not (assembled.files or recording.statement):
        raise ValueError(f"recording {recording.id} is not assembled")
    with durable.explained(f"Sealing {name}"):
        link = chain.link_of(recording.id)
        if link is None:
            check_name(name)
            _check_audio(assembled, folder, name)
            link = _commit(recording, folder, name, keys, chain, now)
        settle(folder, link.name, assembled)
        sealed = read_back(folder, link)
        _demand_own(sealed, folder, keys)
        return sealed


def _commit(recording: Recording, folder: Path, name: str, keys: Keys, chain: Chain, now: datetime) -> Link:
    def draft() -> Link:
        return chain.next(recording.id, name, recording.setting.targets, keys.fingerprint, now)

    for _ in range(GUESSES):
        guess = draft()
        link = _write(recording, folder, guess, keys)
        with chain.turn():
            if draft() == guess:
                chain.append(link)
                return link
    with chain.turn():
        link = _write(recording, folder, draft(), keys)
        chain.append(link)
    return link


def _write(recording: Recording, folder: Path, draft: Link, keys: Keys) -> Link:
    """Everything under temporary names, on the disk; the draft with its signature."""
    _clear(folder, draft.name)
    contents = _contents(recording, draft, keys)
    for suffix, data in contents.items():
        fault_point("seal.write")
        durable.write_new(folder / (TEMPORARY + suffix), data)
    durable.sync_folder(folder)
    return signed(draft, hashlib.sha256(contents[".sig"]).hexdigest())


def _contents(recording: Recording, link: Link, keys: Keys) -> dict[str, bytes]:
    """The four files a seal adds, by suffix."""
    encoded = manifest.encode(manifest.describe(recording, link, keys.fingerprint))
    content = manifest.decode(encoded)  # the text is written from what the JSON file says
    told = {"_info.txt": info.write(content), ".json": encoded}
    sums = [(audio["name"], audio["sha256"]) for audio in content["audio"]]
    sums += [(link.name + suffix, hashlib.sha256(data).hexdigest()) for suffix, data in told.items()]
    sums_file = listing.encode(sums)
    return {**told, ".sha256": sums_file, ".sig": keys.sign(sums_file)}


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


def settle(folder: Path, name: str, assembled: Assembled | None) -> None:
    """Final names for all that does not have them yet; IntegrityError `evidence.missing`."""
    audio = _finals(assembled, name) if assembled else []
    pairs = [(folder / file.name, folder / final) for file, final in audio]
    pairs += [(folder / (TEMPORARY + suffix), folder / (name + suffix)) for suffix in WRITTEN]
    for source, final in pairs:
        if final.exists():
            continue
        if not source.exists():
            raise IntegrityError("evidence.missing", f"The sealed file {final} is missing.")
        fault_point("seal.rename")
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
        if digest_of(path) != (file.sha256, file.bytes):
            raise IntegrityError(
                "evidence.altered",
                f"{path} is not what was assembled: it was changed before it could be sealed.",
                remedy="Assemble the recording again from its legs.",
            )


def read_back(folder: Path, link: Link) -> Sealed:
    """What lies on the disk now, compared with the link and the list of hashes; IntegrityError, OSError."""
    own = {suffix: (folder / (link.name + suffix)).read_bytes() for suffix in (".sha256", ".sig")}
    if hashlib.sha256(own[".sig"]).hexdigest() != link.signature_sha256:
        raise _altered(folder / f"{link.name}.sig")
    try:
        name, sums = listing.decode(own[".sha256"])
    except ValueError as error:
        raise _altered(folder / f"{link.name}.sha256") from error
    files = []
    for suffix, told in sums.items():
        digest, size = digest_of(folder / (link.name + suffix))
        if digest != told:
            raise _altered(folder / (link.name + suffix))
        files.append(SealedFile(link.name + suffix, size, digest))
    for suffix, data in own.items():
        files.append(SealedFile(link.name + suffix, len(data), hashlib.sha256(data).hexdigest()))
    if name != link.name:
        raise _altered(folder / f"{link.name}.sha256")
    return Sealed(link.name, tuple(files), link, _certificate_in(folder / f"{link.name}.json"))


def _demand_own(sealed: Sealed, folder: Path, keys: Keys) -> None:
    """The padding has no random part, so the same key makes the same signature. A key that was changed since
    cannot tell: then the hashes have to do."""
    sums, signature = (folder / (sealed.name + suffix) for suffix in (".sha256", ".sig"))
    own = sealed.certificate_sha256 == keys.fingerprint
    if own and keys.sign(sums.read_bytes()) != signature.read_bytes():
        raise _altered(sums)


def _certificate_in(path: Path) -> str:
    return str(manifest.decode(path.read_bytes())["recording"]["certificate_sha256"])


def _altered(path: Path) -> IntegrityError:
    return IntegrityError(
        "evidence.altered",
        f"{path} is not what was sealed.",
        remedy="Keep the folder as it is and find out who changed it; restore the file from a backup.",
    )


def check_name(name: str) -> None:
    """A base name every tool and file system takes, and that cannot look like something else."""
    fine = name.isprintable() and not set(name) & set('/\\:*?"<>|') and name[:1] not in ("", ".", "-", " ")
    if not fine or name[-1] in ". " or len(name.encode()) > LONGEST_NAME or name == "recording":
        raise ConfigError(
            "config.value",
            f"{name!r} cannot be the base name of sealed files.",
            remedy="Change the template for file names.",
        )
