"""How far Asterisk's clock is from the recorder's, as a recording's metadata says it.

Times of a call and its audio are Asterisk's clock, those of decision and seal the recorder's: on two machines
they may contradict each other, and the metadata says by how much.
"""

from __future__ import annotations

from ...asterisk.ari.client import AriClient
from ...asterisk.clock import TOLERATED, read_offset
from ...model.errors import RecorderError

ROUNDS = 3


async def difference(client: AriClient, *, always: bool) -> str:
    """A sentence; "" where the clocks agree well enough, unless `always`, or where it cannot be told."""
    try:
        found = await read_offset(client, ROUNDS)
    except RecorderError:
        return ""
    if not always and abs(found.offset) <= max(TOLERATED, found.uncertainty):
        return ""
    off, sure = (1000 * each.total_seconds() for each in (found.offset, found.uncertainty))
    return f"Asterisk's clock was {off:+.1f} ms off the recorder's, ± {sure:.1f} ms, when they connected"
