"""`ari-recorder spool …`: the group; each of its commands is a file of its own."""

from __future__ import annotations

import typer

from . import spool_adopt, spool_export, spool_list, spool_move, spool_retry, spool_show

app = typer.Typer(no_args_is_help=True, help="Look at the spool and what waits there, and move it.")
app.command("list")(spool_list.list_recordings)
app.command("show")(spool_show.show)
app.command("retry")(spool_retry.retry)
app.command("adopt")(spool_adopt.adopt)
app.command("export")(spool_export.export_recordings)
app.command("move")(spool_move.move)
