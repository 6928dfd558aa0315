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
        "copy.begin", "copy.synced", "adopt.copied", "adopt.renamed", "adopt.adopted", "adopt.cleared",
    },
    "export_sealed": _NEW | _RENAMES | {"copy.begin", "copy.synced", "export.copied"},
    "call_to_archive": _JOURNAL | _RENAMES | _NEW | _UNLINKS | _SEALS | {
        "legs.copy", "copy.begin", "copy.synced", "legs.copied", "assembly.block", "assembly.done",
        "delivery.complete",
    },
    "statement_to_archive": _JOURNAL | _RENAMES | _NEW | _UNLINKS | _CREATES | _SEALS | {"delivery.complete"},
    "open_torn_chain": _NEW | _UNLINKS | {"names.synced", "cut.begin", "cut.done"},
    "reserve": frozenset({"reserve.made", "reserve.held", "reserve.cut", "reserve.unlinked"}),
    "leftovers": _NEW | _RENAMES | _UNLINKS,
    "request": _JOURNAL | _RENAMES | {"request.answered"},
}  # fmt: skip
