"""`ari-recorder target list`: where recordings go, and which target still lacks something."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from ..config.targets import Target
from ..model.errors import RecorderError
from ..rules.policy import Policy, load_policy
from ..targets.ssh import trust
from .console import ConfigPath, Exit, Json, emit, errors_explained, machine, out, shown


def list_targets(config: ConfigPath = None, json: Json = False) -> None:
    """List the policy's targets: where they are, what they still lack, and which settings use them.

    Asks no server: `ari-recorder target test` does. Exit code 1 when an enabled setting uses a target that is
    incomplete or switched off.
    """
    with errors_explained(json):
        policy = load_policy(machine(config).recorder.policy)
    rows = [_row(target, policy) for target in policy.targets]
    if json:
        emit({"targets": rows})
    else:
        _print(rows)
    stuck = any(row["waited_for"] for row in rows)
    raise SystemExit(Exit.FINDINGS if stuck else Exit.OK)


def _row(target: Target, policy: Policy) -> dict[str, Any]:
    users = [setting for setting in policy.settings if target.name in setting.targets]
    missing = [*target.missing(), *_trust_missing(target)]
    usable = target.enabled and not missing
    return {
        "name": target.name,
        "kind": target.kind,
        "place": target.place,
        "enabled": target.enabled,
        "missing": missing,
        "used_by": [setting.name for setting in users],
        "waited_for": not usable and any(setting.enabled for setting in users),
    }


def _trust_missing(target: Target) -> tuple[str, ...]:
    """A host key that still has to be fetched, where nothing else is missing."""
    server = trust.ssh_server(target)
    if server is None or target.missing():
        return ()
    try:
        known = bool(trust.known(server).kinds())
    except RecorderError:
        known = False
    return () if known else (f"trusted host key, see ari-recorder target trust {target.name}",)


def _print(rows: list[dict[str, Any]]) -> None:
    if not rows:
        out.print("The policy has no targets: recordings stay on the recorder, sealed.")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("name", "kind", "where", "state", "used by"):
        table.add_column(column)
    for row in rows:
        used = ", ".join(row["used_by"]) or "no setting"
        table.add_row(
            shown(row["name"]), row["kind"], shown(row["place"]), _state(row), f"[dim]{shown(used)}[/]"
        )
    out.print(table)


def _state(row: dict[str, Any]) -> str:
    colour = "red" if row["waited_for"] else "yellow"
    if not row["enabled"]:
        return f"[{colour}]switched off[/]"
    if row["missing"]:
        return f"[{colour}]incomplete:[/] no {shown('; no '.join(row['missing']))}"
    return "[green]complete[/]"
