"""`ari-recorder status`: what is being recorded, and what waits in the spool."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from ..disk.space import space
from ..model.call import Direction
from ..model.delivery import DeliveryState
from ..model.document import plain
from ..model.recording import Recording, State
from ..runtime import presence
from ..runtime.conditions import Condition, Severity
from ..runtime.foundations import spools
from ..runtime.presence import Presence
from . import disks
from .console import ConfigPath, Exit, Json, emit, errors_explained, machine, out, shown

RUNNING = (State.DECIDED, State.CAPTURING)
MARKS = {
    DeliveryState.DELIVERED: "[green]✓[/]",
    DeliveryState.BLOCKED: "[red]✗[/]",
    DeliveryState.WAITING: "…",
}


def status(config: ConfigPath = None, json: Json = False) -> None:
    """Show the recorder, its PBXs, running recordings and the spool.

    Exit code 1 when the recorder is not running, a PBX is not connected, recordings are stuck, or something
    critical is wrong.
    """
    with errors_explained(json):
        settings = machine(config)
        spool = spools(settings)
        recordings = [r for _, r in spool.journals()]
        alive = presence.read(settings.recorder.state)
        now = datetime.now(UTC)
        running = alive is not None and alive.alive(now)
        free = space(settings.recorder.spool).free
        lines, begin_in = disks.watched(settings)
    stuck = [r for r in recordings if _stuck(r)]
    connected = alive is not None and all(pbx.connected for pbx in alive.pbxs)
    wrong = alive.conditions if alive is not None and running else ()
    critical = any(one.severity is Severity.CRITICAL for one in wrong)
    well = running and connected and not critical and not stuck and not spool.damaged
    if json:
        damaged = {name: str(error) for name, error in spool.damaged.items()}
        conditions = [plain(one) for one in wrong]
        document = _document(alive, running, recordings, free)
        found = {"disks": [plain(line) for line in lines], "begin_in": begin_in}
        emit(document | found | {"well": well, "damaged": damaged, "conditions": conditions})
    else:
        _print(alive, running, recordings, now)
        disks.show(lines, begin_in, settings.disk)
        _print_conditions(wrong, alive.more_conditions if alive is not None else 0, now)
        for name, error in spool.damaged.items():
            out.print(f"[red]✗[/] {shown(name)}: {shown(error)}")
    raise SystemExit(Exit.OK if well else Exit.FINDINGS)


def _stuck(recording: Recording) -> bool:
    blocked = any(d.state is DeliveryState.BLOCKED for d in recording.deliveries)
    return recording.state is State.FAILED or blocked


def _document(
    alive: Presence | None, running: bool, recordings: list[Recording], free: int
) -> dict[str, Any]:
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
        "recordings": [
            {"id": r.id, "state": r.state.value, "setting": r.setting.name, "caller": r.call.caller.number,
             "callee": r.call.callee.number, "direction": r.call.direction.value, "since": r.decided_at,
             "reason": r.reason,
             "deliveries": [{"target": d.target, "state": d.state.value, "attempts": d.attempts,
                             "next_try_at": d.next_try_at, "error": d.error} for d in r.deliveries]}
            for r in recordings
        ],
    }  # fmt: skip


def _print(alive: Presence | None, running: bool, recordings: list[Recording], now: datetime) -> None:
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
    _print_recordings(recordings, now)
    counts = Counter(r.state.value for r in recordings if r.state not in RUNNING)
    waiting = ", ".join(f"{n} {state}" for state, n in counts.items()) or "nothing waits"
    out.print(f"Spool: {waiting}")


def _print_conditions(wrong: tuple[Condition, ...], more: int, now: datetime) -> None:
    for one in wrong:
        mark = "[bold red]✗[/]" if one.severity is Severity.CRITICAL else "[yellow]![/]"
        out.print(f"{mark} {shown(one.sentence)} [dim]{shown(one.key)}, since {_age(now - one.since)}[/]")
        if one.remedy:
            out.print(f"  [bold]→[/] {shown(one.remedy)}")
    if wrong and more:
        out.print(f"  … and {more} more")


def _print_recordings(recordings: list[Recording], now: datetime) -> None:
    if not recordings:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("state", "since", "call", "setting", "targets"):
        table.add_column(column)
    for r in recordings:
        arrow = {Direction.INBOUND: "→", Direction.OUTBOUND: "←", Direction.INTERNAL: "↔"}[r.call.direction]
        remote, local = r.call.caller, r.call.callee
        if r.call.direction is Direction.OUTBOUND:
            remote, local = local, remote
        call = f"{remote.number or 'anonymous'} {arrow} {local.number}"
        table.add_row(_state(r), _age(now - r.decided_at), shown(call), shown(r.setting.name), _targets(r))
        if r.reason:
            table.add_row("", "", f"[red]{shown(r.reason)}[/]", "", "")
    out.print(table)


def _state(recording: Recording) -> str:
    if _stuck(recording):
        return f"[red]{recording.state.value}[/]"
    return "[green]● recording[/]" if recording.state in RUNNING else recording.state.value


def _targets(recording: Recording) -> str:
    words = [f"{MARKS[d.state]} {shown(d.target)}" + (f" ({shown(d.error)})" if d.error else "")
             for d in recording.deliveries]  # fmt: skip
    return "  ".join(words) or "stays in the spool"


def _age(age: Any) -> str:
    seconds = max(0, int(age.total_seconds()))
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
