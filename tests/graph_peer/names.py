"""Names that OneDrive and SharePoint do not take.

<https://learn.microsoft.com/graph/onedrive-addressing-driveitems> and
<https://support.microsoft.com/office/64883a5d-228e-48f5-b3d2-eb39e07630fa>. The second page says of `#`
and `%` that an organisation may allow them; the peer does not.
"""

from __future__ import annotations

RESERVED = {"con", "prn", "aux", "nul", ".lock", "desktop.ini"}
RESERVED |= {f"{word}{digit}" for word in ("com", "lpt") for digit in range(10)}
CHARACTERS = set('"*:<>?/\\|#%')


def refused(name: str, *, at_root: bool = False) -> str | None:
    """Why a name is refused; None when it is fine."""
    low = name.lower()
    if not name or len(name) > 255:
        return "empty or longer than 255 characters"
    if any(c in CHARACTERS or ord(c) < 32 or 127 <= ord(c) < 160 for c in name):
        return "a character that is not allowed"
    if name != name.strip(" ") or name.endswith("."):
        return "begins or ends with a space, or ends with a dot"
    if name.startswith("~") or "_vti_" in low:
        return "begins with ~ or holds _vti_"
    if low in RESERVED or low.split(".")[0] in RESERVED - {"", ".lock"}:
        return "reserved"
    if at_root and low == "forms":
        return "reserved at a library's root"
    return None
