"""Brings the policy's prompts to where Asterisk plays them from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from ...audio.prompts import convert
from ...capture.ledger import Prompt
from ...config.assets import asset
from ...config.machine import Machine
from ...model.errors import ConfigError, RecorderError
from ...rules.policy import Policy
from ...rules.policy import Prompt as PolicyPrompt
from ...targets.paths import word

FOLDER = "ari-recorder"
"""Below Asterisk's sounds folder."""

log = structlog.get_logger()

Failed = Callable[[str, RecorderError | OSError], None]
"""Hears the name of a prompt that could not be installed, and why."""


def _logged(prompt: str, error: RecorderError | OSError) -> None:
    log.error(str(error), action="prompt.not-installed", prompt=prompt)


def install_for(machine: Machine, pbx: str, policy: Policy, failed: Failed = _logged) -> dict[str, Prompt]:
    """The policy's prompts for one PBX: in its own folder for sounds or, where the recorder sees none, in one
    below `state` from which a person copies them. Blocking."""
    sounds = machine.sounds_for(pbx)
    if machine.pbx[pbx].sounds_folder is None:
        with suppress(OSError):  # each prompt then says that its folder is not there
            sounds.mkdir(mode=0o755, parents=True, exist_ok=True)
    return install(policy, sounds, failed)


def install(policy: Policy, sounds: Path, failed: Failed = _logged) -> dict[str, Prompt]:
    """Convert every prompt that a setting plays; those that cannot be are told to `failed` and left out.

    Blocking; converted once for the same content.
    """
    wanted = {s.announcement.prompt for s in policy.settings if s.announcement is not None}
    wanted |= {s.failure_announcement for s in policy.settings if s.failure_announcement is not None}
    installed = {}
    for prompt in policy.prompts:
        if prompt.name not in wanted:
            continue
        try:
            installed[prompt.name] = _installed(prompt.name, source_of(prompt), sounds / FOLDER)
        except (RecorderError, OSError) as error:
            failed(prompt.name, error)
    return installed


def source_of(prompt: PolicyPrompt) -> Path:
    """The sound file behind a policy's prompt: the admin's own, or one that comes with the product."""
    if prompt.path is not None:
        return prompt.path
    stem = asset("sounds") / (prompt.shipped or "")
    return next(iter(sorted(stem.parent.glob(stem.name + ".*"))), stem)


def _installed(name: str, source: Path, folder: Path) -> Prompt:
    if not folder.parent.is_dir():
        raise ConfigError(
            "audio.prompt",
            f"Asterisk's folder for sounds {folder.parent} is not there.",
            remedy='Correct "sounds" under [pbx.NAME] in the configuration.',
        )
    folder.mkdir(exist_ok=True)
    file = "".join(c if c.isascii() and c.isalnum() else "-" for c in word(name, limit=40)).strip("-")
    unique = hashlib.sha256(name.encode()).hexdigest()[:6]
    made = convert(source, folder, f"{file or 'prompt'}-{unique}")
    return Prompt(f"sound:{FOLDER}/{made.name}", made.sha256, made.seconds)
