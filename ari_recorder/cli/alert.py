"""`ari-recorder alert test`: does an alert arrive, and if not, why?"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ..config.problems import suggestion
from ..model.errors import ConfigError, RecorderError
from ..runtime.alerts.message import Identity, Message
from ..runtime.alerts.outlets import Teller, make_teller
from .console import ConfigPath, Exit, Json, emit, errors_explained, machine, out, shown


def try_outlets(
    names: Annotated[
        list[str] | None, typer.Argument(help="Only these outlets, by their names; by default all.")
    ] = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Send a test message through every outlet, and say in plain words what does not work.

    Works whether the recorder runs or not. Exit code 1 when a message was not accepted.
    """
    with errors_explained(json):
        settings = machine(config)
        tellers = [make_teller(one) for one in settings.alerts.outlets]
        tellers = _chosen(tellers, names or [])
        message = Message(Identity.here(settings.seal.common_name), (), datetime.now(UTC), test=True)
    errors = asyncio.run(_send(tellers, message))
    if json:
        emit({"ok": not any(errors), "outlets": [_row(t, e) for t, e in zip(tellers, errors, strict=True)]})
    else:
        for teller, error in zip(tellers, errors, strict=True):
            _print(teller, error)
    raise SystemExit(Exit.FINDINGS if any(errors) else Exit.OK)


def _chosen(tellers: list[Teller], names: list[str]) -> list[Teller]:
    if not tellers:
        raise ConfigError(
            "config.missing",
            "The configuration names nobody who is told of alerts.",
            remedy="Write [[alerts.mail]] or [[alerts.webhook]] into it.",
        )
    known = {teller.name: teller for teller in tellers}
    for name in names:
        if name not in known:
            hint = suggestion(name, known)
            raise ConfigError("config.reference", f'There is no outlet "{name}"; {hint}.')
    return [known[name] for name in names] or tellers


async def _send(tellers: list[Teller], message: Message) -> list[RecorderError | None]:
    return list(await asyncio.gather(*(_try(teller, message) for teller in tellers)))


async def _try(teller: Teller, message: Message) -> RecorderError | None:
    try:
        await teller.send(message)
    except RecorderError as error:
        return error
    return None


def _row(teller: Teller, error: RecorderError | None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": teller.name, "place": teller.place, "ok": error is None}
    if error is not None:
        row |= {"code": error.code, "sentence": error.sentence, "remedy": error.remedy}
    return row


def _print(teller: Teller, error: RecorderError | None) -> None:
    if error is None:
        out.print(f"[green]✓[/] {shown(teller.name)}: {shown(teller.place)} has taken a test message. "
                  "Look whether it arrives.")  # fmt: skip
        return
    out.print(f"[bold red]✗[/] {shown(teller.name)}: {shown(error.sentence)}")
    if error.remedy:
        out.print(f"  [bold]→[/] {shown(error.remedy)}")
    out.print(f"  [dim]{error.code}[/]")
