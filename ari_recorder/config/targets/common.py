"""What the settings of every kind of target have in common."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from ..table import Called, Table, Word
from .limits import AtOnce, Bandwidth, Hours, Limits
from .template import PathTemplate


class AnyTarget(Table):
    """Keys that every target has."""

    name: Word
    """How settings and messages call the target."""
    path: PathTemplate = "$Y/$M/$D"
    """Sub-folder for each recording, made when it is missing."""
    enabled: Annotated[bool, Field(strict=True)] = True
    """`false` switches the target off: it is never used, and recordings for it wait in the spool."""
    at_once: AtOnce = 2
    """Recordings that are delivered side by side."""
    bandwidth: Bandwidth | None = None
    """How fast all uploads to this target together may send, such as `"20 Mbit/s"` or `"2 MB/s"`."""
    hours: tuple[Hours, ...] = ()
    """When deliveries may begin, as `["Mon-Fri 18:00-06:00", "Sat-Sun"]`, in the recorder's local time; what
    has begun is finished. Empty: always."""

    def missing(self) -> tuple[str, ...]:
        """Which keys are still to be given before the target can be used; empty when it is complete.

        A target that lacks something is no fault of the policy: it is shown as incomplete, is never used, and
        recordings for it wait. A kind makes such keys optional and names here those that are absent.
        """
        return ()

    @property
    def limits(self) -> Limits:
        """What the target may be burdened with."""
        return Limits(self.at_once, self.bandwidth, self.hours)

    @property
    def place(self) -> str:
        """Where the recordings go, for people; never a secret."""
        return ""


def _remote_folder(text: str) -> str:
    if not text or any(ord(character) < 32 for character in text):
        raise ValueError("must be a folder's path without control characters")
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:%\[\]-]{1,255}", text) or text.startswith("-"):
        raise ValueError("must be a host name or an IP address")
    return text


def _fingerprint(text: str) -> str:
    if not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}=?", text):
        raise ValueError('must be "SHA256:" and 43 characters, as "ssh-keygen -l" prints it')
    return text.removesuffix("=")


Host = Annotated[str, AfterValidator(_host), Called("host")]
"""Host name or IP address."""
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
"""TCP port."""
RemoteFolder = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_remote_folder)]
"""A folder's path on a server."""
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
"""An SSH host key's fingerprint, as `ssh-keygen -l` prints it."""
Timeout = Annotated[float, Field(strict=True, gt=0, le=600)]
"""Seconds to wait for a server's answer."""
