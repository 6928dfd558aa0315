"""Names for folders and files that every file system takes, whatever a number or a name holds. Pure.

The rules are the union of what Linux, Windows/SMB and OneDrive/SharePoint refuse:
<https://learn.microsoft.com/windows/win32/fileio/naming-a-file> and
<https://support.microsoft.com/office/64883a5d-228e-48f5-b3d2-eb39e07630fa>.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import unicodedata
from datetime import UTC, datetime, tzinfo
from pathlib import PurePosixPath

from ..config.targets import TEMPLATE
from ..model.call import Direction, Party
from ..model.errors import ConfigError
from ..model.recording import Call, Recording

PARTY_BYTES = 40
COMPONENT_BYTES = 120
UNKNOWN = "unknown"

_RESERVED = re.compile(
    r"(con|prn|aux|nul|(com|lpt)[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$|desktop\.ini|\.lock|forms)(\..*)?",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f\\/:*?"<>|#%\ud800-\udfff\ufffe\uffff]')
_PUNCTUATION = frozenset("+-_.@,")
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks that show nothing: two names must not look the same."""


def component(text: str) -> str:
    """`text` as one folder name: forbidden characters become `-`, reserved names get a `_` in front."""
    text = _FORBIDDEN.sub("-", unicodedata.normalize("NFC", text))
    text = _shortened(text, COMPONENT_BYTES).lstrip(" .~")
    if _RESERVED.fullmatch(text) or "_vti_" in text.lower():
        text = "_" + re.sub("_vti_", "-vti-", text, flags=re.IGNORECASE)
    return text or "_"


def word(text: str, *, limit: int = COMPONENT_BYTES) -> str:
    """`text` reduced to letters, digits and `+-_.@,` of any script, at most `limit` bytes; may be empty."""
    text = _INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    text = "".join(c if c in _PUNCTUATION or unicodedata.category(c)[0] in "LNM" else "-" for c in text)
    text = unicodedata.normalize("NFC", re.sub("-{2,}", "-", text)).lstrip("-._~ ")
    while text and unicodedata.category(text[0])[0] == "M":
        text = text[1:].lstrip("-._")
    return _shortened(text, limit).rstrip("-._,")


def base_name(recording: Recording) -> str:
    """The name of a recording's sealed files, without suffix: `20261121-225046Z_<caller>_<callee>_<id>`.

    UTC, at most 110 bytes of UTF-8; of a statement
    `…_statement_<PBX>_<id>`. The last part is a hash of the id, so no two recordings share a name,
    also where upper and lower case are the same.
    """
    call = recording.call
    short = hashlib.sha256(recording.id.encode("utf-8", "backslashreplace")).hexdigest()[:10]
    begun = _begun(recording).astimezone(UTC).strftime("%Y%m%d-%H%M%SZ")
    parties = (_party(party, limit=PARTY_BYTES) for party in (call.caller, call.callee))
    if recording.statement:
        parties = (word(each, limit=PARTY_BYTES) for each in ("statement", call.pbx))
    return "_".join((begun, *(each.replace("_", "-") for each in parties), short))


def folder(template: str, recording: Recording, *, zone: tzinfo | None = None) -> PurePosixPath:
    """A recording's sub-folder from a template such as `$Y/$M/$setting`; `.` when that is empty.

    Times are the call's begin in `zone`, the machine's own when None. ConfigError `config.value` for a word
    that is not known or a template that leaves its root.
    """
    values = _values(recording, zone)
    parts = [component(_filled(part, values)) for part in template.split("/") if part not in ("", ".")]
    if template.startswith("/") or ".." in template.split("/"):
        raise ConfigError(
            "config.value",
            f'The path template "{template}" leaves the target\'s folder.',
            remedy='Take away the leading "/" and every "..".',
        )
    return PurePosixPath(*parts)


def certificate_name(certificate_sha256: str) -> str:
    """The name of a sealing certificate in a target's root."""
    return f"ari-recorder-{certificate_sha256[:16].lower()}.crt"


def _filled(part: str, values: dict[str, str]) -> str:
    def fill(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        name = found["bare"] or found["braced"] or found["wrong"] or ""
        if name not in values:
            near = difflib.get_close_matches(name.strip("{}"), values, 1, 0.5)
            raise ConfigError(
                "config.value",
                f'The path template holds "${name}", which is not known.',
                remedy=f'Did you mean "${near[0]}"?' if near else f"Known are {', '.join(values)}.",
            )
        return values[name]

    return TEMPLATE.sub(fill, part)


def _values(recording: Recording, zone: tzinfo | None) -> dict[str, str]:
    begun = _begun(recording).astimezone(zone)
    call = recording.call
    remote, local = _sides(call)
    values = {code: begun.strftime(form) for code, form in zip("YMDhms", _TIMES, strict=True)}
    values |= {
        "direction": call.direction or UNKNOWN,
        "setting": word(recording.setting.name) or UNKNOWN,
        "caller": _party(call.caller),
        "callee": _party(call.callee),
        "remote": _party(remote),
        "local": _party(local),
        "trunk": word(call.trunk or "") or UNKNOWN,
        "trunk_number": word(call.trunk_number or "") or UNKNOWN,
        "pbx": word(call.pbx) or UNKNOWN,
        "id": word(recording.id) or UNKNOWN,
    }
    return values


_TIMES = ("%Y", "%m", "%d", "%H", "%M", "%S")


def _sides(call: Call) -> tuple[Party, Party]:
    pair = (call.caller, call.callee)
    return pair[::-1] if call.direction is Direction.OUTBOUND else pair


def _party(party: Party, *, limit: int = COMPONENT_BYTES) -> str:
    return word(party.number, limit=limit) or word(party.name, limit=limit) or UNKNOWN


def _begun(recording: Recording) -> datetime:
    return recording.call.created_at or recording.decided_at


def _shortened(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, without a trailing dot or space (Windows drops those silently)."""
    return text.encode("utf-8", "ignore")[:limit].decode("utf-8", "ignore").rstrip(" .")
