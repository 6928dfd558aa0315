"""`ari-recorder spool …`: the group; each of its commands is a file of its own."""

from __future__ import annotations

import typer

from . import spool_move

app = typer.Typer(no_args_is_help=True, help="Look at the spool and what waits there, and move it.")
app.command("move")(spool_move.move)
