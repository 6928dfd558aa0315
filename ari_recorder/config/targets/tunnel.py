"""Settings of an SSH tunnel to a server that cannot be reached directly."""

from __future__ import annotations

from .ssh import SshServer


class Tunnel(SshServer):
    """A jump host: an SSH server through which the target's server is reached.

    It must let the login forward TCP to that server; nothing else is asked of it.
    """
