"""`ari-recorder explain`: which setting decides a call, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from ..model.call import Direction, Wish
from ..model.document import plain
from ..rules.describe import describe
from ..rules.explain import Explanation
from ..rules.explain import explain as explain_call
from ..rules.policy import Policy, load_policy
from .console import ConfigPath, Json, emit, errors_explained, machine, out, shown


def explain(
    frm: Annotated[
        str | None, typer.Option("--from", help="The caller's number, or a user's extension.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="The number dialled.")] = None,
    direction: Annotated[
        Direction | None, typer.Option(help="Guessed from the numbers when not given.")
    ] = None,
    at: Annotated[
        datetime | None, typer.Option(help="Time of the call [default: now]", show_default=False)
    ] = None,
    trunk: Annotated[str | None, typer.Option(help="Name of the trunk the call goes through.")] = None,
    trunk_number: Annotated[
        str | None,
        typer.Option(
            help="The PBX's own number: what an outside caller dialled, or the one called is shown."
        ),
    ] = None,
    from_user: Annotated[
        str | None, typer.Option(help="Endpoint of the user who calls, such as PJSIP/alice.")
    ] = None,
    to_user: Annotated[
        str | None, typer.Option(help="Endpoint of the user who is rung, such as PJSIP/bob.")
    ] = None,
    pbx: Annotated[str, typer.Option(help="Name of the PBX, for settings that are limited to some.")] = "",
    wish: Annotated[
        str | None, typer.Option(help="What the dialplan asks: force, forbid, or the name of a setting.")
    ] = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Say which setting decides a call, step by step. Without numbers: say what every setting does."""
    with errors_explained(json):
        policy = load_policy(machine(config).recorder.policy)
        if frm is None and to is None:
            _describe(policy, as_json=json)
            return
        if frm is None or to is None:
            raise typer.BadParameter("give both --from and --to, or neither")
        when = at.astimezone() if at is not None else None
        answer = explain_call(
            policy, frm, to, direction, when, trunk, _wish(wish), pbx=pbx,
            trunk_number=trunk_number, from_user=from_user, to_user=to_user,
        )  # fmt: skip
    if json:
        parts = {"facts": answer.facts, "decision": answer.decision, "chosen": answer.chosen}
        document = {name: plain(part) for name, part in parts.items()}
        emit(document | {"assumptions": list(answer.assumptions), "prevented": answer.prevented})
    else:
        _print(answer)


def _wish(text: str | None) -> Wish:
    if text in (None, ""):
        return Wish()
    word = text.casefold()
    return Wish(force=word == "force", forbid=word == "forbid",
                setting=None if word in ("force", "forbid") else text)  # fmt: skip


def _print(answer: Explanation) -> None:
    *steps, verdict = answer.lines()
    for line in steps:
        out.print(shown(line))
    colour = "green" if answer.decision.record and not answer.prevented else "yellow"
    out.print(f"[bold {colour}]{shown(verdict)}[/]")


def _describe(policy: Policy, *, as_json: bool) -> None:
    described = {setting.name: describe(policy, setting) for setting in policy.settings}
    if as_json:
        emit({"revision": policy.revision, "settings": described})
        return
    out.print(f"Policy {policy.revision}, {len(described)} setting(s), asked in this order:")
    for number, (name, text) in enumerate(described.items(), 1):
        out.print(f"[bold]{number}. {shown(name)}[/]\n   {shown(text)}")
