"""Assembles the commands."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from . import alert, check, demo, explain, init, run, service, spool, status, target, verify

EPILOG = (
    "Exit codes: 0 done · 1 something was found wrong · 2 wrong usage · 3 configuration · "
    "4 does not answer now · 5 cannot work · 6 evidence is not what it was. "
    "Begin with: ari-recorder init, ari-recorder check, ari-recorder run."
)

app = typer.Typer(
    name="ari-recorder",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ari-recorder {__version__}")
        raise typer.Exit


@app.callback()
def recorder(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Call recording for Asterisk: both sides sample by sample, sealed, delivered, verifiable."""


app.command("init")(init.init)
app.command("check")(check.check)
app.command("run")(run.run)
app.command("service")(service.service)
app.command("explain")(explain.explain)
app.command("status")(status.status)
app.add_typer(spool.app, name="spool")
app.command("verify")(verify.verify)
app.add_typer(target.app, name="target")
app.add_typer(alert.app, name="alert")
app.command("demo")(demo.demo)


def main() -> None:
    """The entry point `ari-recorder`."""
    app()
