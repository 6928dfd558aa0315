"""Is this machine's clock kept right, and how far is Asterisk's from it?"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .ari.client import AriClient
from .findings import Finding, fail, ok, warn

CODE_OFFSET, CODE_NTP = "pbx.clock", "recorder.clock"

TOLERATED = timedelta(milliseconds=250)
WRONG = timedelta(seconds=30)

UNSYNCHRONISED = 0x40
"""STA_UNSYNC of <sys/timex.h>: set by the kernel until chrony, ntpd or systemd-timesyncd clears it."""


@dataclass(frozen=True, slots=True)
class Offset:
    """Asterisk's clock minus ours, known to ± `uncertainty`."""

    offset: timedelta
    uncertainty: timedelta


async def read_offset(client: AriClient, rounds: int = 5) -> Offset:
    """From Asterisk's answer to pings, the quickest of them; its clock is told in milliseconds."""
    found: list[Offset] = []
    for _ in range(rounds):
        before = datetime.now(UTC)
        theirs = (await client.asterisk.ping()).at
        after = datetime.now(UTC)
        half = (after - before) / 2
        found.append(Offset(theirs - (before + half), half + timedelta(milliseconds=1)))
    return min(found, key=lambda each: each.uncertainty)


def judge_offset(found: Offset) -> Finding:
    off = abs(found.offset)
    said = f"{round(found.offset.total_seconds() * 1000):+d} ms"
    sure = f"± {found.uncertainty.total_seconds() * 1000:.0f} ms"
    title = f"Asterisk's clock differs from the recorder's by {said} ({sure})"
    remedy = "Let both machines keep time with NTP (chrony or systemd-timesyncd)."
    if off <= max(TOLERATED, found.uncertainty):
        return ok(CODE_OFFSET, title)
    detail = "Times in the metadata come from both clocks and would contradict each other."
    return (warn if off < WRONG else fail)(CODE_OFFSET, title, detail, remedy)


def kernel_synchronised() -> bool | None:
    """What this machine's kernel says of its clock (adjtimex); None where it cannot be asked."""
    # struct timex begins with: unsigned modes; long offset, freq, maxerror, esterror; int status. The
    # rest is room: 208 bytes on 64-bit Linux, 128 on 32-bit.
    buffer = (ctypes.c_long * 64)()
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(buffer))
    except (OSError, AttributeError):
        return None
    if answer < 0:
        return None
    return not ctypes.c_int(buffer[5]).value & UNSYNCHRONISED


def judge_synchronised(synchronised: bool | None) -> Finding:
    if synchronised:
        return ok(CODE_NTP, "The recorder's clock is synchronised")
    remedy = "Install and start chrony (`apt install chrony`), or `timedatectl set-ntp true`."
    if synchronised is None:
        name = os.uname().sysname
        return warn(
            CODE_NTP,
            "Whether the recorder's clock is synchronised cannot be read",
            f"The system ({name}) does not tell.",
            remedy,
        )
    return warn(
        CODE_NTP,
        "The recorder's clock is not synchronised",
        "The kernel says that nothing keeps it right. Recordings are evidence: their times should be true."
        " In a container or virtual machine the host may keep it right without the kernel knowing.",
        remedy,
    )
