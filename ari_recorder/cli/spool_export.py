"""`ari-recorder spool export`: a recording that still waits, as a folder that can be handed out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.foundations import CERTIFICATES, spools
from ..spool.export import Exported, export
from .console import ConfigPath, Exit, Json, emit, errors_explained, machine, out, shown
from .spool_show import found
from .verify import print_report

Recordings = Annotated[list[str], typer.Argument(help="Ids, as `spool list` shows them.")]
To = Annotated[Path, typer.Option("--to", help="Folder in which each recording gets a folder of its own.")]


def export_recordings(recordings: Recordings, to: To, config: ConfigPath = None, json: Json = False) -> None:
    """Copy recordings out of the spool, each as a folder for itself.

    A sealed one has its certificate and the check script with it and is verified there; one that is not
    sealed is given as its raw legs and journal, and says so. Exit code 1 when one does not verify.
    """
    with errors_explained(json):
        settings = machine(config)
        spool = spools(settings)
        kept = settings.recorder.state / CERTIFICATES
        folders = [found(spool, own) for own in recordings]

        def certificate(fingerprint: str) -> Path | None:
            path = kept / f"{fingerprint}.crt"
            return path if path.exists() else None

        done = [export(folder, folder.load(), to.absolute(), certificate) for folder in folders]
    if json:
        emit({"exported": [{"id": one.id, "folder": str(one.path), "sealed": one.sealed,
                            "verified": one.report.ok if one.report else None} for one in done]})  # fmt: skip
    else:
        for one in done:
            _print(one)
    broken = any(one.report is not None and not one.report.ok for one in done)
    raise SystemExit(Exit.FINDINGS if broken else Exit.OK)


def _print(one: Exported) -> None:
    out.print(f"{shown(one.id)} → {shown(one.path)}")
    if not one.sealed:
        out.print("  [yellow]![/] It is not sealed: raw legs and journal, which prove nothing.")
    elif one.report is None:
        out.print("  [yellow]![/] Its certificate is not here: get it from an archive, and verify with it.")
    else:
        print_report(one.report)
