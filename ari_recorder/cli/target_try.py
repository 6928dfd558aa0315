"""`ari-recorder target test`: does a target do what is asked of it, and what is in the way if not?"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, Any

import typer
from rich.status import Status

from ..config.targets import Target
from ..model.document import plain
from ..model.errors import ConfigError
from ..rules.policy import Policy, load_policy
from ..targets import trial
from ..targets.incomplete import usable
from ..targets.steps import Step
from ..targets.trial import Report, Taken, Trouble, Watcher
from ..targets.vault import Vault
from .console import ConfigPath, Exit, Json, emit, errors_explained, machine, out, shown
from .target_trust import target_of

TITLES = {
    Step.CONNECT: ("connect", "Connecting"),
    Step.IDENTIFY: ("check the server's identity", "Checking the server's identity"),
    Step.LOGIN: ("log in", "Logging in"),
    Step.WRITE: ("write 1 MiB", "Writing"),
    Step.READ_BACK: ("read back and compare", "Reading back"),
    Step.RENAME: ("rename", "Renaming"),
    Step.FETCH: ("fetch under the final name", "Fetching"),
    Step.DELETE: ("delete", "Deleting"),
}

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME …]", help="Names of targets in the policy.")
]
All = Annotated[
    bool, typer.Option("--all", help="Every target; those incomplete or switched off are only mentioned.")
]
Prepare = Annotated[
    bool,
    typer.Option("--prepare", help="First make the target's folder, and mark it where `marked` is set."),
]


def try_targets(
    names: Names = None,
    everything: All = False,
    prepare: Prepare = False,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Try targets: write a file of 1 MiB, read it back, compare, rename, fetch and delete it.

    Shows each step with its time, and says in plain words what is wrong and how to mend it. Leaves nothing
    behind. Exit code 1 when a target does not work. Run it as the recorder's user.
    """
    with errors_explained(json):
        settings = machine(config)
        wanted = _wanted(load_policy(settings.recorder.policy), names or [], everything)
    reports = []
    for target in wanted:
        if everything and not usable(target):
            _mention(target, json)
            continue
        with ExitStack() as stack:
            watcher = None if json else _Live(target, stack)
            own = settings.recorder.state
            report = trial.run(target, watcher, Vault.of(settings), prepare=prepare, own=own)
        if not json:
            _conclude(target, report)
        reports.append(report)
    well = all_work(reports)
    if json:
        emit({"ok": well, "targets": [_document(report) for report in reports]})
    raise SystemExit(Exit.OK if well else Exit.FINDINGS)


def all_work(reports: list[Report]) -> bool:
    return all(report.works for report in reports)


def _wanted(policy: Policy, names: list[str], everything: bool) -> list[Target]:
    if everything == bool(names):
        raise typer.BadParameter("name targets, or give --all")
    if not everything:
        return [target_of(policy, name) for name in dict.fromkeys(names)]
    if not policy.targets:
        raise ConfigError(
            "config.reference", "The policy has no targets.", remedy="Add a [[target]] to the policy."
        )
    return list(policy.targets)


class _Live(Watcher):
    """Each step on a line of its own as it is done, and the present one beside a turning wheel."""

    def __init__(self, target: Target, stack: ExitStack) -> None:
        out.print(f"[bold]{shown(target.name)}[/]  [dim]{target.kind}  {shown(target.place)}[/]")
        self._target = target
        self._status: Status | None = None
        if out.is_terminal:
            self._status = stack.enter_context(out.status("Connecting"))

    def begins(self, step: Step) -> None:
        if self._status is not None:
            self._status.update(f"{TITLES[step][1]} …")

    def ends(self, taken: Taken) -> None:
        title = _title(self._target, taken.step)
        out.print(f"  [green]✓[/] {title:<28} [dim]{_time(taken.seconds):>9}[/]")


def _title(target: Target, step: Step) -> str:
    return "find the folder" if target.kind == "local" and step is Step.CONNECT else TITLES[step][0]


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _mention(target: Target, json: bool) -> None:
    if not json:
        what = "switched off" if not target.enabled else f"incomplete: no {'; no '.join(target.missing())}"
        out.print(f"[bold]{shown(target.name)}[/]  [dim]{target.kind}[/]\n  [yellow]○[/] {shown(what)}")


def _conclude(target: Target, report: Report) -> None:
    for warning in report.warnings:
        _print(warning, "[yellow]![/]")
    if report.fault is None:
        total = sum(taken.seconds for taken in report.steps)
        out.print(f"  [bold green]Works.[/] [dim]{_time(total)} in all[/]")
        return
    step = report.fault.step
    if step is not None:
        out.print(f"  [bold red]✗[/] {_title(target, step)}")
    _print(report.fault, "[bold red]✗[/]")


def _print(trouble: Trouble, mark: str) -> None:
    code = f"  [dim]{trouble.code}[/]" if trouble.code else ""
    out.print(f"  {mark} [bold]{shown(trouble.says)}[/]{code}")
    out.print(f"    {shown(trouble.sentence)}")
    out.print(f"    [bold]→[/] {shown(trouble.remedy)}")


def _document(report: Report) -> dict[str, Any]:
    document: dict[str, Any] = plain(report)
    return {"works": report.works, **document}
