"""`python -m ari_recorder.lab`: what the Makefile asks of the laboratory. Needs nothing but Python."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence

if sys.version_info < (3, 11):  # noqa: UP036 - what comes after it would end in a traceback
    sys.exit(
        "lab: This Python is too old for ari-recorder, which needs 3.11 or later."
        " Name another one: make PYTHON=/path/to/python3"
    )

from ..model.errors import RecorderError
from . import debian, images, needs, pbx, runfolder, supervise, venv
from .engine import Engine
from .progress import spoken
from .signals import answered, leave


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    asked = parser.parse_args(arguments)
    try:
        with answered(leave):
            return _obey(asked)
    except RecorderError as error:
        sys.stderr.write(f"lab: {error}\n")
        return error.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ari_recorder.lab", description="The laboratory.")
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="install tools and build images, then leave all as it was")
    run = commands.add_parser("run", help="prepare, run a command, stop the engine if it was started here")
    for each in (prepare, run):
        each.add_argument("--image", action="append", choices=images.NAMES, help="this one only (repeatable)")
    run.add_argument("words", nargs="+", metavar="COMMAND", help="after --: the command and its arguments")
    make = commands.add_parser("venv", help="make or renew the checkout's virtual environment")
    make.add_argument("--dev", action="store_true", help="with what the tests need")
    commands.add_parser("needs", help="say what is missing where it cannot be installed")
    commands.add_parser("clean", help="remove containers and run folders of runs that were killed")
    return parser


def _obey(asked: argparse.Namespace) -> int:
    if asked.command == "venv":
        venv.ensure(dev=asked.dev, progress=spoken)
        return 0
    if asked.command == "needs":
        needs.check()
        return 0
    if asked.command == "clean":
        return _clean()
    debian.ensure(debian.TOOLS, progress=spoken)
    names = tuple(asked.image or images.NAMES)
    if asked.command == "run":
        return supervise.run(asked.words, names, spoken)
    with Engine(progress=spoken) as engine:
        supervise.prepare(engine, names, spoken)
    return 0


def _clean() -> int:
    engine = Engine()
    if engine.answering:
        for name in pbx.sweep(engine):
            spoken(f"removed container {name}")
    debian.remove_policy()
    for folder in runfolder.abandoned():
        shutil.rmtree(folder, ignore_errors=True)
        spoken(f"removed {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
