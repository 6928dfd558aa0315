"""The named moments at which tests kill the process, to show that nothing is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

FAULT_POINTS: dict[str, str] = {
    "write.begin": "before the temporary file of an atomic write is made",
    "write.synced": "the temporary file is on the disk, the old content still stands",
    "write.renamed": "the new content stands under its name, the folder is not synced",
    "write.done": "the new content is durable",
    "new.begin": "before a file that did not exist is made",
    "new.synced": "it is on the disk, its name is not synced",
    "rename.begin": "before a rename",
    "rename.done": "the name is another one, the folder is not synced",
    "names.synced": "the names in a folder are durable",
    "copy.begin": "before a file is copied",
    "copy.synced": "the copy is on the disk under a temporary name",
    "append.done": "a line of the chain's log is durable",
    "cut.begin": "before a torn line is cut off the chain's log",
    "cut.done": "it is cut off",
    "unlink.begin": "before a file is deleted",
    "unlink.done": "it is deleted, the folder is not synced",
    "reserve.made": "the reserve has its space, under a temporary name",
    "reserve.held": "the reserve has its name",
    "reserve.cut": "the reserve's space is given up, its name still stands",
    "reserve.unlinked": "one of the reserve's names is given up",
    "create.made": "a new recording's folder is whole but still has its temporary name",
    "create.renamed": "a new recording's folder has its name, the spool is not synced",
    "remove.begin": "before a recording's folder is moved to the trash",
    "remove.renamed": "it is in the trash",
    "remove.done": "the trash is emptied",
    "move.file": "one file of a recording is copied into another spool folder",
    "move.copied": "a recording is copied into another spool folder and verified; the first copy counts",
    "move.decided": "the other copy counts, it still has its temporary name",
    "move.arrived": "the other copy has its name, the first still stands",
    "move.left": "the first copy is gone, the decision is still noted",
    "move.done": "the move is over",
    "delivery.begin": "before anything of a recording is sent to a target",
    "delivery.folder": "the folder in the target is chosen and journalled",
    "delivery.file": "a file is confirmed by the target, not yet journalled",
    "delivery.confirmed": "all files are confirmed, not yet journalled",
    "delivery.journalled": "the delivery is journalled",
    "delivery.complete": "every target has confirmed, the local copy still stands",
    "local.opened": "the part file of a folder target is open and empty",
    "local.chunk": "some of the part file is written",
    "local.synced": "the part file is whole and synced",
    "local.checked": "the part file was read back",
    "local.linked": "the file has its final name, and its part name too",
    "local.unlinked": "the file has its final name only, the folder is not synced",
    "sftp.folder": "a folder on the way to the file is there",
    "sftp.opened": "the part file is open on the server",
    "sftp.block": "a block of it is on its way",
    "sftp.written": "the part file is whole and synced",
    "sftp.checked": "it was read back",
    "sftp.renamed": "the file has its final name",
    "smb.folder": "as sftp.folder",
    "smb.opened": "as sftp.opened",
    "smb.block": "as sftp.block",
    "smb.written": "as sftp.written",
    "smb.checked": "as sftp.checked",
    "smb.renamed": "as sftp.renamed",
    "onedrive.begin": "before an upload session is asked for",
    "onedrive.made": "the service has made one, it is not remembered yet",
    "onedrive.session": "an upload session was made and is remembered",
    "onedrive.fragment": "a fragment is stored by the service",
    "onedrive.stored": "the file has its final name, its session is still remembered",
    "onedrive.committed": "the file has its final name, and is not confirmed yet",
}
"""Every fault point of disk, spool and targets, in the package's order, with the moment it stands for."""

SEAMS: dict[str, str] = {
    "order.snoop": "Asterisk has made a snoop",
    "order.record": "Asterisk was told to record, which is not journalled yet",
    "order.play": "Asterisk was told to play an announcement",
    "order.let-go": "a call was given back to the dialplan",
    "finish.journalled": "the end of the call is journalled, the recording is not yet in the pipeline",
    "legs.copy": "before a leg is copied out of Asterisk's folder",
    "legs.copied": "all legs are copied, not yet journalled",
    "assembly.block": "a block of the stereo file is written",
    "assembly.done": "the stereo file has its name, not yet journalled",
    "seal.write": "before one of the files that a seal adds is written",
    "seal.append": "before the link is appended to the chain's log",
    "seal.rename": "before a sealed file gets its final name; the link is in the log",
    "seal.done": "sealed, the legs are still there",
    "seal.cleared": "the legs are gone, SEALED is not yet journalled",
}
"""Those of the rooms above, from the first order to Asterisk to the sealed files."""

TOOLS: dict[str, str] = {
    "request.answered": "an answer is written, the request still stands",
    "retry.applied": "what was asked is done, the request still stands",
    "adopt.copied": "a recording's copy is whole and on the disk, under a temporary name",
    "adopt.renamed": "it has its name, the spool folder is not synced",
    "adopt.adopted": "it is in the spool, nobody has been told",
    "adopt.told": "the recorder is told of it, the source still stands",
    "adopt.cleared": "the source is gone",
    "export.copied": "an export is whole and on the disk, under a temporary name",
    "alert.sent": "an alert is sent, which is not noted yet",
}
"""Those of `ari-recorder spool`, and of what the recorder tells people."""

FAULT_VARIABLE = "ARI_RECORDER_FAULT"
HANG = "hang:"
HANGS_FOR = 3600.0


def _nothing(_name: str) -> None:
    """In the field, a fault point is nothing."""


def _killer(setting: str) -> Callable[[str], None]:
    """A hook that kills this process (SIGKILL) when point `name[:n]` is reached for the nth time.

    `hang:name[:n]`: the thread that comes by from the nth time on stays there, as at a disk that hangs.
    """
    hangs = setting.startswith(HANG)
    wanted, _, count = setting.removeprefix(HANG).partition(":")
    if wanted not in FAULT_POINTS | SEAMS | TOOLS:
        raise ValueError(f"{FAULT_VARIABLE} names {wanted!r}, which is not a fault point")
    left = int(count or 1)

    def hook(name: str) -> None:
        nonlocal left
        if name == wanted:
            left -= 1
            if left <= 0 and hangs:
                time.sleep(HANGS_FOR)
            elif left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


hook: Callable[[str], None] = (
    _killer(os.environ[FAULT_VARIABLE]) if FAULT_VARIABLE in os.environ else _nothing
)
"""Called at each fault point with its name. Tests exchange it; `ARI_RECORDER_FAULT` makes it deadly."""


def fault_point(name: str) -> None:
    """A moment at which the process may die and nothing may be lost: a key of one of the tables above."""
    hook(name)
