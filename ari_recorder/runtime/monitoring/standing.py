"""What may be wrong with the recorder itself and nobody else looks at: certificate, clock, its own death."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography import x509

from ...asterisk.clock import kernel_synchronised
from ..conditions import Conditions, Severity
from ..presence import Presence

CERTIFICATE, CLOCK, INTERRUPTED = "seal:certificate", "recorder:clock", "recorder:interrupted"
"""Keys of the conditions."""

EVERY = 60.0
"""Seconds between two looks."""
SOON = timedelta(days=30)
"""So long before it expires a certificate is told of."""
UNSURE = timedelta(minutes=10)
"""So long a clock may take to be synchronised, after the machine's start for example."""
FRESH = timedelta(minutes=10)
"""So long the recorder must have run to be trusted again after it was killed."""


def _now() -> datetime:
    return datetime.now(UTC)


class Standing:
    """Looks once a minute. `before` is what the recorder's last life said of itself, if there was one."""

    def __init__(
        self,
        conditions: Conditions,
        certificate_pem: bytes,
        before: Presence | None,
        *,
        synchronised: Callable[[], bool | None] = kernel_synchronised,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._conditions = conditions
        self._expires = x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc
        self._synchronised = synchronised
        self._clock = clock
        self._started = clock()
        self._unsure_since: datetime | None = None
        if before is not None and before.ended_at is None:
            self._was_interrupted(before)

    @property
    def expires(self) -> datetime:
        """When the sealing certificate expires."""
        return self._expires

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        now = self._clock()
        self._look_at_certificate(now)
        self._look_at_clock(now)
        if now - self._started >= FRESH:
            self._conditions.end(INTERRUPTED)

    def _was_interrupted(self, before: Presence) -> None:
        self._conditions.begin(
            INTERRUPTED,
            "recorder.interrupted",
            f"The recorder was killed or crashed, and did not run from {before.beat_at:%Y-%m-%d %H:%M:%S} to "
            f"{self._started:%Y-%m-%d %H:%M:%S} UTC. Calls that began and ended meanwhile are not recorded.",
            "Look into the system's log why: journalctl -u ari-recorder.",
            Severity.WARNING,
        )

    def _look_at_certificate(self, now: datetime) -> None:
        left = self._expires - now
        if left > SOON:
            self._conditions.end(CERTIFICATE)
            return
        remedy = (
            "Stop the recorder, move key and certificate away (keep both) and start it: it makes a new pair. "
            "Old seals stay valid."
        )
        day = f"{self._expires:%Y-%m-%d}"
        if left > timedelta():
            sentence = f"The sealing certificate expires on {day}."
            self._conditions.begin(CERTIFICATE, "seal.expiring", sentence, remedy, Severity.WARNING)
        else:
            # `verify` pays no regard to it, and recording goes on: a warning still.
            sentence = f"The sealing certificate has expired on {day}; other programs may refuse its seals."
            self._conditions.begin(CERTIFICATE, "seal.expired", sentence, remedy, Severity.WARNING)

    def _look_at_clock(self, now: datetime) -> None:
        if self._synchronised() is not False:
            self._unsure_since = None
            self._conditions.end(CLOCK)
            return
        self._unsure_since = self._unsure_since or now
        if now - self._unsure_since >= UNSURE:
            self._conditions.begin(
                CLOCK,
                "recorder.clock",
                "Nothing keeps this machine's clock right, says its kernel. Recordings are evidence: their "
                "times should be true.",
                'Install and start chrony. Where the host keeps the time, ignore = ["recorder:clock"].',
                Severity.WARNING,
            )
