"""Frozen dataclasses to JSON documents and back, strictly.

Unknown keys and wrong types are refused: a document that cannot be read whole is not read at all.
Fields that are None or empty tuples are written all the same, so that a file shows what it could hold.
"""

from __future__ import annotations

import json
import types
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


class DocumentError(ValueError):
    """The document does not have the shape of its type; the message names the place."""


def dump(value: object) -> str:
    """A dataclass as JSON text, two spaces of indentation, keys in the order of the fields."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n"


def load(kind: type[T], text: str) -> T:
    """The dataclass `kind` from JSON text; DocumentError when it does not fit."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DocumentError(f"not JSON: {error}") from error
    return cast(T, _typed(kind, data, kind.__name__))


def plain(value: object) -> Any:
    """A value of the model as JSON-ready lists, dicts and scalars."""
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value.value if isinstance(value, Enum) else value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _typed(kind: Any, data: Any, place: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _optional(kind, data, place)
    if origin is tuple:
        return _tuple(kind, data, place)
    if is_dataclass(kind):
        return _record(cast(type, kind), data, place)
    return _scalar(kind, data, place)


def _optional(kind: Any, data: Any, place: str) -> Any:
    if data is None:
        return None
    (inner,) = (arg for arg in get_args(kind) if arg is not type(None))
    return _typed(inner, data, place)


def _tuple(kind: Any, data: Any, place: str) -> Any:
    if not isinstance(data, list):
        raise DocumentError(f"{place} must be a list")
    inner = get_args(kind)[0]
    return tuple(_typed(inner, item, f"{place}[{i}]") for i, item in enumerate(data))


def _record(kind: type, data: Any, place: str) -> Any:
    if not isinstance(data, dict):
        raise DocumentError(f"{place} must be an object")
    known = {f.name for f in fields(kind)}
    for key in data:
        if key not in known:
            raise DocumentError(f"{place}.{key} is not known")
    hints = _hints(kind)
    values = {key: _typed(hints[key], item, f"{place}.{key}") for key, item in data.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise DocumentError(f"{place}: {error}") from error


def _scalar(kind: Any, data: Any, place: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError as error:
            raise DocumentError(f"{place}: {error}") from error
    if kind is datetime:
        return _time(data, place)
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise DocumentError(f"{place} must be of type {kind.__name__}")
    return data


def _time(data: Any, place: str) -> datetime:
    try:
        value = datetime.fromisoformat(data)
    except (TypeError, ValueError) as error:
        raise DocumentError(f"{place} must be a time in ISO 8601") from error
    if value.tzinfo is None:
        raise DocumentError(f"{place} must name its time zone")
    return value
