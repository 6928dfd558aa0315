"""`ari-recorder spool move`: the spool goes to another folder while the recorder works."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from ..model.errors import TransientError
from ..runtime import presence, requests
from ..runtime.requests import Answer, Outcome, Request
from ..runtime.spool_mover import KIND, STOP
from .console import ConfigPath, Exit, Json, emit, err, errors_explained, machine, out, shown

LOOK = 0.2
"""Seconds between two looks for the recorder's answer."""

To = Annotated[
    str | None,
    typer.Option("--to", help="primary, second, or the whole path of a folder.", show_default=False),
]
Stop = Annotated[bool, typer.Option("--stop", help="Stop a move that is under way.")]


def move(to: To = None, stop: Stop = False, config: ConfigPath = None, json: Json = False) -> None:
    """Move the spool to another folder while calls are recorded, to maintain its disk.

    New recordings begin there at once; what is finished is moved, what runs or is being delivered is waited
    for. When it ends, the old folder is no longer used. The way back: --to primary.

    Ctrl-C leaves the recorder moving; ask again to see how far it is.
    """
    with errors_explained(json):
        if (to is None) == (not stop):
            raise typer.BadParameter("say where to (--to), or --stop")
        state = machine(config).recorder.state
        word = STOP if stop else _named(to or "")
        _demand_running(state)
        request = requests.ask(state, KIND, word)
        answer = _followed(state, request, quiet=json)
        requests.forget(state, request)
    if json:
        emit({"outcome": answer.outcome.value, "moved": answer.done, "sentence": answer.sentence,
              "remedy": answer.remedy, "code": answer.code})  # fmt: skip
    elif answer.outcome is Outcome.DONE:
        out.print(f"[green]✓[/] {shown(answer.sentence)}")
    else:
        err.print(f"[bold red]✗[/] {shown(answer.sentence)}")
        if answer.remedy:
            err.print(f"  [bold]→[/] {shown(answer.remedy)}")
    raise SystemExit(Exit.OK if answer.outcome is Outcome.DONE else Exit.FINDINGS)


def _named(word: str) -> str:
    """A path counts from here, not from where the recorder was started."""
    return str(Path(word).absolute()) if "/" in word else word


def _demand_running(state: Path) -> None:
    alive = presence.read(state)
    if alive is None or not alive.alive(datetime.now(UTC)):
        raise TransientError(
            "spool.unusable",
            "The recorder is not running, and it is the recorder that moves its spool.",
            remedy="Start it. An order that it was working on goes on then.",
        )


def _followed(state: Path, request: Request, *, quiet: bool) -> Answer:
    """The last answer; meanwhile a bar that shows how far it is."""
    columns = (
        SpinnerColumn(),
        TextColumn("Moving recordings"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task("", total=None)
        while True:
            word = requests.answer(state, request)
            if word is not None and word.outcome is not Outcome.WORKING:
                return word
            if word is not None:
                bar.update(task, completed=word.done, total=word.total, description=shown(word.sentence))
            _demand_running(state)
            time.sleep(LOOK)
