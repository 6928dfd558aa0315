"""`ari-recorder spool adopt`: recordings of another recorder, a dead host or a rescued disk go on here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ..config.machine import Machine
from ..disk import durable
from ..evidence.found_seal import Log, Logs
from ..model.errors import ConfigError, RecorderError
from ..runtime.foundations import CERTIFICATES, CHAIN, spools
from ..spool.adoption import Adopted, Adoption, recordings_in
from .console import ConfigPath, Exit, Json, emit, err, errors_explained, machine, out, shown
from .owner import as_owner_of, make_folders
from .spool_news import News

Folders = Annotated[list[Path], typer.Argument(help="Recording folders, or whole spools.")]
Move = Annotated[bool, typer.Option("--move", help="Remove each from where it was once it is here.")]
Legs = Annotated[
    Path | None,
    typer.Option("--recordings", help="The dead PBX's recording folder, for legs not fetched yet."),
]
Certificate = Annotated[
    list[Path] | None,
    typer.Option("--certificate", help="The other recorder's certificate, delivered with what it sealed."),
]
ChainLog = Annotated[
    Path | None,
    typer.Option(
        "--chain", help="The other recorder's chain.jsonl: what it says is sealed is not sealed again."
    ),
]


def adopt(
    folders: Folders,
    move: Move = False,
    recordings: Legs = None,
    certificate: Certificate = None,
    chain: ChainLog = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Take over recordings from another recorder's spool: checked, copied durably, and taken up here.

    What was sealed keeps its seal; what was not is sealed here, with a note of where it came from. Works
    while this recorder runs, and while it does not. Exit code 1 when one of them could not be taken over.
    """
    with errors_explained(json):
        settings = machine(config)
        _keep_certificates(settings, certificate or [])
        sources = [source for folder in folders for source in recordings_in(folder.absolute())]
        spool = spools(settings)
        make_folders(spool, settings.recorder.state)
        news = News(settings.recorder.state)
        logs = _logs(settings, chain)
        work = _Work(settings, Adoption(spool, news.tell, move=move, recordings=recordings, logs=logs))
        try:
            work.run(sources)
        finally:
            news.gather()
        heard = news.heard()
    if json:
        emit({"adopted": [one.id for one in work.adopted],
              "refused": {str(path): str(error) for path, error in work.refused.items()},
              "sealed_again": [one.id for one in work.adopted if one.doubted],
              "unlocked": sorted(map(str, work.unlocked)),
              "certificates_missing": sorted(work.strangers)})  # fmt: skip
    else:
        _print(work)
    if not heard:
        err.print("[yellow]![/] The recorder has not answered yet; it takes them up as soon as it does.")
    raise SystemExit(Exit.FINDINGS if work.refused else Exit.OK)


class _Work:
    def __init__(self, settings: Machine, adoption: Adoption) -> None:
        self._state = settings.recorder.state
        self._adoption = adoption
        self.adopted: list[Adopted] = []
        self.refused: dict[Path, RecorderError] = {}
        self.strangers: set[str] = set()
        """Fingerprints of sealing certificates that are not here."""
        self.unlocked: set[Path] = set()
        """Spools of which it is not certain that no recorder works in them."""

    def run(self, sources: Iterable[Path]) -> None:
        for source in sources:
            try:
                one = self._adoption.take(source)
            except RecorderError as error:
                self.refused[source] = error
                continue
            self.adopted.append(one)
            kept = self._state / CERTIFICATES / f"{one.certificate_sha256}.crt"
            if one.certificate_sha256 is not None and not kept.exists():
                self.strangers.add(one.certificate_sha256)
            if not one.locked:
                self.unlocked.add(source.parent)


def _logs(settings: Machine, theirs: Path | None) -> Logs:
    own = settings.recorder.state / CHAIN
    if theirs is not None and not theirs.is_file():
        raise ConfigError("evidence.unreadable", f"{theirs} is not there, or is no file.")
    return Logs(Log(theirs) if theirs is not None else None, Log(own) if own.exists() else None)


def _keep_certificates(settings: Machine, files: Iterable[Path]) -> None:
    folder = settings.recorder.state / CERTIFICATES
    with as_owner_of(settings.recorder.state), durable.explained(f"Making {folder}"):
        durable.make_folders(folder)
    for file in files:
        try:
            pem = file.read_bytes()
            fingerprint = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()
        except (OSError, ValueError) as error:
            raise ConfigError(
                "evidence.certificate",
                f"{file} is not a certificate that can be read.",
                remedy="It is the file ari-recorder-….crt in every archive.",
            ) from error
        with as_owner_of(settings.recorder.state), durable.explained(f"Keeping {file}"):
            durable.write_atomically(folder / f"{fingerprint}.crt", pem, mode=0o644)


def _print(work: _Work) -> None:
    for path, error in work.refused.items():
        err.print(f"[bold red]✗[/] {shown(path)}: {shown(error)}")
    for fingerprint in sorted(work.strangers):
        err.print(f"[yellow]![/] The certificate {fingerprint[:16]}… is not here, so targets get it from "
                  "nobody. Take it from an archive and say --certificate.")  # fmt: skip
    if doubted := [one.id for one in work.adopted if one.doubted]:
        err.print(f"[yellow]![/] Sealed again here, with a note: {shown(', '.join(doubted))}. Whether the "
                  "seal begun there counts, only that recorder's log can tell (--chain).")  # fmt: skip
    for spool in sorted(work.unlocked):
        err.print(f"[yellow]![/] {shown(spool)} cannot be locked (a share for reading only?): make sure that "
                  "no recorder works in it.")  # fmt: skip
    out.print(f"{len(work.adopted)} recording(s) taken over, {len(work.refused)} refused.")
