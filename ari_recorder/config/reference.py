"""The configuration's reference, written from the models: `python -m ari_recorder.config.reference DIR`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from .complaints import bare, keys_of, members_of
from .machine import ENVIRONMENT, USUAL, Machine
from .table import Called

GENERATED = "<!-- Written by `make docs` from the code. Do not edit. -->"

CONFIGURATION = f"""\
{GENERATED}
# The machine's settings

The file named by `--config`, else the one named by the environment variable `{ENVIRONMENT}`, else
`{USUAL}`. The current folder is never looked into: whoever may write there could plant a
file. `ari-recorder init` writes a commented one.

- The format is [TOML](https://toml.io): UTF-8, at most 4 MiB.
- A key that is not known is refused, with the nearest known one; all mistakes of a file are told at once,
  each with its line. Elements of lists count from 1: `setting[2]` is the second `[[setting]]`.
- Relative paths count from the folder of the file they stand in.
- Passwords and passphrases are never shown again: not in logs, not in messages, not in exports.
"""


def configuration() -> str:
    """`configuration.md`."""
    return "\n".join([CONFIGURATION.rstrip(), *sections(Machine)]) + "\n"


def sections(model: type[BaseModel]) -> Iterator[str]:
    """A Markdown section for the file's own keys, and one for each table in it."""
    own = {key: field for key, field in keys_of(model).items() if not tables_of(field.annotation)}
    if own:
        yield from _section("Top of the file", "Before the first table.", own)
    for key, field in keys_of(model).items():
        yield from _tables(key, field.annotation)


def tables_of(annotation: Any) -> dict[str, type[BaseModel]]:
    """The tables that stand under a key, by `kind` where there are several kinds."""
    kind = bare(annotation)
    if get_origin(kind) in (tuple, dict):
        kind = bare(get_args(kind)[0 if get_origin(kind) is tuple else 1])
    if members := members_of(kind):
        return members
    return {"": kind} if isinstance(kind, type) and issubclass(kind, BaseModel) else {}


def _tables(key: str, annotation: Any, around: str = "") -> Iterator[str]:
    title = key if around else _header(key, bare(annotation))
    for kind, table in tables_of(annotation).items():
        suffix = f" of `{around}`" if around else (f', `kind = "{kind}"`' if kind else "")
        fields = keys_of(table)
        yield from _section(f"`{title}`{suffix}", table.__doc__ or "", fields)
        for inner, field in fields.items():
            yield from _tables(inner, field.annotation, around=title)


def _header(key: str, kind: Any) -> str:
    if get_origin(kind) is tuple:
        return f"[[{key}]]"
    return f"[{key}.NAME]" if get_origin(kind) is dict else f"[{key}]"


def _section(title: str, text: str, fields: dict[str, FieldInfo]) -> Iterator[str]:
    yield f"\n## {title}\n\n{_line(text)}\n\n| key | type | default | meaning |\n|---|---|---|---|"
    for key, field in fields.items():
        meaning = _line(field.description or "")
        yield f"| `{key}` | {type_text(field.annotation, field.metadata)} | {_default(field)} | {meaning} |"


def type_text(annotation: Any, metadata: list[Any] | tuple[Any, ...] = ()) -> str:
    """A type in the reference's words."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return type_text(inner, [*metadata, *more])
    called = next((item.name for item in metadata if isinstance(item, Called)), None)
    if called is not None:
        return called
    kind = bare(annotation)
    if kind is not annotation:
        return type_text(next(a for a in get_args(annotation) if a is not type(None)), metadata)
    if get_origin(kind) is tuple:
        return "list of tables" if tables_of(kind) else f"list: {type_text(get_args(kind)[0])}"
    if get_origin(kind) is Literal:
        return " or ".join(f'`"{word}"`' for word in get_args(kind))
    return _plain(kind) + _range(metadata)


def _plain(kind: Any) -> str:
    if issubclass(kind, Enum):
        return ", ".join(f'`"{member.value}"`' for member in kind)
    if issubclass(kind, BaseModel):
        return "table"
    words = {Path: "path", str: "text", bool: "`true` or `false`", int: "whole number", float: "number"}
    return words.get(kind, "text, secret" if kind is SecretStr else kind.__name__)


def _range(metadata: list[Any] | tuple[Any, ...]) -> str:
    bounds = {
        name: getattr(item, name) for item in metadata for name in ("ge", "gt", "le") if hasattr(item, name)
    }
    low = f"{bounds['ge']}" if "ge" in bounds else f"more than {bounds['gt']}" if "gt" in bounds else ""
    if "le" in bounds:
        return f", {low} to {bounds['le']}"
    return f", {low}" if low else ""


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "**required**"
    if field.default is None:
        return "–"
    return f"`{_toml(field.default)}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return str(value) if isinstance(value, int | float) and not isinstance(value, Enum) else f'"{value}"'


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def write(name: str, text: str, arguments: list[str]) -> int:
    """Write one reference page into the folder named on the command line; returns the exit status."""
    if len(arguments) != 1:
        print("Name one folder to write to.", file=sys.stderr)  # noqa: T201 - a build tool, not the product
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(write("configuration.md", configuration(), sys.argv[1:]))
