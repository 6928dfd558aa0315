"""Which commands there are and in which file each lives, known without importing any of them.

What a command needs (servers' protocols, signal processing, metrics) takes a second to import, and help,
`--version` or `spool list` need none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: its words after `ari-recorder`, its file and function here, and its summary.

    `summary` is the first paragraph of the function's docstring; a test holds the two together.
    """

    words: str
    file: str
    function: str
    summary: str

    @property
    def group(self) -> str | None:
        """The first of two words."""
        first, _, second = self.words.partition(" ")
        return first if second else None

    @property
    def name(self) -> str:
        """The last word."""
        return self.words.rpartition(" ")[2]

    def load(self) -> Callable[..., Any]:
        """The command itself; imports its file."""
        found: Callable[..., Any] = getattr(import_module(f".{self.file}", __package__), self.function)
        return found

    def stand_in(self) -> Callable[[], None]:
        """What is listed in help in its place; it is never called."""

        def listed() -> None:
            raise NotImplementedError(self.words)

        listed.__doc__ = self.summary
        return listed


GROUPS = {
    "spool": "Look at the spool and what waits there, and move it.",
    "target": "Look at targets, and try them.",
    "alert": "Alerts by mail and webhook.",
}

ENTRIES = (
    Entry(
        "init",
        "init",
        "init",
        "Write config.toml, policy.toml, a password and the files for Asterisk. Existing files are kept.",
    ),
    Entry(
        "check",
        "check",
        "check",
        "Look at configuration, policy, spool, key, targets and every PBX. Takes a few seconds.",
    ),
    Entry("run", "run", "run", "Record calls until SIGTERM or Ctrl-C; SIGHUP reads the policy again."),
    Entry(
        "service",
        "service",
        "service",
        "Print a unit for systemd: notify, watchdog, restart, and a sandbox "
        "that fits the configured folders.",
    ),
    Entry(
        "explain",
        "explain",
        "explain",
        "Say which setting decides a call, step by step. Without numbers: say what every setting does.",
    ),
    Entry("status", "status", "status", "Show the recorder, its PBXs, running recordings and the spool."),
    Entry("spool list", "spool_list", "list_recordings", "List the recordings in the spool, oldest first."),
    Entry(
        "spool show",
        "spool_show",
        "show",
        "Show one recording: parties, state, deliveries with errors and next try, files, notes.",
    ),
    Entry("spool retry", "spool_retry", "retry", "Try again now what waits for a later try or for a person."),
    Entry(
        "spool adopt",
        "spool_adopt",
        "adopt",
        "Take over recordings from another recorder's spool: checked, copied durably, and taken up here.",
    ),
    Entry(
        "spool orphans",
        "spool_orphans",
        "orphans",
        "List legs on a PBX whose journal is lost, or make recordings of them.",
    ),
    Entry(
        "spool export",
        "spool_export",
        "export_recordings",
        "Copy recordings out of the spool, each as a folder for itself.",
    ),
    Entry(
        "spool move",
        "spool_move",
        "move",
        "Move the spool to another folder while calls are recorded, to maintain its disk.",
    ),
    Entry(
        "verify",
        "verify",
        "verify",
        "Verify signatures, hashes, metadata and the chain of one recording or a whole archive.",
    ),
    Entry(
        "target list",
        "target_list",
        "list_targets",
        "List the policy's targets: where they are, what they still lack, and which settings use them.",
    ),
    Entry(
        "target trust",
        "target_trust",
        "trust_target",
        "Fetch the host key of a target's SSH server, show its fingerprints, and keep it after a yes.",
    ),
    Entry(
        "target login",
        "target_login",
        "login",
        'Log a user in at a target with `login = "device-code"`, and keep the login, encrypted.',
    ),
    Entry(
        "target test",
        "target_try",
        "try_targets",
        "Try targets: write a file of 1 MiB, read it back, compare, rename, fetch and delete it.",
    ),
    Entry(
        "alert test",
        "alert",
        "try_outlets",
        "Send a test message through every outlet, and say in plain words what does not work.",
    ),
    Entry(
        "demo",
        "demo",
        "demo",
        "Set up Asterisk, an SFTP server, the recorder and two phones; record one call; show what "
        "became of it.",
    ),
)
