"""Targets as written in the policy: where recordings are delivered to. `targets/` carries them out."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from .common import AnyTarget
from .local import LocalTarget
from .sftp import SftpTarget
from .ssh import SshServer
from .template import TEMPLATE, TEMPLATE_WORDS, PathTemplate

__all__ = [
    "TEMPLATE",
    "TEMPLATE_WORDS",
    "AnyTarget",
    "LocalTarget",
    "PathTemplate",
    "SftpTarget",
    "SshServer",
    "Target",
]

Target: TypeAlias = Annotated[LocalTarget | SftpTarget, Field(discriminator="kind")]
"""Any target, told apart by `kind`. A new kind gets a file beside this one, its name here, and `targets/`."""
