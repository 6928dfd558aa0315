"""Finds out once for each Asterisk whether it loses reordered frames, and remembers the answer.

The probe takes seconds and the answer changes only when Asterisk is replaced, so it is kept beside the
version and the time of the build; docs/explanation/debian-defect.md.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import structlog

from ...asterisk.ari.client import AriClient
from ...asterisk.defect import probe
from ...model.errors import RecorderError

log = structlog.get_logger()


async def drops_frames(client: AriClient, state: Path, pbx: str) -> bool | None:
    """Whether the PBX drops frames on a change of source; None when it could not be told. Never raises."""
    memory = state / "translators.json"
    try:
        key = f"{pbx}/{await _fingerprint(client)}"
    except RecorderError:
        return None
    known = _read(memory)
    if key not in known:
        verdict = await probe(client)
        if verdict.affected is None:
            log.warning(verdict.detail, action="translator.unknown", pbx=pbx)
            return None
        known = {k: v for k, v in known.items() if not k.startswith(f"{pbx}/")}
        known[key] = verdict.affected
        with suppress(OSError):  # a full disk: it is probed again after the next start
            memory.write_text(json.dumps(known, indent=2), encoding="ascii")
        if verdict.affected:
            log.warning(
                "This Asterisk drops audio from recordings when the source changes; calls are recorded in "
                "fresh segments around each change. Remedy: an Asterisk without Debian's 2016_opus_plc.patch",
                action="translator.affected",
                pbx=pbx,
            )
    return known[key]


async def _fingerprint(client: AriClient) -> str:
    """Changes whenever Asterisk is started anew: the same version may be another build."""
    info = await client.asterisk.info()
    return f"{info.version}/{info.started_at.isoformat()}"


def _read(memory: Path) -> dict[str, bool]:
    try:
        known = json.loads(memory.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    return {str(k): bool(v) for k, v in known.items()} if isinstance(known, dict) else {}
