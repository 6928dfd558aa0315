"""Writes the reference pages that are made from the code: `make docs`, or `python -m docs.generate [DIR]`.

Each page is a pure function, so that a test can hold the committed page against it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer import Typer
from typer.models import ArgumentInfo, OptionInfo

from ari_recorder.cli.app import app
from ari_recorder.cli.console import Exit
from ari_recorder.config.reference import GENERATED, configuration
from ari_recorder.model.errors import (
    CODES,
    Blame,
    ConfigError,
    IntegrityError,
    PermanentError,
    RecorderError,
    TransientError,
)
from ari_recorder.rules.reference import policy
from ari_recorder.runtime.monitoring.metrics import FAMILIES, MOST_VALUES, OTHER, SECONDS

REFERENCE = Path(__file__).parent / "reference"

EXITS = {
    Exit.OK: "Done, and everything is as it should be.",
    Exit.FINDINGS: "The command worked and found something wrong: a check failed, a seal is broken.",
    Exit.USAGE: "The command line itself is wrong.",
    Exit.CONFIGURATION: "What was configured cannot work.",
    Exit.UNREACHABLE: "Something did not answer now; the same command may work later.",
    Exit.PERMANENT: "It will not work however often it is tried; a person has to act.",
    Exit.INTEGRITY: "Evidence is not what it was.",
    Exit.INTERRUPTED: "Stopped by Ctrl-C.",
}

CLASSES: dict[type[RecorderError], str] = {
    TransientError: "May well work later. A running recorder tries again by itself.",
    PermanentError: "Will not work however often it is tried. A person has to act.",
    ConfigError: "What was configured cannot work. A person has to act.",
    IntegrityError: "Something is not what it was. It is never tried again silently.",
}

BLAMED = {
    Blame.US: "the recorder or its machine",
    Blame.ASTERISK: "Asterisk",
    Blame.TARGET: "the target",
    Blame.CONFIGURATION: "the configuration",
    Blame.EVIDENCE: "the evidence",
}

ROOMS = {
    "config": "Configuration and policy",
    "ari": "Asterisk's REST interface",
    "capture": "Capture",
    "audio": "Audio",
    "seal": "Sealing",
    "evidence": "Evidence",
    "spool": "Spool",
    "disk": "Disks",
    "target": "Targets",
    "recorder": "The recorder itself",
    "alert": "Alerts",
    "monitoring": "Metrics and health",
    "lab": "Demo and tests",
}


# -- cli.md ----------------------------------------------------------------------------------------------


def cli() -> str:
    """`cli.md`, from the commands' signatures and docstrings."""
    head = f"""\
{GENERATED}
# The command line

`ari-recorder [--version] [--help] COMMAND …`; `-h` is `--help`. Where the configuration is looked for:
[configuration](configuration.md).

With `--json` a command writes one JSON document to standard output, also for an error:
`{{"error": {{"code": …, "blame": …, "sentence": …, "remedy": …}}}}`, see [errors](errors.md).
"""
    exits = [f"| {code.value} | {EXITS[code]} |" for code in Exit]
    table = "\n".join(["## Exit codes", "", "| code | meaning |", "|---|---|", *exits])
    commands = _commands(app)
    return "\n".join([head, *commands, table]) + "\n"


def _commands(group: Typer, prefix: str = "") -> Iterator[str]:
    """A group's own commands, then those of the groups in it."""
    for one in group.registered_commands:
        if one.name and one.callback:
            yield _command(f"{prefix}{one.name}", one.callback)
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            yield from _commands(inner.typer_instance, f"{prefix}{inner.name} ")


def _command(name: str, function: Callable[..., Any]) -> str:
    arguments, options = "", []
    hints = get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        kind, info = get_args(hints[parameter.name])
        if isinstance(info, ArgumentInfo):
            many = " …" if get_origin(_bare(kind)) is list else ""
            written = f"{parameter.name.upper()}{many}"
            arguments += f" {written}" if parameter.default is inspect.Parameter.empty else f" [{written}]"
            options.append(f"| `{parameter.name.upper()}` | {_cell(info.help)} |")
        elif isinstance(info, OptionInfo):
            options.append(_option(parameter, kind, info))
    title = f"## `ari-recorder {name}`\n\n    ari-recorder {name} [OPTIONS]{arguments}\n"
    rows = "\n".join(["| option | meaning |", "|---|---|", *options])
    return f"{title}\n{inspect.getdoc(function)}\n\n{rows}\n"


def _option(parameter: inspect.Parameter, kind: Any, info: OptionInfo) -> str:
    value = _value(_bare(kind))
    shown = ", ".join(f"`{name}{' ' + value if value else ''}`" for name in _names(parameter, info))
    default = parameter.default
    if default is inspect.Parameter.empty:
        told = " Required."
    else:
        told = f" Default: `{default}`." if default not in (None, False, "") else ""
    return f"| {_cell(shown)} | {_cell(info.help)}{told} |"


def _names(parameter: inspect.Parameter, info: OptionInfo) -> tuple[str, ...]:
    """Inside `Annotated` the first name stands where a default would stand elsewhere."""
    first = (info.default,) if isinstance(info.default, str) else ()
    return (*first, *(info.param_decls or ())) or (f"--{parameter.name.replace('_', '-')}",)


def _bare(kind: Any) -> Any:
    """The type without `| None` and annotations."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    inner = [a for a in get_args(kind) if a is not type(None)]
    return inner[0] if type(None) in get_args(kind) else kind


def _value(kind: Any) -> str:
    """What is written behind an option; empty for a switch."""
    if get_origin(kind) is list:
        return _value(get_args(kind)[0])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(member.value for member in kind)
    return {bool: "", int: "N", Path: "PATH", str: "TEXT", datetime: "YYYY-MM-DDTHH:MM:SS"}[kind]


# -- errors.md -------------------------------------------------------------------------------------------


def errors() -> str:
    """`errors.md`, from `model.errors.CODES`."""
    return "\n".join([*_classes(), *(line for room in ROOMS for line in _room(room))]).rstrip() + "\n"


def _classes() -> Iterator[str]:
    yield f"""\
{GENERATED}
# Errors

Every error has a code that never changes its meaning, a sentence, and a remedy. The code stands at the end of
a message, in logs (`code`), in `--json` documents and in the journal of a recording. What to do about common
ones: [troubleshoot](../howto/troubleshoot.md).

The class of an error says what may be done about it:

| class | exit code | meaning |
|---|---|---|"""
    for kind, meaning in CLASSES.items():
        yield f"| {kind.__name__} | {kind.exit_status} | {meaning} |"
    yield "\nA code says what happened; the same code may be transient in one place and permanent in another."


def _room(room: str) -> Iterator[str]:
    yield f"\n## {ROOMS[room]}\n\n| code | what happened | lies with |\n|---|---|---|"
    for code, (blame, meaning) in CODES.items():
        if code.partition(".")[0] == room:
            yield f"| `{code}` | {_cell(meaning)} | {BLAMED[blame]} |"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


# -- metrics.md -----------------------------------------------------------------------------------------


def metrics() -> str:
    """`metrics.md`, from `runtime.monitoring.metrics.FAMILIES`."""
    head = f"""\
{GENERATED}
# Metrics

What `/metrics` serves: [monitor](../howto/monitor.md). Names and meanings are stable. Labels take values from
configuration, policy and code only: no number, name or id of a call is among them, and what comes on top of
{MOST_VALUES} values of a label counts as `{OTHER}`.

Counters begin at 0 with each start of the recorder.

| metric | type | labels | meaning |
|---|---|---|---|"""
    rows = (
        f"| `{one.shown}` | {one.kind.__name__.lower()} | {_labels(one.labels)} | {_cell(one.meaning)} |"
        for one in FAMILIES
    )
    buckets = ", ".join(f"{bound:g}" for bound in SECONDS)
    return "\n".join([head, *rows, "", f"Buckets of the histogram, in seconds: {buckets}."]) + "\n"


def _labels(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels) or "–"


# -- all -------------------------------------------------------------------------------------------------

PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli,
    "configuration.md": configuration,
    "errors.md": errors,
    "metrics.md": metrics,
    "policy.md": policy,
}


def main(arguments: list[str]) -> int:
    """Write every page into the folder given, else into docs/reference; returns the exit status."""
    if len(arguments) > 1:
        sys.stderr.write("Name at most one folder to write to.\n")
        return 2
    folder = Path(arguments[0]) if arguments else REFERENCE
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
