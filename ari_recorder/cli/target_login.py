"""`ari-recorder target login`: log a user in at a target in OneDrive or SharePoint, by device code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated

import typer

from ..config.targets import OneDriveTarget as Settings
from ..config.targets import Target
from ..model.errors import ConfigError, RecorderError
from ..rules.policy import load_policy
from ..targets.graph.login import Device
from ..targets.onedrive import OneDriveTarget
from ..targets.vault import Vault
from .console import ConfigPath, Json, emit, err, errors_explained, machine, shown
from .target_trust import target_of

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the target in the policy.")]


def login(name: Name, config: ConfigPath = None, json: Json = False) -> None:
    """Log a user in at a target with `login = "device-code"`, and keep the login, encrypted.

    Shows an address and a code, and waits until somebody has typed the code there and logged in, on any
    machine. The recorder need not be restarted. With `--json` the address and the code are shown on standard
    error.
    """
    with errors_explained(json):
        settings = machine(config)
        wanted = _settings(target_of(load_policy(settings.recorder.policy), name))
        vault = Vault.of(settings)
        vault.demand()
        target = OneDriveTarget(wanted, vault)
        try:
            device = target.session.login.begin()
            _instruct(wanted, device)
            with _waiting(device) as tick:
                user = target.session.login.finish(device, tick)
            trouble = _reachable(target)
        finally:
            target.close()
    if json:
        emit({"target": name, "user": user, "reachable": trouble is None,
              "trouble": None if trouble is None else {"code": trouble.code, "sentence": trouble.sentence,
                                                       "remedy": trouble.remedy}})  # fmt: skip
    else:
        _conclude(wanted, user, trouble)
    raise SystemExit(0 if trouble is None else trouble.exit_status)


def _settings(target: Target) -> Settings:
    if not isinstance(target, Settings):
        raise ConfigError(
            "config.value",
            f'Target "{target.name}" is of kind "{target.kind}": nobody has to log in there.',
            remedy=f"ari-recorder target test {target.name} tries it.",
        )
    if lacking := target.missing():
        raise ConfigError(
            "target.incomplete",
            f'Target "{target.name}" lacks {" and ".join(lacking)}.',
            remedy="Add it in the policy first.",
        )
    return target


def _instruct(settings: Settings, device: Device) -> None:
    whose = f"as {settings.user}" if settings.user else "as the user for the recordings"
    err.print(f"To log in at target [bold]{shown(settings.name)}[/]:")
    err.print(f"  1. Open [bold]{shown(device.address)}[/] in a browser, on any machine.")
    err.print(f"  2. Type the code [bold]{shown(device.code)}[/].")
    err.print(f"  3. Log in {shown(whose)}, or as another user who may write there, and accept.")
    minutes = max(1, round((device.expires_at - datetime.now(UTC)).total_seconds() / 60))
    err.print(f"The code is good for {minutes} minutes. Type it only when you called this command yourself.")


@contextmanager
def _waiting(device: Device) -> Iterator[Callable[[], None]]:
    """Shows the time that is left; to be told again and again."""

    def left() -> str:
        seconds = max(0, int((device.expires_at - datetime.now(UTC)).total_seconds()))
        return f"Waiting for the login: {seconds // 60}:{seconds % 60:02} left"

    with err.status(left()) as status:
        yield lambda: status.update(left())


def _reachable(target: OneDriveTarget) -> RecorderError | None:
    """Whether this user reaches the folder; the login is kept all the same."""
    try:
        target.stat(PurePosixPath("ari-recorder-login-check"))
    except RecorderError as error:
        return error
    return None


def _conclude(settings: Settings, user: str, trouble: RecorderError | None) -> None:
    err.print(f"[green]✓[/] Logged in as {shown(user)}; the login is kept, encrypted.")
    if trouble is None:
        err.print(f"[green]✓[/] {shown(settings.place)} can be reached. "
                  f"[bold]→[/] ari-recorder target test {shown(settings.name)}")  # fmt: skip
    else:
        err.print(f"[bold red]✗[/] {shown(trouble.sentence)}")
        err.print(f"  [bold]→[/] {shown(trouble.remedy)}")
