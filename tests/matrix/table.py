"""Which fault point is met where: the crash matrix.

Every point of `ari_recorder/disk/faults.py` stands in at least one row, which `test_table.py` demands. The
rows of `KILLED_IN` are what `driver.every_moment` goes by: a point that stands there and is not met fails.
"""

from __future__ import annotations

_JOURNAL = frozenset({"write.begin", "write.synced", "write.renamed", "write.done"})
_RENAMES = frozenset({"rename.begin", "rename.done", "names.synced"})
_NEW = frozenset({"new.begin", "new.synced"})
_UNLINKS = frozenset({"unlink.begin", "unlink.done"})
_CREATES = frozenset({"create.made", "create.renamed"})
_REMOVES = frozenset({"remove.begin", "remove.renamed", "remove.done"})
_SEALS = frozenset({"seal.write", "seal.append", "append.done", "seal.rename", "seal.done", "seal.cleared"})
_DELIVERS = frozenset(
    {"delivery.begin", "delivery.folder", "delivery.file", "delivery.confirmed", "delivery.journalled"}
)

KILLED_IN: dict[str, frozenset[str]] = {
    "deliver_to_folders": _JOURNAL | _RENAMES | _CREATES | _REMOVES | _DELIVERS | {
        "delivery.complete", "local.opened", "local.chunk", "local.synced", "local.checked", "local.linked",
        "local.unlinked",
    },
    "move_between_folders": _NEW | _RENAMES | _UNLINKS | _CREATES | _REMOVES | {
        "reserve.made", "reserve.held", "move.file", "move.copied", "move.decided", "move.arrived",
        "move.left", "move.done",
    },
    "adopt": _JOURNAL | _RENAMES | {
        "copy.begin", "copy.synced", "adopt.copied", "adopt.renamed", "adopt.adopted", "adopt.told",
        "adopt.cleared",
    },
    "seal_and_adopt": _NEW | _SEALS | {
        "legs.copy", "legs.copied", "assembly.done", "adopt.copied", "adopt.renamed", "adopt.adopted",
        "adopt.told", "adopt.cleared",
    },
    "export_sealed": _NEW | _RENAMES | {"copy.begin", "copy.synced", "export.copied"},
    "call_to_archive": _JOURNAL | _RENAMES | _NEW | _UNLINKS | _SEALS | {
        "legs.copy", "copy.begin", "copy.synced", "legs.copied", "assembly.block", "assembly.done",
        "delivery.complete",
    },
    "statement_to_archive": _JOURNAL | _RENAMES | _NEW | _UNLINKS | _CREATES | _SEALS | {"delivery.complete"},
    "open_torn_chain": _NEW | _UNLINKS | {"names.synced", "cut.begin", "cut.done"},
    "deliver_to_server:sftp": _DELIVERS | {
        "sftp.folder", "sftp.opened", "sftp.block", "sftp.written", "sftp.checked", "sftp.renamed",
    },
    "deliver_to_server:smb": _DELIVERS | {
        "smb.folder", "smb.opened", "smb.block", "smb.written", "smb.checked", "smb.renamed",
    },
    "deliver_to_server:onedrive": _DELIVERS | _JOURNAL | {
        "onedrive.begin", "onedrive.made", "onedrive.session", "onedrive.fragment", "onedrive.stored",
        "onedrive.committed",
    },
    "reserve": frozenset({"reserve.made", "reserve.held", "reserve.cut", "reserve.unlinked"}),
    "leftovers": _NEW | _RENAMES | _UNLINKS,
    "request": _JOURNAL | _RENAMES | {"request.answered"},
}  # fmt: skip
"""Points by the scene in `scenes.py` in which every passing of them is met."""

KILLED_ELSEWHERE: dict[str, frozenset[str]] = {
    "tests/crash/test_fault_points.py": frozenset(
        {"order.snoop", "order.record", "order.play", "order.let-go", "finish.journalled"}
    ),
    "tests/unit/cli/test_spool_commands.py": frozenset({"retry.applied"}),
    "tests/unit/runtime/alerts/test_outlets.py": frozenset({"alert.sent"}),
}
"""Points by the test that kills a whole recorder there, for which it takes an Asterisk or commands."""


def rows() -> list[str]:
    """The table of docs/explanation/crash-safety.md."""
    killed_in = {**KILLED_IN, **KILLED_ELSEWHERE}
    return [f"| {_shown(where)} | {', '.join(sorted(points))} |" for where, points in killed_in.items()]


def _shown(where: str) -> str:
    scene, _, kind = where.partition(":")
    return f"`{where}`" if "/" in where else f"{scene.replace('_', ' ')}{f' ({kind})' if kind else ''}"
