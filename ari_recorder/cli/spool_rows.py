"""A recording as a line of a table, and as JSON: the same in `status` and in `spool list`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table

from ..model.call import Direction
from ..model.delivery import Delivery, DeliveryState
from ..model.recording import Recording
from ..spool.stuck import RUNNING, stuck, trouble
from .console import shown

MARKS = {
    DeliveryState.DELIVERED: "[green]✓[/]",
    DeliveryState.BLOCKED: "[red]✗[/]",
    DeliveryState.WAITING: "…",
}
MOST_REASONS = 5
ARROWS = {Direction.INBOUND: "→", Direction.OUTBOUND: "←", Direction.INTERNAL: "↔", None: "?"}


def table(recordings: Iterable[Recording], now: datetime, *, ids: bool) -> Table:
    """One line a recording, and a second one where it is in trouble. `ids`: with the id in front."""
    found = Table(box=None, pad_edge=False, header_style="dim")
    for column in (*(("id",) if ids else ()), "state", "since", "call", "setting", "targets"):
        found.add_column(column, no_wrap=column in {"id", "state", "since"}, overflow="fold")
    for one in recordings:
        cells = [
            _state(one),
            age(now - one.decided_at),
            shown(call(one)),
            shown(one.setting.name),
            _targets(one),
        ]
        found.add_row(*([shown(one.id)] if ids else []), *cells)
        if (why := trouble(one)) is not None:
            found.add_row(*([""] if ids else []), "", "", f"[red]{shown(why)}[/]", "", "")
    return found


def reasons(recordings: Iterable[Recording]) -> Iterator[str]:
    """Why deliveries wait, each reason once, the most frequent first: the table has no room for it."""
    owing = (d for one in recordings for d in one.deliveries if d.state is not DeliveryState.DELIVERED)
    found = Counter((d.target, d.error) for d in owing if d.error)
    for (target, error), count in found.most_common(MOST_REASONS):
        times = f", {count} recordings" if count > 1 else ""
        yield f"{shown(target)}{times}: {shown(error)}"
    if (more := len(found) - MOST_REASONS) > 0:
        yield f"[dim]… and {more} more  → ari-recorder spool show ID[/]"


def document(recording: Recording) -> dict[str, Any]:
    """For machines."""
    r = recording
    return {
        "id": r.id, "state": r.state.value, "stuck": stuck(r), "setting": r.setting.name,
        "caller": r.call.caller.number, "callee": r.call.callee.number, "direction": r.call.direction,
        "since": r.decided_at, "reason": trouble(r) or r.reason,
        "deliveries": [{"target": d.target, "state": d.state.value, "attempts": d.attempts,
                        "next_try_at": d.next_try_at, "error": d.error} for d in r.deliveries],
    }  # fmt: skip


def call(recording: Recording) -> str:
    """`+4930123456 → 1001`: the outside party first, the arrow the call's direction."""
    caller, callee = recording.call.caller.number, recording.call.callee.number
    remote, local = (callee, caller) if recording.call.direction is Direction.OUTBOUND else (caller, callee)
    return f"{remote or 'anonymous'} {ARROWS[recording.call.direction]} {local}"


def age(span: timedelta) -> str:
    """`1:05`, `2:03:04`, `21 d 3:04`."""
    seconds = max(0, int(span.total_seconds()))
    hours, rest = divmod(seconds, 3600)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24}:{rest // 60:02}"
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def owed(recording: Recording) -> list[Delivery]:
    """What is owed to each target, also what has not been begun."""
    return [recording.delivery(name) or Delivery(name) for name in dict.fromkeys(recording.setting.targets)]


def _state(recording: Recording) -> str:
    if stuck(recording):
        return f"[red]{recording.state.value}[/]"
    return "[green]● recording[/]" if recording.state in RUNNING else recording.state.value


def _targets(recording: Recording) -> str:
    words = [f"{MARKS[one.state]} {shown(one.target)}" for one in owed(recording)]
    return "  ".join(words) or "stays in the spool"
