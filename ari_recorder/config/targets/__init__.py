"""Targets as written in the policy: where recordings are delivered to. `targets/` carries them out."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from .common import AnyTarget
from .local import LocalTarget
from .onedrive import LoginKind, OneDriveTarget
from .sftp import SftpTarget
from .smb import SmbTarget
from .ssh import SshServer
from .template import TEMPLATE, TEMPLATE_WORDS, PathTemplate
from .tunnel import Tunnel

__all__ = [
    "TEMPLATE",
    "TEMPLATE_WORDS",
    "AnyTarget",
    "LocalTarget",
    "LoginKind",
    "OneDriveTarget",
    "PathTemplate",
    "SftpTarget",
    "SmbTarget",
    "SshServer",
    "Target",
    "Tunnel",
]

Target: TypeAlias = Annotated[
    LocalTarget | SftpTarget | SmbTarget | OneDriveTarget, Field(discriminator="kind")
]
"""Any target, told apart by `kind`. A new kind gets a file beside this one, its name here, and `targets/`."""
