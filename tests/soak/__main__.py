"""`make soak`: the long form, with its progress on the terminal."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys

from ari_recorder.lab.engine import Engine
from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.progress import spoken
from ari_recorder.lab.runfolder import RunFolder

from .soak import Plan, soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=12)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    asked = parser.parse_args()
    plan = Plan(asked.calls, asked.at_once, asked.seed)
    with (
        RunFolder() as folder,
        Engine(progress=spoken) as engine,
        Pbx(engine, folder.path / "pbx22", "asterisk22", progress=spoken) as pbx,
    ):
        outcome = asyncio.run(soak(pbx, folder.path / "soak", plan, spoken))
    spoken(f"{outcome.ends.total()} calls, {outcome.troubles.total()} troubles, nothing lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
