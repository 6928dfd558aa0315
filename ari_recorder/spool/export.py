"""A recording as a folder for strangers: sealed, with all they need to verify it; not sealed, as it is.

Reads only, so it may be done while a recorder works. Written under a name that does not count, then renamed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..disk import durable
from ..disk.digest import digest_of
from ..disk.faults import fault_point
from ..evidence import verify
from ..evidence.findings import Report
from ..model.errors import IntegrityError, PermanentError
from ..model.evidence import Sealed
from ..model.recording import Recording
from ..targets.paths import certificate_name
from .folders import JOURNAL, RecordingFolder

CHECK_SCRIPT = Path(verify.__file__).parent / "check.sh"
README = "READ-ME.txt"

_SEALED = """\
One recording of a telephone call, sealed by ari-recorder.

To verify it (a POSIX shell, sha256sum and openssl are enough):

    sh check.sh -p -c CERTIFICATE .

CERTIFICATE is the recorder's certificate. {about} A certificate that
comes with the files proves nothing by itself: compare its SHA-256 fingerprint
with the one that the recorder's owner gives you by another way.

    {fingerprint}

{name}_info.txt says what is in the recording, for people; the .json says the
same for programs. -p says that this is one recording and not a whole archive.
"""

_UNSEALED = """\
NOT SEALED. These are the raw files of a recording on its way: nothing here is
signed, and nothing here proves anything.

State: {state}
{reason}
legs/           what Asterisk recorded of each side, headerless 16-bit PCM,
                little-endian, one channel; the rate stands in recording.json
recording.json  the recorder's journal of this recording
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """`report` is the verification of the exported folder; None for what is not sealed, or where the
    certificate is not known here."""

    id: str
    path: Path
    sealed: bool
    report: Report | None


def export(
    folder: RecordingFolder, recording: Recording, to: Path, certificate: Callable[[str], Path | None]
) -> Exported:
    """Make a folder of its own below `to`, which is made where missing. Blocks.

    PermanentError `config.exists`, `spool.no-recording` when it left the spool meanwhile; IntegrityError
    `evidence.altered`; TransientError `spool.full`, `spool.unusable`.
    """
    sealed = recording.sealed
    final = to / (sealed.name if sealed else f"{recording.id}_NOT-SEALED")
    if final.exists():
        raise PermanentError("config.exists", f"{final} is there already.", remedy="Choose another folder.")
    with durable.explained(f"Exporting to {to}"):
        to.mkdir(parents=True, exist_ok=True)
        new = to / f".{final.name}.part"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        try:
            known = _sealed(folder, sealed, new, certificate) if sealed else _raw(folder, recording, new)
        except FileNotFoundError as error:
            shutil.rmtree(new, ignore_errors=True)
            raise PermanentError(
                "spool.no-recording",
                f"{error.filename} is not there: the recording has left the spool, or is not whole.",
                remedy="When it was delivered, take it from its target.",
            ) from error
        durable.sync_folder(new)
        fault_point("export.copied")
        durable.publish(new, final)
    report = verify.verify([final], part=True) if sealed and known else None
    return Exported(recording.id, final, sealed is not None, report)


def _sealed(
    folder: RecordingFolder, sealed: Sealed, new: Path, certificate: Callable[[str], Path | None]
) -> bool:
    for file in sealed.files:
        durable.copy(folder.path / file.name, new / file.name)
        if digest_of(new / file.name) != (file.sha256, file.bytes):
            raise IntegrityError("evidence.altered", f"{folder.path / file.name} is not what was sealed.")
    found = certificate(sealed.certificate_sha256)
    name = certificate_name(sealed.certificate_sha256)
    if found is not None:
        durable.copy(found, new / name)
    durable.copy(CHECK_SCRIPT, new / "check.sh")
    about = f"The file {name} is a copy of it." if found is not None else "It is not in this folder."
    text = _SEALED.format(about=about, fingerprint=sealed.certificate_sha256, name=sealed.name)
    durable.write_new(new / README, text.encode())
    return found is not None


def _raw(folder: RecordingFolder, recording: Recording, new: Path) -> bool:
    (new / "legs").mkdir()
    durable.copy(folder.path / JOURNAL, new / JOURNAL)
    for path in sorted(folder.legs.iterdir()) if folder.legs.is_dir() else ():
        durable.copy(path, new / "legs" / path.name)
    durable.sync_folder(new / "legs")
    reason = f"Reason: {recording.reason}\n" if recording.reason else ""
    text = _UNSEALED.format(state=recording.state.value, reason=reason)
    durable.write_new(new / "NOT-SEALED.txt", text.encode())
    return False
