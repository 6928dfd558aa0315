"""The door of the command line: assembles the commands, and loads those that were typed."""

from __future__ import annotations

import io
import sys
from collections.abc import Collection
from typing import Annotated

import typer

from .. import __version__
from .entries import ENTRIES, GROUPS

EPILOG = (
    "Exit codes: 0 done · 1 something was found wrong · 2 wrong usage · 3 configuration · "
    "4 does not answer now · 5 cannot work · 6 evidence is not what it was. "
    "Begin with: ari-recorder init, ari-recorder check, ari-recorder run."
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ari-recorder {__version__}")
        raise typer.Exit


def recorder(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Call recording for Asterisk: both sides sample by sample, sealed, delivered, verifiable."""


def assembled(said: Collection[str] | None = None) -> typer.Typer:
    """The application. With `said`, the words of a command line, only commands in it are more than listed."""
    app = typer.Typer(
        name="ari-recorder",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=EPILOG,
    )
    app.callback()(recorder)
    groups = {name: typer.Typer(no_args_is_help=True, help=told) for name, told in GROUPS.items()}
    for entry in ENTRIES:
        wanted = said is None or all(word in said for word in entry.words.split())
        home = groups[entry.group] if entry.group else app
        home.command(entry.name)(entry.load() if wanted else entry.stand_in())
    for name, group in groups.items():
        app.add_typer(group, name=name)
    return app


def _speakable() -> None:
    """A terminal or a locale that has no ✓ gets a question mark: nothing that was done may end in a traceback
    because it cannot be said."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not what tests or a caller put in its place
            stream.reconfigure(errors="replace")


def main() -> None:
    """The entry point `ari-recorder`."""
    _speakable()
    assembled(sys.argv[1:])()
