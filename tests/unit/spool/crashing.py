"""A spool and its delivery in a process of their own, to be killed: `python -m …crashing FOLDER`.

Creates a sealed recording where there is none, and delivers everything to the folders `a` and `b`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import structlog

from ari_recorder.spool.delivery import Deliverer
from ari_recorder.spool.folders import Spool

from .recordings import local_target, recording, sealed

OWN = "r-1"


async def deliver(spool: Spool, folder: Path) -> None:
    """Until nothing is left in the spool."""
    certificate = folder / "certificate.crt"
    certificate.write_bytes(b"certificate")
    targets = {name: local_target(folder / name, name) for name in ("a", "b")}
    deliverer = Deliverer(targets, certificate=lambda _: certificate)
    running = asyncio.create_task(deliverer.run())
    for one in spool.all():
        deliverer.submit(one)
    async with asyncio.timeout(20):
        while any(spool.all()) or any(spool.root.glob(".trash-*")):
            await asyncio.sleep(0.005)
    await deliverer.close()
    await running


def main() -> None:
    folder = Path(sys.argv[1])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with Spool(folder / "spool") as spool:
        found = spool.get(OWN)
        if found is None:
            sealed(spool, OWN, "a", "b")
        elif found.load() == recording(OWN, "a", "b"):  # killed between the decision and the seal
            found.remove()
            sealed(spool, OWN, "a", "b")
        asyncio.run(deliver(spool, folder))


if __name__ == "__main__":
    main()
