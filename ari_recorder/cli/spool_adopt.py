"""`ari-recorder spool adopt`: recordings of another recorder, a dead host or a rescued disk go on here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ..config.machine import Machine
from ..disk import durable
from ..model.errors import ConfigError, RecorderError
from ..runtime import presence
from ..runtime.foundations import CERTIFICATES, spools
from ..runtime.spool_desk import ADOPT
from ..spool.adoption import Adopted, Adoption, recordings_in
from .console import ConfigPath, Exit, Json, emit, err, errors_explained, machine, out, shown
from .owner import as_owner_of
from .spool_retry import ask

BATCH = 100
"""Recordings after which a running recorder is told of them."""

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


def adopt(
    folders: Folders,
    move: Move = False,
    recordings: Legs = None,
    certificate: Certificate = None,
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
        work = _Work(settings, Adoption(spool, move=move, recordings=recordings))
        work.run(sources)
    if json:
        emit({"adopted": [one.id for one in work.adopted],
              "refused": {str(path): str(error) for path, error in work.refused.items()},
              "certificates_missing": sorted(work.strangers)})  # fmt: skip
    else:
        _print(work)
    raise SystemExit(Exit.FINDINGS if work.refused else Exit.OK)


class _Work:
    def __init__(self, settings: Machine, adoption: Adoption) -> None:
        self._state = settings.recorder.state
        self._adoption = adoption
        self.adopted: list[Adopted] = []
        self.refused: dict[Path, RecorderError] = {}
        self.strangers: set[str] = set()
        """Fingerprints of sealing certificates that are not here."""

    def run(self, sources: Iterable[Path]) -> None:
        told = 0
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
            if len(self.adopted) - told == BATCH:
                self._hand_over(told)
                told = len(self.adopted)
        self._hand_over(told)

    def _hand_over(self, begin: int) -> None:
        """Tell the recorder, when one runs; the next start finds them anyway."""
        alive = presence.read(self._state)
        ids = [one.id for one in self.adopted[begin:]]
        if ids and alive is not None and alive.alive(datetime.now(UTC)):
            with as_owner_of(self._state):
                ask(self._state, ADOPT, *ids)


def _keep_certificates(settings: Machine, files: Iterable[Path]) -> None:
    with as_owner_of(settings.recorder.state):
        folder = settings.recorder.state / CERTIFICATES
        for place in (settings.recorder.spool, folder):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
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
    out.print(f"{len(work.adopted)} recording(s) taken over, {len(work.refused)} refused.")
