"""Requests and answers, as the rooms of the peer hand them to each other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    """As sent: still percent-encoded."""
    query: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(self.body.decode("utf-8")).items()}

    @property
    def parameters(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(self.query).items()}

    @property
    def document(self) -> dict[str, Any]:
        found = json.loads(self.body or b"{}")
        if not isinstance(found, dict):
            raise RefusedError(400, "invalidRequest", "The body is not an object.")
        return found


@dataclass(frozen=True)
class Answer:
    status: int
    document: dict[str, Any] | None = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if self.document is None else json.dumps(self.document).encode("utf-8")


class RefusedError(Exception):
    """Graph says no: <https://learn.microsoft.com/graph/errors>."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"error": {"code": code, "message": message}}, headers=headers or {})
