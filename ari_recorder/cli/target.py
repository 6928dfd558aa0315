"""`ari-recorder target …`: the group; each of its commands is a file of its own."""

from __future__ import annotations

import typer

from . import target_list, target_login, target_trust, target_try

app = typer.Typer(no_args_is_help=True, help="Look at targets, and try them.")
app.command("list")(target_list.list_targets)
app.command("trust")(target_trust.trust_target)
app.command("login")(target_login.login)
app.command("test")(target_try.try_targets)
