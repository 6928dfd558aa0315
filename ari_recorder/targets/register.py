"""From a target's settings to the target: the only place that knows every kind.

A new kind: one file here that keeps the contract of `base.py`, its settings in `config/targets.py`, one line
below, and the conformance suite (`docs/howto/add-a-target.md`).
"""

from __future__ import annotations

from collections.abc import Iterable

from ..config import targets as config
from .base import Target
from .incomplete import IncompleteTarget, usable
from .local import LocalTarget
from .onedrive import OneDriveTarget
from .sftp import SftpTarget
from .smb import SmbTarget
from .vault import Vault


def make_target(settings: config.Target, vault: Vault | None = None) -> Target:
    """The target that these settings describe, `IncompleteTarget` where they lack something.

    Connects nowhere yet. `vault` keeps what some kinds have to remember over a restart.
    """
    if not usable(settings):
        return IncompleteTarget(settings)
    match settings:
        case config.LocalTarget():
            return LocalTarget(settings)
        case config.SftpTarget():
            return SftpTarget(settings)
        case config.SmbTarget():
            return SmbTarget(settings)
        case config.OneDriveTarget():
            return OneDriveTarget(settings, vault)


def make_targets(settings: Iterable[config.Target], vault: Vault | None = None) -> dict[str, Target]:
    """All targets of a policy by name."""
    return {one.name: make_target(one, vault) for one in settings}
