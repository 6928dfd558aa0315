"""Where shipped files lie: prompts, Asterisk's configuration, container files."""

from __future__ import annotations

import sys
from pathlib import Path


def asset(name: str) -> Path:
    """The folder `sounds`, `asterisk_conf` or `docker`: of the checkout we run from, else as installed."""
    checkout = Path(__file__).resolve().parents[2] / name
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share" / "ari-recorder" / name
