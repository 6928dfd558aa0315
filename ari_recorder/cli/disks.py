"""The disks that recordings need, as `status` and `check` show them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ..asterisk.findings import Finding, fail, ok, warn
from ..config.disk import DiskSettings
from ..config.machine import Machine
from ..disk.space import space
from ..model.errors import RecorderError
from ..runtime.conditions import Severity
from ..runtime.disks import report as disk_report
from ..runtime.disks.report import DiskLine
from ..runtime.disks.verdict import judge, size, span
from .console import out, shown

WIDTH = 20
FRESH = timedelta(seconds=60)
"""An older report is not believed: the recorder that wrote it does not watch any more."""
LITTLE = 5_000_000_000
"""Bytes: about 29 hours of calls in G.711, both legs and the assembled file."""
NAMES = {"spool": "the spool", "second-spool": "the second spool"}
SOON = 24 * 90
"""Hours: a forecast beyond that says nothing."""


def watched(settings: Machine) -> tuple[tuple[DiskLine, ...], str | None]:
    """What the running recorder measured, and where new recordings begin if that was ordered.

    Without a recorder that runs: what can be seen now, without a forecast.
    """
    report = disk_report.read(settings.recorder.state)
    if report is not None and datetime.now(UTC) - report.at < FRESH:
        return report.disks, report.begin_in
    return tuple(_seen(settings)), None if report is None else report.begin_in


def _seen(settings: Machine) -> Iterator[DiskLine]:
    places = {"spool": settings.recorder.spool, "second-spool": settings.recorder.second_spool}
    places |= {f"pbx-{name}": pbx.recording_folder for name, pbx in settings.pbx.items()}
    for key, folder in places.items():
        if folder is None or (key.startswith("pbx-") and not folder.is_dir()):
            continue
        try:
            facts = space(folder)
        except RecorderError as error:
            yield DiskLine(key, str(folder), error=error.sentence)
            continue
        if facts.read_only:
            yield DiskLine(key, str(folder), error="Its disk is mounted read-only.")
            continue
        yield DiskLine(
            key,
            str(folder),
            free=facts.free,
            total=facts.total,
            files_free=facts.files_free,
            stop_at_free=facts.floor(settings.disk.stop_bytes),
        )


def show(lines: tuple[DiskLine, ...], begin_in: str | None, settings: DiskSettings) -> None:
    """One line a disk: name, a bar, what is free, and for how long that lasts."""
    width = max((len(line.key) for line in lines), default=0)
    for line in lines:
        name = shown(line.key.ljust(width))
        if line.error is not None:
            out.print(f"[red]✗[/] {name} {shown(line.folder)}: {shown(line.error)}")
            continue
        lasts = f" · full in {span(line.hours)}" if line.hours is not None and line.hours < SOON else ""
        ram = " (RAM)" if line.volatile else ""
        out.print(
            f"  {name} {_bar(line, settings)} {size(line.free)} of {size(line.total)} free{lasts}{ram}"
            f" [dim]{shown(line.folder)}[/]"
        )
    if begin_in is not None:
        out.print(f"  new recordings begin in {shown(begin_in)}, as ordered: → ari-recorder spool move")


def _bar(line: DiskLine, settings: DiskSettings) -> str:
    used = round(WIDTH * (1 - line.free / line.total)) if line.total else WIDTH
    verdict = judge(line, "it", settings, None)
    colour = {None: "green", Severity.WARNING: "yellow", Severity.CRITICAL: "red"}[
        verdict.severity if verdict is not None else None
    ]
    return f"[{colour}]{'█' * used}[/][dim]{'░' * (WIDTH - used)}[/]"


def findings(settings: Machine) -> Iterator[Finding]:
    """What `check` says of the disks."""
    for line in watched(settings)[0]:
        code = f"{line.key}.space"
        name = NAMES.get(line.key, f'the disk of "{line.key}"')
        title = f"{name[0].upper()}{name[1:]}"
        if line.error is not None:
            yield fail(code, f"{title} cannot be used", line.error, f"Look at {line.folder} and its disk.")
            continue
        verdict = judge(line, name, settings.disk, None)
        lasts = "" if line.hours is None else f"; full in {span(line.hours)} at the present rate"
        detail = f"{size(line.free)} free for {line.folder}{lasts}"
        if verdict is not None and verdict.severity is Severity.CRITICAL:
            yield fail(code, f"{title} has no room", detail, verdict.remedy)
        elif verdict is not None:
            yield warn(code, f"{title} will be full soon", detail, verdict.remedy)
        elif line.free < settings.disk.stop_bytes + LITTLE and not line.key.startswith("target-"):
            remedy = "Calls in G.711 need 1 MB a minute, three times that while they are assembled."
            yield warn(code, f"{title} has little room", detail, remedy)
        else:
            yield ok(code, f"{title} has room", detail)
