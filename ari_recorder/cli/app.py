"""The whole application with every command loaded, for reference pages and tests; users come by `front`."""

from __future__ import annotations

from .front import assembled

app = assembled()
