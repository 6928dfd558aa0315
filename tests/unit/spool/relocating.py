"""Two spool folders in a process of their own, to be killed: `python -m …relocating FOLDER`.

Makes a sealed recording in the first where there is none anywhere, moves it into the second, and delivers it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import structlog

from ari_recorder.spool.places import Spools

from .crashing import OWN, deliver
from .recordings import sealed


def spools(folder: Path) -> Spools:
    (folder / "state").mkdir(exist_ok=True)
    return Spools(folder / "first", state=folder / "state", second=folder / "second")


def main() -> None:
    folder = Path(sys.argv[1])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with spools(folder) as both:
        if both.get(OWN) is None:
            sealed(both, OWN, "a", "b")
        both.move(OWN, both.places[1])
        asyncio.run(deliver(both, folder))


if __name__ == "__main__":
    main()
