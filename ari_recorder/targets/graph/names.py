"""Names that OneDrive and SharePoint refuse. `paths.component` never makes one; a person may.

<https://support.microsoft.com/office/64883a5d-228e-48f5-b3d2-eb39e07630fa> and
<https://learn.microsoft.com/graph/onedrive-addressing-driveitems>.
"""

from __future__ import annotations

import re

_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9])(\..*)?|\.lock|desktop\.ini", re.IGNORECASE)
_CHARACTERS = re.compile(r'[\x00-\x1f\x7f-\x9f\\/:*?"<>|#%\ud800-\udfff\ufffe\uffff]')
LONGEST = 255


def forbidden(name: str) -> str | None:
    """What is wrong with a name, to be read after "a name must not"; None when it is fine."""
    if len(name.encode("utf-16-le", "surrogatepass")) // 2 > LONGEST:
        return f"be longer than {LONGEST} characters"
    if _CHARACTERS.search(name):
        return 'hold a control character or any of \\ / : * ? " < > | # %'
    if name != name.strip(" ") or name.endswith("."):
        return "begin or end with a space, or end with a dot"
    if name.startswith("~"):
        return "begin with ~"
    if "_vti_" in name.lower():
        return "hold _vti_"
    if _RESERVED.fullmatch(name):
        return "be one that Windows or SharePoint keeps for itself"
    return None
