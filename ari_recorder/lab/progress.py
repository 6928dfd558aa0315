"""What the laboratory says while it works."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str], None]
"""Takes one line of plain text, without a newline, about what happens now."""


def silent(line: str) -> None:
    """Say nothing."""


def spoken(line: str) -> None:
    """Say it on standard error, so that standard output belongs to the program."""
    sys.stderr.write(f"lab: {line}\n")
    sys.stderr.flush()
