"""Examples on a busy machine may take any time; only endless ones are wrong."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
