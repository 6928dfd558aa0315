"""The command line: one file a command, exit codes and `--json` the same everywhere."""

from .front import main

__all__ = ["main"]
