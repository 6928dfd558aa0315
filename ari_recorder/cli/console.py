"""How commands speak: to people in colour, to machines in JSON, to shells by exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from ..config.machine import Machine, find_machine, load_machine
from ..model.errors import RecorderError

WIDE = 160
"""Columns of a table that goes into a pipe or a file; a terminal and $COLUMNS say how many they have."""

out = Console(
    highlight=False,
    soft_wrap=True,
    width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE,
)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """Exit codes of every command (docs/reference/cli.md)."""

    OK = 0
    FINDINGS = 1
    """The command worked and found something wrong: a check failed, a seal is broken."""
    USAGE = 2
    CONFIGURATION = 3
    UNREACHABLE = 4
    """Something did not answer now; the same command may work later."""
    PERMANENT = 5
    INTEGRITY = 6
    INTERRUPTED = 130


Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Configuration file [default: $ARI_RECORDER_CONFIG, else /etc/ari-recorder/config.toml]",
        show_default=False,
    ),
]


def machine(path: Path | None) -> Machine:
    """The configuration that the command is to work with."""
    return load_machine(find_machine(path))


def emit(document: Any) -> None:
    """One JSON document for a machine: in a locale that is not UTF-8, with JSON's own escapes."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=not unicode, default=str) + "\n")


def shown(text: object) -> str:
    """Text from outside, harmless on a terminal: no control characters, no markup."""
    plain = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(text))
    return plain.replace("[", "\\[")


@contextmanager
def errors_explained(as_json: bool = False) -> Iterator[None]:
    """Any RecorderError becomes a sentence, its remedy and code, and the exit code of its class.

    What the rooms log in between goes to standard error: the answer, JSON above all, stays whole.
    """
    from ..runtime import logs  # here, so that --help need not wait for it

    with logs.aside():
        try:
            yield
        except RecorderError as error:
            explain_error(error, as_json=as_json)


def explain_error(error: RecorderError, *, as_json: bool) -> NoReturn:
    if as_json:
        emit({"error": {"code": error.code, "blame": error.blame.value, "sentence": error.sentence,
                        "remedy": error.remedy}})  # fmt: skip
    else:
        err.print(f"[bold red]✗[/] {shown(error.sentence)}")
        if error.remedy:
            err.print(f"  [bold]→[/] {shown(error.remedy)}")
        err.print(f"  [dim]{error.code}[/]")
    raise typer.Exit(error.exit_status)
