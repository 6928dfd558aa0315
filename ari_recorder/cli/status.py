"""`ari-recorder status`: what is being recorded, and what waits in the spool."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..config.machine import Machine
from ..config.targets import Target
from ..disk.space import space
from ..model.document import plain
from ..model.errors import RecorderError
from ..rules.policy import load_policy
from ..runtime import presence
from ..runtime.conditions import Condition, Severity
from ..runtime.foundations import spools
from ..runtime.presence import Presence, TargetPresence
from ..spool.inventory import Inventory, inventory
from ..spool.stuck import RUNNING
from ..targets.incomplete import usable
from . import disks
from .console import ConfigPath, Exit, Json, emit, errors_explained, machine, out, shown
from .spool_rows import age, document, table


def status(config: ConfigPath = None, json: Json = False) -> None:
    """Show the recorder, its PBXs, running recordings and the spool.

    Exit code 1 when the recorder is not running, a PBX is not connected, recordings are stuck, or something
    critical is wrong.
    """
    with errors_explained(json):
        settings = machine(config)
        found = inventory(spools(settings), settings.pbx)
        alive = presence.read(settings.recorder.state)
        now = datetime.now(UTC)
        running = alive is not None and alive.alive(now)
        free = space(settings.recorder.spool).free
        lines, begin_in = disks.watched(settings)
    connected = alive is not None and all(pbx.connected for pbx in alive.pbxs)
    wrong = alive.conditions if alive is not None and running else ()
    critical = any(one.severity is Severity.CRITICAL for one in wrong)
    well = running and connected and not critical and not found.stuck and not found.damaged
    if json:
        damaged = {name: str(error) for name, error in found.damaged.items()}
        told = _document(alive, running, found, free)
        told |= {"disks": [plain(line) for line in lines], "begin_in": begin_in}
        emit(told | {"well": well, "damaged": damaged, "conditions": [plain(one) for one in wrong]})
    else:
        _print_recorder(alive, running)
        if alive is not None and running:
            _print_targets(alive.targets, _in_policy(settings), now)
        _print_spool(found, now)
        disks.show(lines, begin_in, settings.disk)
        _print_conditions(wrong, alive.more_conditions if alive is not None else 0, now)
    raise SystemExit(Exit.OK if well else Exit.FINDINGS)


def _document(alive: Presence | None, running: bool, found: Inventory, free: int) -> dict[str, Any]:
    return {
        "recorder": None if alive is None else {
            "running": running, "pid": alive.pid, "version": alive.version, "started_at": alive.started_at,
            "policy_revision": alive.policy_revision,
        },
        "pbxs": [] if alive is None else [
            {"name": p.name, "connected": p.connected and running, "since": p.since, "version": p.version,
             "error": p.error, "translator": p.translator} for p in alive.pbxs
        ],
        "spool_free_bytes": free,
        "targets": [plain(t) for t in alive.targets] if alive is not None and running else [],
        "counts": {state.value: count for state, count in found.counts.items()},
        "stuck": found.stuck,
        "recordings": [document(recording) for recording in found.recordings],
        "left_out": found.left_out,
    }  # fmt: skip


def _print_recorder(alive: Presence | None, running: bool) -> None:
    if alive is None:
        out.print("[yellow]○[/] No recorder has run here yet.  → ari-recorder run")
    elif running:
        out.print(f"[green]●[/] Recorder {alive.version} runs since {alive.started_at:%Y-%m-%d %H:%M:%S} UTC "
                  f"(process {alive.pid}, policy {alive.policy_revision})")  # fmt: skip
    else:
        out.print(f"[red]●[/] The recorder is not running (last seen {alive.beat_at:%Y-%m-%d %H:%M:%S} UTC). "
                  "→ ari-recorder run")  # fmt: skip
    for pbx in alive.pbxs if alive is not None and running else ():
        mark = "[green]●[/]" if pbx.connected else "[red]●[/]"
        word = f"Asterisk {shown(pbx.version)}" if pbx.connected else shown(pbx.error or "not connected")
        out.print(f"{mark} PBX {shown(pbx.name)}: {word}")
        if pbx.translator == "drops reordered frames":
            out.print("  [yellow]![/] its translator drops reordered frames; the recorder works around it")


def _in_policy(settings: Machine) -> dict[str, Target]:
    """What the policy says now; nothing where it cannot be read, which is another command's business."""
    try:
        return {target.name: target for target in load_policy(settings.recorder.policy).targets}
    except RecorderError:
        return {}


def _print_targets(targets: tuple[TargetPresence, ...], policy: dict[str, Target], now: datetime) -> None:
    for one in targets:
        written = policy.get(one.name)
        unused = written is not None and not usable(written)
        mark = "[red]●[/]" if one.error else "[yellow]○[/]" if unused else "[green]●[/]"
        words = ["incomplete" if written.enabled else "switched off"] if written and unused else []
        words.append(f"{one.waiting} waiting" if one.waiting else "nothing waits")
        if one.running:
            words.append(f"{one.running} under way")
        if one.blocked:
            words.append(f"{one.blocked} blocked")
        if one.opens_at is not None:
            words.append(f"waits for its hours, from {_clock(one.opens_at, now)}")
        elif one.next_try_at is not None:
            words.append(f"next try at {_clock(one.next_try_at, now)}")
        limit = written.limits.bandwidth if written is not None else None
        words += [f"at most {limit}"] if limit is not None else []
        out.print(f"{mark} Target {shown(one.name)}: {', '.join(words)}")
        if one.error:
            out.print(f"  {shown(one.error)}")


def _clock(at: datetime, now: datetime) -> str:
    """Local time; with the day when it is not today."""
    local = at.astimezone()
    return f"{local:%H:%M}" if local.date() == now.astimezone().date() else f"{local:%a %H:%M}"


def _print_spool(found: Inventory, now: datetime) -> None:
    if found.recordings:
        out.print(table(found.recordings, now, ids=False))
    if found.left_out:
        out.print(f"[dim]… and {found.left_out} more  → ari-recorder spool list[/]")
    waiting = [f"{count} {state.value}" for state, count in found.counts.items() if state not in RUNNING]
    out.print(f"Spool: {', '.join(waiting) or 'nothing waits'}")
    if found.stuck:
        who = "recording waits" if found.stuck == 1 else "recordings wait"
        out.print(f"[red]✗[/] {found.stuck} {who} for a person  → ari-recorder spool list --stuck")
    for name, error in found.damaged.items():
        out.print(f"[red]✗[/] {shown(name)}: {shown(error)}")


def _print_conditions(wrong: tuple[Condition, ...], more: int, now: datetime) -> None:
    for one in wrong:
        mark = "[bold red]✗[/]" if one.severity is Severity.CRITICAL else "[yellow]![/]"
        out.print(f"{mark} {shown(one.sentence)} [dim]{shown(one.key)}, since {age(now - one.since)}[/]")
        if one.remedy:
            out.print(f"  [bold]→[/] {shown(one.remedy)}")
    if wrong and more:
        out.print(f"  … and {more} more")
