"""What a token must carry for each request: the permission tables of Microsoft's pages, and nothing beyond.

Upload sessions: <https://learn.microsoft.com/graph/api/driveitem-createuploadsession>, where an app needs
`Sites.ReadWrite.All`. Labels: <https://learn.microsoft.com/graph/api/driveitem-setretentionlabel>, where the
right to one's own files is not enough. Sites: <https://learn.microsoft.com/graph/api/site-getbypath>. With
`Sites.Selected` an app may do what it was granted for a site:
<https://learn.microsoft.com/graph/permissions-selected-overview>.
"""

from __future__ import annotations

from dataclasses import dataclass

from .wire import RefusedError

EVERYWHERE = {"Sites.ReadWrite.All", "Sites.FullControl.All", "Sites.Selected"}
WRITE = EVERYWHERE | {"Files.ReadWrite", "Files.ReadWrite.All"}
READ = WRITE | {"Files.Read", "Files.Read.All", "Sites.Read.All"}
NEEDED = {
    "site": EVERYWHERE | {"Sites.Read.All"},
    "drive": READ,
    "item": READ,
    "content": READ,
    "label": EVERYWHERE | {"Files.Read.All", "Files.ReadWrite.All"},
}
"""By `Graph.operation`; all others write."""


@dataclass(frozen=True)
class Rights:
    """Of one token: delegated by a user, or an app's own."""

    user: bool
    names: frozenset[str]

    def check(self, operation: str) -> None:
        """RefusedError 403."""
        needed = NEEDED.get(operation, WRITE)
        if operation == "create-session" and not self.user:
            needed = EVERYWHERE
        if not needed & self.names:
            raise RefusedError(403, "accessDenied", "Either scp or roles claim need to be present.")
