"""One table of tamperings. The Python verifier and check.sh must both find and name each."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ari_recorder.evidence import info, listing, manifest
from ari_recorder.evidence.keys import Keys

from .archives import Archive, base_name

SUFFIXES = (".wav", "_info.txt", ".json", ".sha256", ".sig")

Act = Callable[[Archive, Keys], list[str]]
"""Changes the archive; returns what the findings have to say (file names, numbers)."""


@dataclass(frozen=True)
class Tampering:
    name: str
    act: Act
    with_log: bool = False
    """Only the chain's log can show it: check.sh does not read that."""
    with_certificate: bool = False
    """Only a certificate from elsewhere can show it."""


def table() -> list[Tampering]:
    return [*_contents(), *_places(), *_links(), *_signatures()]


def forge(archive: Archive, which: int, keys: Keys, **changes: object) -> None:
    """Seal recording `which` anew with somebody's key, as a forger who knows the formats would."""
    content = json.loads(archive.file(which, ".json").read_bytes())
    content["recording"]["certificate_sha256"] = keys.fingerprint
    content["call"]["caller"]["number"] = "+49666"
    content["chain"] |= changes
    told = {"_info.txt": info.write(content), ".json": manifest.encode(content)}
    sums = [(audio["name"], audio["sha256"]) for audio in content["audio"]]
    sums += [(base_name(which) + suffix, hashlib.sha256(data).hexdigest()) for suffix, data in told.items()]
    told[".sha256"] = listing.encode(sums)
    told[".sig"] = keys.sign(told[".sha256"])
    for suffix, data in told.items():
        archive.file(which, suffix).write_bytes(data)


def _contents() -> Iterator[Tampering]:
    for suffix in SUFFIXES:
        for seed in range(3):
            yield Tampering(f"flip {suffix} {seed}", _edit(suffix, _flip(seed)))
        yield Tampering(f"cut {suffix}", _edit(suffix, lambda data: data[:-1]))
        yield Tampering(f"empty {suffix}", _edit(suffix, lambda _: b""))
        yield Tampering(f"append {suffix}", _edit(suffix, lambda data: data + b"\n"))
        yield Tampering(f"delete {suffix}", _each(suffix, Path.unlink))
        yield Tampering(f"symlink {suffix}", _each(suffix, _to_symlink))
        yield Tampering(f"fifo {suffix}", _each(suffix, _to_fifo))
        yield Tampering(f"folder {suffix}", _each(suffix, _to_folder))
        yield Tampering(f"swap {suffix}", _swap(suffix))
        yield Tampering(f"rename {suffix}", _each(suffix, lambda path: path.rename(path.with_name("other"))))
    for suffix in ("_remote.wav", "_local.wav"):
        yield Tampering(f"flip {suffix}", _edit(suffix, _flip(7), number=3))
    yield Tampering("swap sides", _swap_sides)


def _places() -> Iterator[Tampering]:
    yield Tampering("rename a whole recording", _rename_whole)
    yield Tampering("rename to a hostile name", _rename_hostile)
    yield Tampering("swap two whole recordings", _swap_whole)
    yield Tampering("copy a recording elsewhere", _copy_elsewhere)
    yield Tampering("copy a recording under another name", _copy_renamed)
    yield Tampering("add a WAV", _add_wave)


def _links() -> Iterator[Tampering]:
    yield Tampering("remove the first", _remove(1))
    yield Tampering("remove one", _remove(3))
    yield Tampering("remove two", _remove(3, 4))
    yield Tampering("remove the last", _remove(6), with_log=True)


def _signatures() -> Iterator[Tampering]:
    yield Tampering("replace the certificate", _replace_certificate)
    yield Tampering("replace the certificate under its own name", _rename_certificate)
    yield Tampering("remove the certificate", _remove_certificate)
    yield Tampering("break the certificate", _break_certificate)
    yield Tampering("sign again with a foreign key", _sign_again)
    yield Tampering("forge one and add the certificate", _forge_one)
    yield Tampering("forge one as the begin of a chain", _forge_chain)
    yield Tampering("forge all and replace the certificate", _forge_all, with_certificate=True)


def _edit(suffix: str, change: Callable[[bytes], bytes], number: int = 4) -> Act:
    def act(archive: Archive, _: Keys) -> list[str]:
        path = archive.file(number, suffix)
        path.write_bytes(change(path.read_bytes()))
        return [path.name]

    return act


def _each(suffix: str, change: Callable[[Path], object]) -> Act:
    def act(archive: Archive, _: Keys) -> list[str]:
        path = archive.file(4, suffix)
        change(path)
        return [path.name]

    return act


def _flip(seed: int) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        chance = random.Random(f"{seed} {len(data)}")
        changed = bytearray(data)
        changed[chance.randrange(len(data))] ^= chance.randint(1, 255)
        return bytes(changed)

    return change


def _to_symlink(path: Path) -> None:
    """The content stays the same, but it lies outside the archive."""
    outside = path.parents[2] / path.name
    path.rename(outside)
    path.symlink_to(outside)


def _to_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _exchange(one: Path, other: Path) -> list[str]:
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    return [one.name, other.name]


def _swap(suffix: str) -> Act:
    return lambda archive, _: _exchange(archive.file(2, suffix), archive.file(4, suffix))


def _swap_sides(archive: Archive, _: Keys) -> list[str]:
    return _exchange(archive.file(3, "_remote.wav"), archive.file(3, "_local.wav"))


def _rename_whole(archive: Archive, _: Keys) -> list[str]:
    for path in archive.files(4):
        path.rename(path.with_name(path.name.replace(base_name(4), "2026-03-02 renamed")))
    return ["2026-03-02 renamed", base_name(4)]


def _rename_hostile(archive: Archive, _: Keys) -> list[str]:
    """The name would print a line of its own, and empty a careless script's variables."""
    for path in archive.files(4):
        path.rename(path.with_name(path.name.replace(base_name(4), "x\nok $(touch hacked) '; \x1b[2J")))
    return ["ok $(touch hacked) '; "]


def _swap_whole(archive: Archive, _: Keys) -> list[str]:
    for suffix in SUFFIXES:
        _exchange(archive.file(2, suffix), archive.file(4, suffix))
    return [base_name(2), base_name(4)]


def _copy_elsewhere(archive: Archive, _: Keys) -> list[str]:
    (archive.root / "copy").mkdir()
    for path in archive.files(4):
        shutil.copy(path, archive.root / "copy")
    return [f"even/{base_name(4)}.sig", f"copy/{base_name(4)}.sig", "number 4"]


def _copy_renamed(archive: Archive, _: Keys) -> list[str]:
    for path in archive.files(4):
        shutil.copy(path, path.with_name(path.name.replace(base_name(4), "again")))
    return ["again.sha256", base_name(4), "number 4"]


def _add_wave(archive: Archive, _: Keys) -> list[str]:
    shutil.copy(archive.file(4, ".wav"), archive.file(4, "_remote.wav"))
    return [f"{base_name(4)}_remote.wav"]


def _remove(*numbers: int) -> Act:
    def act(archive: Archive, _: Keys) -> list[str]:
        for number in numbers:
            for path in archive.files(number):
                path.unlink()
        missing = f"number {numbers[0]} is" if len(numbers) == 1 else f"numbers {numbers[0]} to {numbers[-1]}"
        return [missing, base_name(numbers[-1])]

    return act


def _replace_certificate(archive: Archive, foreign: Keys) -> list[str]:
    archive.certificate.write_bytes(foreign.certificate_pem)
    return [archive.certificate.name, foreign.fingerprint, f"{base_name(4)}.sig"]


def _rename_certificate(archive: Archive, foreign: Keys) -> list[str]:
    archive.certificate.unlink()
    (archive.root / foreign.certificate_name).write_bytes(foreign.certificate_pem)
    return [f"{base_name(number)}.sig" for number in range(1, 7)]


def _remove_certificate(archive: Archive, _: Keys) -> list[str]:
    archive.certificate.unlink()
    return [f"{base_name(number)}.sig" for number in range(1, 7)]


def _break_certificate(archive: Archive, _: Keys) -> list[str]:
    archive.certificate.write_bytes(archive.certificate.read_bytes()[:300])
    return [archive.certificate.name, f"{base_name(1)}.sig"]


def _sign_again(archive: Archive, foreign: Keys) -> list[str]:
    archive.file(4, ".sig").write_bytes(foreign.sign(archive.file(4, ".sha256").read_bytes()))
    return [f"{base_name(4)}.sig"]


def _forge_one(archive: Archive, foreign: Keys) -> list[str]:
    (archive.root / foreign.certificate_name).write_bytes(foreign.certificate_pem)
    forge(archive, 6, foreign)  # the last: no successor speaks against it
    return [f"{base_name(6)}.sig", foreign.fingerprint]


def _forge_chain(archive: Archive, foreign: Keys) -> list[str]:
    """Consistent in itself, as from another recorder: what shows is the hole it leaves."""
    (archive.root / foreign.certificate_name).write_bytes(foreign.certificate_pem)
    place = {"target": "archive", "number": 1, "previous": None}
    forge(archive, 4, foreign, name=foreign.fingerprint, number=1, previous=None, places=[place])
    return [f"{base_name(5)}.sig", base_name(4)]


def _forge_all(archive: Archive, foreign: Keys) -> list[str]:
    _rename_certificate(archive, foreign)
    before = None
    for number in range(1, 7):
        forge(archive, number, foreign, name=foreign.fingerprint, previous=before)
        signature = hashlib.sha256(archive.file(number, ".sig").read_bytes()).hexdigest()
        before = {"number": number, "name": base_name(number), "signature_sha256": signature}
    return [f"{base_name(number)}.sig" for number in range(1, 7)]
