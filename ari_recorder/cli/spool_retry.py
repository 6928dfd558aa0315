"""`ari-recorder spool retry`: what waits for its next try, or for a person, is tried now."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from ..config.machine import Machine
from ..config.problems import suggestion
from ..model.errors import ConfigError, PermanentError, RecorderError, TransientError
from ..rules.policy import load_policy
from ..runtime import requests
from ..runtime.foundations import spools
from ..runtime.requests import Answer, Outcome, Request
from ..runtime.spool_desk import RETRY
from ..spool.folders import Spool
from ..spool.selection import Selection
from ..spool.stuck import due_now
from .console import ConfigPath, Exit, Json, emit, err, errors_explained, machine, out, shown
from .owner import as_owner_of

PATIENCE = 60.0
"""Seconds that the running recorder gets to answer."""
LOOK = 0.1

Recordings = Annotated[list[str] | None, typer.Argument(help="Ids, as `spool list` shows them.")]
TargetName = Annotated[str | None, typer.Option("--target", help="Everything that waits for this target.")]
Everything = Annotated[bool, typer.Option("--all", help="Everything that waits.")]


def retry(
    recordings: Recordings = None,
    target: TargetName = None,
    everything: Everything = False,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Try again now what waits for a later try or for a person.

    Blocked and waiting deliveries are due at once; failed recordings whose raw legs are kept go through
    assembly and sealing again. Works while the recorder runs, and while it does not: then at its next start.
    """
    with errors_explained(json):
        chosen = _chosen(recordings, target, everything=everything)
        settings = machine(config)
        spool = spools(settings)
        if missing := chosen.unknown(spool):
            raise PermanentError(
                "spool.no-recording",
                f"There is no recording {', '.join(missing)} in the spool.",
                remedy='"ari-recorder spool list" shows what there is.',
            )
        if target is not None:
            _must_be_known(target, settings, spool)
        answer = _tried(settings, spool, chosen)
    tell(answer, as_json=json)


def _must_be_known(target: str, settings: Machine, spool: Spool) -> None:
    """In the policy, or owed something by a recording from before it was taken out there."""
    names = {one.name for one in load_policy(settings.recorder.policy).targets}
    if target in names:
        return
    for folder, _ in spool.states():
        with suppress(RecorderError):
            if target in folder.load().setting.targets:
                return
    raise ConfigError("config.reference", f'There is no target "{target}"; {suggestion(target, names)}.')


def _chosen(recordings: list[str] | None, target: str | None, *, everything: bool) -> Selection:
    if [bool(recordings), target is not None, everything].count(True) != 1:
        raise typer.BadParameter("name recordings, or a target (--target), or say --all")
    if recordings:
        return Selection(recordings=tuple(recordings))
    return Selection(targets=None if target is None else frozenset({target}))


def _tried(settings: Machine, spool: Spool, chosen: Selection) -> Answer:
    """By the recorder that works in the spool; by ourselves where none does."""
    with as_owner_of(settings.recorder.state):
        try:
            spool.open()
        except RecorderError as error:
            if error.code != "spool.in-use":
                raise
            return ask(settings.recorder.state, RETRY, *chosen.words())
        try:
            return Answer(Outcome.DONE, _told(_set_due(spool, chosen)))
        finally:
            spool.close()


def _set_due(spool: Spool, chosen: Selection) -> int:
    """How many were changed. Raises what the first had that cannot be read, where none could be changed."""
    count = 0
    damaged: dict[str, RecorderError] = {}
    for folder, _ in chosen.states(spool):
        try:
            before = folder.load()
            count += folder.update(lambda now: due_now(now, chosen.targets)) != before
        except RecorderError as error:
            damaged[folder.id] = error
    if damaged and not count:
        raise next(iter(damaged.values()))
    for name, why in damaged.items():
        err.print(f"[yellow]![/] {shown(name)}: {shown(why)}")
    return count


def _told(count: int) -> str:
    if not count:
        return "Nothing waits that could be tried again. No recorder runs."
    return f"{count} recording(s) will be tried at the recorder's start; it does not run now."


def ask(state: Path, kind: str, *words: str) -> Answer:
    """The running recorder's answer; TransientError when it gives none in time, the request then stands."""
    request = requests.ask(state, kind, *words)
    answer = awaited(state, request)
    requests.forget(state, request)
    return answer


def awaited(state: Path, request: Request) -> Answer:
    """The recorder's last answer to a request; TransientError when it gives none in time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        word = requests.answer(state, request)
        if word is not None and word.outcome is not Outcome.WORKING:
            return word
        time.sleep(LOOK)
    raise TransientError(
        "spool.in-use",
        "The recorder that works in the spool has not answered yet.",
        remedy="The request stands: it is carried out as soon as the recorder gets to it.",
    )


def tell(answer: Answer, *, as_json: bool) -> None:
    """Print an answer and end the command."""
    done = answer.outcome is Outcome.DONE
    if as_json:
        emit({"outcome": answer.outcome.value, "sentence": answer.sentence, "remedy": answer.remedy,
              "code": answer.code})  # fmt: skip
    elif done:
        out.print(f"[green]✓[/] {shown(answer.sentence)}")
    else:
        err.print(f"[bold red]✗[/] {shown(answer.sentence)}")
        if answer.remedy:
            err.print(f"  [bold]→[/] {shown(answer.remedy)}")
    raise SystemExit(Exit.OK if done else Exit.FINDINGS)
