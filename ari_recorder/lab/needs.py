"""All that is missing, in one sentence, where nothing can be installed; elsewhere it is installed in time."""

from __future__ import annotations

from ..model.errors import ConfigError
from . import debian
from .engine import Engine
from .programs import find
from .venv import makeable


def check() -> None:
    """ConfigError `lab.missing` when something is missing and this is not root on Debian."""
    why = debian.obstacle()
    missing = [] if why is None else absent()
    if missing:
        raise ConfigError(
            "lab.missing",
            f"Missing here: {' and '.join(missing)}; nothing can be installed because {why}.",
            remedy="Run as root on Debian, or install it yourself.",
        )


def absent() -> list[str]:
    """What the demo and the tests need and cannot find, as people call it."""
    packages = {package for program, package in debian.TOOLS.items() if find(program) is None}
    if not makeable():
        packages.add("python3-venv")
    missing = [f"the packages {' '.join(sorted(packages))}"] if packages else []
    return missing if Engine().answering else [*missing, "a Docker engine that answers this user"]
