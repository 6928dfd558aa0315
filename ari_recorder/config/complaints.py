"""pydantic's errors in the words of the file: which key, what it must be, which word was meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from .lines import KeyPath
from .problems import Flaw, nearest, quoted_key, shown_value, suggestion

_KINDS = {
    "string_type": "text in quotes",
    "path_type": "a path in quotes",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list in square brackets",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "is_instance_of": "text in quotes",
}


def flaw_of(error: ErrorDetails, model: type[BaseModel]) -> Flaw:
    """One pydantic error as a flaw at a path that exists in the file."""
    path, kind = _place(error, model)
    match error["type"]:
        case "extra_forbidden":
            return Flaw(path, _unknown(path, kind, model), "config.unknown-key")
        case "missing":
            return Flaw(path[:-1], f'needs "{path[-1]}"')
        case "union_tag_not_found":
            return Flaw(path, f'needs "kind", one of {_listed(_tags(kind))}')
        case "union_tag_invalid":
            wrong = str(error["ctx"]["tag"])
            says = f"must be one of {_listed(_tags(kind))}, not {shown_value(wrong)}"
            return Flaw((*path, "kind"), says + _meant(wrong, _tags(kind)))
    return Flaw(path, _value(error, kind))


def _value(error: ErrorDetails, kind: Any) -> str:
    given, context = error.get("input"), error.get("ctx", {})
    choice = list(_choice(kind))
    if choice and error["type"] in ("enum", "literal_error"):
        says = f"must be one of {_listed(choice)}, not {shown_value(given)}"
        return says + (_meant(given, choice) if isinstance(given, str) else "")
    if error["type"] == "tuple_type" and isinstance(given, dict):
        return f"is a list of tables: write [[{error['loc'][-1]}]], with two brackets"
    if error["type"] in _KINDS:
        told = "" if _secret(kind) else f", not {shown_value(given)}"
        return f"must be {_KINDS[error['type']]}{told}"
    if error["type"] == "value_error":
        return str(context["error"])
    return _bounds(error["type"], context) or f"cannot be used: {error['msg']}"


def _bounds(kind: str, context: Mapping[str, Any]) -> str | None:
    match kind:
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "greater_than":
            return f"must be more than {context['gt']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "too_short":
            return (
                "must not be empty"
                if context["min_length"] == 1
                else f"needs {context['min_length']} entries"
            )
        case "too_long":
            return f"must have at most {context['max_length']} entries"
    return None


def _unknown(path: KeyPath, kind: Any, root: type[BaseModel]) -> str:
    word = str(path[-1])
    known = list(keys_of(kind)) if isinstance(kind, type) and issubclass(kind, BaseModel) else []
    if len(path) > 1 and word in keys_of(root) and word not in known and nearest(word, known) is None:
        return (
            f"is not known here; {quoted_key(word)} belongs at the top of the file, before the first [table]"
        )
    return f"is not known; {suggestion(word, known)}"


def _meant(word: str, choice: list[str]) -> str:
    near = nearest(word, choice)
    return f'; did you mean "{near}"?' if near else ""


def _listed(words: list[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def keys_of(table: type[BaseModel]) -> dict[str, FieldInfo]:
    """A table's fields by the key they have in the file."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


# -- walking the model along pydantic's location ------------------------------------------------------------


def _place(error: ErrorDetails, model: type[BaseModel]) -> tuple[KeyPath, Any]:
    """The path in the file and what the model expects there.

    A location holds parts that stand in no file: the tag of a union's member, `[key]` of a mapping.
    For an unknown key it is the table around it that is returned as the expectation.
    """
    path: KeyPath = ()
    kind: Any = model
    for part in error["loc"]:
        kind = bare(kind)
        if part == "[key]":
            continue
        members = members_of(kind)
        if members and isinstance(part, str):
            kind = members.get(part, kind)
            continue
        path = (*path, part)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = keys_of(kind).get(str(part))
            if field is None:
                return path, kind
            kind = field.annotation
        else:
            kind = _element(kind)
    return path, bare(kind)


def bare(kind: Any) -> Any:
    """Without Annotated and `| None`."""
    while True:
        arguments = get_args(kind)
        if get_origin(kind) is Annotated:
            kind = arguments[0]
        elif get_origin(kind) in (Union, UnionType) and len(arguments) == 2 and NoneType in arguments:
            kind = next(argument for argument in arguments if argument is not NoneType)
        else:
            return kind


def _element(kind: Any) -> Any:
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return arguments[0]
    return arguments[1] if get_origin(kind) is dict else Any


def members_of(kind: Any) -> dict[str, type[BaseModel]]:
    """The tables of a union, by the value of their `kind`."""
    if get_origin(kind) not in (Union, UnionType):
        return {}
    tables = [arg for arg in get_args(kind) if isinstance(arg, type) and issubclass(arg, BaseModel)]
    return {tag: table for table in tables for tag in get_args(table.model_fields["kind"].annotation)}


def _tags(kind: Any) -> list[str]:
    return list(members_of(kind))


def _choice(kind: Any) -> Iterator[str]:
    if isinstance(kind, type) and issubclass(kind, Enum):
        yield from (str(member.value) for member in kind)
    elif get_origin(kind) is Literal:
        yield from (str(word) for word in get_args(kind))


def _secret(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, SecretStr)
