"""`ari-recorder verify`: prove that recordings are what was sealed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..evidence.findings import Report
from ..evidence.verify import verify as verify_archive
from ..model.document import plain
from .console import Exit, Json, emit, err, errors_explained, out, shown

CHECK_SCRIPT = Path(__file__).resolve().parents[1] / "evidence" / "check.sh"


def verify(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="A recording's file, or folders with whole archives.")
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(help="The recorder's certificate, obtained from its owner and not from the archive."),
    ] = None,
    chain: Annotated[
        Path | None, typer.Option(help="The recorder's own chain.jsonl: also finds a missing end.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The target whose archive this is. Always name it for a whole archive.")
    ] = None,
    part: Annotated[
        bool, typer.Option("--part", help="The folder holds only a selection: do not look for gaps.")
    ] = False,
    script: Annotated[
        bool, typer.Option("--script", help="Print the check script that needs only sha256sum and openssl.")
    ] = False,
    json: Json = False,
) -> None:
    """Verify signatures, hashes, metadata and the chain of one recording or a whole archive.

    Needs neither the recorder nor its database. Exit code 1 when anything is not what was sealed.
    Without --certificate the one in the archive is used: compare its fingerprint with its owner's.
    """
    if script:
        typer.echo(CHECK_SCRIPT.read_text(encoding="utf-8"), nl=False)
        raise typer.Exit
    if not paths:
        raise typer.BadParameter("name a recording or a folder (or --script)", param_hint="PATHS")
    with errors_explained(json):
        report = _verified(paths, certificate, chain, target, part, quiet=json)
    if json:
        document: dict[str, Any] = plain(report)
        emit(document | {"ok": report.ok})
    else:
        print_report(report)
        if target is None and any(one.checked_as.startswith("archive") for one in report.coverage):
            out.print("[yellow]![/] Whose archive this is was guessed: name its target with --target.")
    raise typer.Exit(Exit.OK if report.ok else Exit.FINDINGS)


def _verified(
    paths: list[Path],
    certificate: Path | None,
    chain: Path | None,
    target: str | None,
    part: bool,
    *,
    quiet: bool,
) -> Report:
    columns = (TextColumn("Verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task("verify", total=None)

        def seen(done: int, total: int, _name: str) -> None:
            bar.update(task, completed=done, total=total)

        return verify_archive(
            paths, certificate=certificate, chain_log=chain, target=target, part=part, progress=seen
        )


def print_report(report: Report) -> None:
    for finding in report.findings:
        out.print(f"[bold red]✗[/] {shown(finding.file)}: {shown(finding.sentence)}  [dim]{finding.code}[/]")
    for signer in report.signers:
        out.print(f"Signed by {shown(signer.subject)}: {signer.signatures} signature(s)")
        out.print(f"  certificate {shown(signer.file)}")
        out.print(f"  SHA-256 {shown(signer.fingerprint)}")
        out.print("  [dim]Compare this fingerprint with the one its owner gives you.[/]")
    for coverage in report.coverage:
        links = f"{coverage.recordings} link(s) checked as {shown(coverage.checked_as)}"
        tail = "" if coverage.with_log else "; whether more followed only the chain's log can tell (--chain)"
        out.print(f"Chain {coverage.chain[:16]}: {links}, the last is number {coverage.last}{tail}")
    for stated in report.stated:
        out.print(f"Stated: {shown(stated.kind)} on PBX {shown(stated.pbx)}, {shown(stated.at)} to "
                  f"{shown(stated.until or 'unknown')}: {shown(stated.detail or stated.reason)}")  # fmt: skip
    also = f" and {report.statements} statement(s)" if report.statements else ""
    mark = "[bold green]✓[/]" if report.ok else "[bold red]✗[/]"
    counted = f"{report.intact} of {report.recordings} recording(s) intact{also}"
    out.print(f"{mark} {counted}, {report.files} files, {report.bytes / 2**20:.1f} MiB, "
              f"{len(report.findings)} finding(s)")  # fmt: skip
