"""Does this Asterisk drop audio from recordings? A probe for Debian's `2016_opus_plc.patch`.

The patch makes a translation path drop every frame whose RTP sequence number is lower than one before
(docs/explanation/debian-defect.md). Affected and healthy builds print the same version and build date,
so the probe makes Asterisk do it: a dummy call sends a stretch of one A-law value, then, with sequence
numbers 10 000 lower, a stretch of another, and a snoop records both. A healthy build recorded the second
stretch, an affected one lost all of it.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from sys import byteorder

from ..model.errors import RecorderError
from .ari.client import AriClient
from .dummy_call import FRAME, DummyCall

FIRST, SECOND = 30, 60
"""Frames of each stretch: 0.6 s and 1.2 s."""

HIGH, LOW = b"\xaa", b"\x2a"
"""A-law codes of the extreme values (ITU-T G.711); no other sound, no silence decodes to them."""

HIGH_SAMPLE, LOW_SAMPLE = 32256, -32256

START, BACK = 30000, 10000
"""The second stretch begins BACK sequence numbers lower: far from any wrap, so never seen as one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`affected` is None when the probe could not tell; `detail` says why, or gives the numbers."""

    affected: bool | None
    detail: str


async def probe(client: AriClient) -> Verdict:
    """About 2.5 s; never raises a RecorderError, disturbs no call and leaves nothing behind."""
    try:
        async with DummyCall(client) as call:
            await call.record()
            await call.send(packets())
            return judge(await call.finish())
    except RecorderError as error:
        return Verdict(None, f"The probe could not be made: {error.sentence}")


def judge(recorded: bytes) -> Verdict:
    """The verdict on the probe's recording, sln at 8 kHz."""
    samples = array("h", recorded[: len(recorded) // 2 * 2])
    if byteorder == "big":
        samples.byteswap()
    first, second = samples.count(HIGH_SAMPLE) / FRAME, samples.count(LOW_SAMPLE) / FRAME
    numbers = f"{first:.1f} of {FIRST} frames before the step back, {second:.1f} of {SECOND} after it"
    if first < FIRST / 2:
        return Verdict(None, f"The probe's own audio did not arrive ({numbers}); is UDP to Asterisk blocked?")
    if second > SECOND * 0.2:  # affected builds record none of it; a busy machine may lose its end
        return Verdict(False, f"Recorded: {numbers}.")
    if second < SECOND * 0.1:
        return Verdict(True, f"Recorded: {numbers}.")
    return Verdict(None, f"Neither clearly healthy nor clearly affected: {numbers}.")


def packets() -> list[tuple[int, bytes]]:
    """What the probe sends: (sequence number, A-law payload), 20 ms each."""
    before = [(START + n, HIGH * FRAME) for n in range(FIRST)]
    return before + [(START - BACK + n, LOW * FRAME) for n in range(SECOND)]
