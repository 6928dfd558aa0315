"""`ari-recorder service`: the systemd unit for this machine's configuration, sandboxed to what it needs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ..config.machine import Machine, find_machine, load_machine
from ..config.targets import LocalTarget
from ..model.errors import ConfigError
from ..rules.policy import Policy, load_policy
from .console import ConfigPath, errors_explained

UNIT = Path(__file__).with_name("ari-recorder.service")
HIDDEN = ("/home", "/root", "/run/user")
"""What ProtectHome= hides."""


def service(
    config: ConfigPath = None,
    user: Annotated[str, typer.Option(help="The recorder's own user.")] = "ari-recorder",
    groups: Annotated[str, typer.Option(help="Further groups, to share folders with Asterisk.")] = "asterisk",
) -> None:
    """Print a unit for systemd: notify, watchdog, restart, and a sandbox that fits the configured folders.

    Put it into /etc/systemd/system/ari-recorder.service, and write it anew after folders have changed.
    """
    with errors_explained():
        path = find_machine(config).absolute()
        settings = load_machine(path)
        sys.stdout.write(unit(settings, load_policy(settings.recorder.policy), path, user, groups))


def unit(settings: Machine, policy: Policy, config: Path, user: str, groups: str) -> str:
    """The unit's text. ConfigError when a folder's or user's name cannot stand in it."""
    folders = list(dict.fromkeys(_writable(settings, policy)))
    program = Path(sys.prefix) / "bin" / "ari-recorder"
    seen = (
        program,
        Path(sys.executable).resolve(),
        config,
        *(Path(folder.lstrip("-")) for folder in folders),
    )
    home = any(str(path).startswith(HIDDEN) for path in seen)
    words = {
        "USER": _plain(user),
        "GROUPS": " ".join(_plain(group) for group in groups.split()),
        "PROGRAM": _quoted(str(program)).replace("$", "$$"),
        "CONFIG": _quoted(str(config)).replace("$", "$$"),
        "MOUNTED": "\n".join(f"RequiresMountsFor={_quoted(str(f))}" for f in _needed(settings)),
        "WRITABLE": "\n".join(f"ReadWritePaths={_quoted(folder)}" for folder in folders),
        "HOME": "read-only" if home else "yes",
    }
    text = UNIT.read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text


def _needed(settings: Machine) -> Iterator[Path]:
    """Folders without whose disk there is nothing to begin. Of two spool folders either will do."""
    if settings.recorder.second_spool is None:
        yield settings.recorder.spool
    yield settings.recorder.state


def _writable(settings: Machine, policy: Policy) -> Iterator[str]:
    """Folders in the order of the configuration; "-" before one that may be missing when it starts."""
    recorder, seal = settings.recorder, settings.seal
    yield str(recorder.spool)
    if recorder.second_spool is not None:
        yield f"-{recorder.second_spool}"
    yield str(recorder.state)
    for path in (seal.key, seal.certificate, seal.passphrase_file):
        # Made at first start; once they are there, nothing writes to them again.
        if not path.exists() and not path.is_relative_to(recorder.state):
            yield str(path.parent)
    for pbx in settings.pbx.values():
        if pbx.recording_folder is not None:
            yield str(pbx.recording_folder)
        if pbx.sounds_folder is not None:
            yield f"{pbx.sounds_folder}/ari-recorder"
    for target in policy.targets:
        folder = target.folder if isinstance(target, LocalTarget) else None
        if folder is not None and not folder.is_relative_to(recorder.state):
            yield f"-{folder}"


def _quoted(text: str) -> str:
    """As systemd reads it: `%` doubled, blanks inside quotes."""
    if not text.isprintable():
        raise ConfigError(
            "config.value", f"The path {text!r} cannot stand in a unit: it holds control characters."
        )
    plain = text.replace("%", "%%")
    if not any(c in plain for c in " \"'\\;"):
        return plain
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _plain(name: str) -> str:
    if (
        not name
        or not name.isascii()
        or not name.replace("-", "").replace("_", "").isalnum()
        or name[0] == "-"
    ):
        raise ConfigError("config.value", f"{name!r} is not the name of a user or group.")
    return name
