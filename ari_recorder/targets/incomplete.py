"""What stands in for a target that cannot be used yet: its settings lack something, or it is switched off."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import BinaryIO, NoReturn

from ..config import targets as config
from ..model.delivery import Receipt
from ..model.errors import ConfigError
from .base import Confirms, Properties, Stat


class IncompleteTarget:
    """Refuses every call with ConfigError `target.incomplete` or `target.disabled`: recordings wait."""

    properties = Properties(atomic_rename=False, server_side_hash=False, confirms=Confirms.SIZE)

    def __init__(self, settings: config.Target) -> None:
        self.name: str = settings.name
        self.path_template: str = settings.path
        self._settings = settings

    def prepare(self) -> None:
        self._refuse()

    def put(self, source: Path, path: PurePosixPath, *, sha256: str, size: int) -> Receipt:  # noqa: ARG002
        self._refuse()

    def stat(self, path: PurePosixPath) -> Stat | None:  # noqa: ARG002
        self._refuse()

    def open(self, path: PurePosixPath) -> BinaryIO:  # noqa: ARG002
        self._refuse()

    def delete(self, path: PurePosixPath) -> bool:  # noqa: ARG002
        self._refuse()

    def close(self) -> None:
        """There is nothing to let go of."""

    def _refuse(self) -> NoReturn:
        raise why_unusable(self._settings)


def usable(settings: config.Target) -> bool:
    """Whether a target is switched on and lacks nothing."""
    return settings.enabled and not settings.missing()


def why_unusable(settings: config.Target) -> ConfigError:
    """The error of a target that is not `usable`, for a person."""
    if not settings.enabled:
        return ConfigError(
            "target.disabled",
            f'Target "{settings.name}" is switched off; recordings for it wait in the spool.',
            remedy='Set "enabled = true" at the target in the policy and send the recorder SIGHUP.',
        )
    return ConfigError(
        "target.incomplete",
        f'Target "{settings.name}" is incomplete; recordings for it wait in the spool. '
        f"Missing: {'; '.join(settings.missing())}.",
        remedy="Add what is missing to the target in the policy and send the recorder SIGHUP.",
    )
