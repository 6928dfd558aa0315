"""The delivery side of the recorder: which targets are in use, how they do, and what is waiting for them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import structlog

from ..model.errors import CODES, RecorderError, TransientError
from ..model.recording import Recording
from ..rules.policy import Policy
from ..spool.delivery import Deliverer
from ..spool.folders import RecordingFolder
from ..spool.lane import Health
from ..targets.base import Target
from ..targets.register import make_targets
from ..targets.vault import Vault
from .conditions import Conditions, Severity
from .foundations import CERTIFICATES, Foundations, make_own_archives
from .presence import TargetPresence

PATIENCE_WITH_TARGET = 2
"""Failures in a row of a target as a whole that it takes to be told, when it may pass by itself."""
NOT_IN_USE = frozenset({"target.disabled", "target.incomplete"})
"""What somebody wanted so, or has not finished."""

_CODE = re.compile(r"\[([a-z.-]+)\]$")

log = structlog.get_logger()


class Deliveries:
    """All methods are called on the event loop; none of them blocks."""

    def __init__(
        self, base: Foundations, conditions: Conditions, on_change: Callable[[Recording], None]
    ) -> None:
        self._base = base
        self._conditions = conditions
        self._on_change = on_change
        self._in_use = {settings.name: settings for settings in base.policy.targets}
        self._vault = Vault.of(base.machine)
        self.targets: dict[str, Target] = make_targets(base.policy.targets, self._vault)
        """Those in use, by name."""
        self._deliverer = Deliverer(
            self.targets,
            limits={name: settings.limits for name, settings in self._in_use.items()},
            certificate=self._certificate,
            find=base.spool.get,
            on_change=self._changed,
            on_health=self._heard,
            on_damaged=self.damaged,
        )

    def submit(self, folder: RecordingFolder) -> None:
        """Take over a sealed recording; harmless for any other, and for one that is here already."""
        self._deliverer.submit(folder)

    def health(self) -> tuple[Health, ...]:
        return self._deliverer.health()

    def hung(self) -> dict[str, str]:
        """See `Deliverer.hung`."""
        return self._deliverer.hung()

    def presence(self) -> tuple[TargetPresence, ...]:
        """How the targets do, for `status`."""
        return tuple(map(_presence, self.health()))

    async def run(self) -> None:
        """Until `close`, or cancelled."""
        await self._deliverer.run()

    async def close(self, seconds: float) -> None:
        await self._deliverer.close(seconds)

    def retry(self, recordings: Collection[str] | None = None, targets: Collection[str] | None = None) -> int:
        """See `Deliverer.retry`."""
        return self._deliverer.retry(recordings, targets)

    def damaged(self, folder: RecordingFolder, error: RecorderError) -> None:
        """A recording whose journal cannot be read; it is left as it is."""
        self._conditions.begin_with(f"recording:{folder.id}", error)

    def _changed(self, recording: Recording) -> None:
        self._conditions.end(f"recording:{recording.id}")  # whatever it was: it can be read, and goes out
        self._on_change(recording)

    def failed(self, recordings: Iterable[Recording]) -> None:
        """Recordings that failed in an earlier life still wait for a person."""
        for one in recordings:
            found = _CODE.search(one.reason or "")
            code = found[1] if found is not None and found[1] in CODES else "audio.leg"
            self._conditions.begin(
                f"recording:{one.id}", code, one.reason or "It failed.", "ari-recorder spool retry"
            )

    # -- the policy has changed ------------------------------------------------------------------------

    async def exchange(self, policy: Policy) -> None:
        """Use the targets of this policy from now on. RecorderError when one cannot be made: nothing is
        changed then. A target that fails is made anew also where its settings are the same, for its password
        file may have changed; whatever waits is due now.
        """
        await asyncio.to_thread(make_own_archives, self._base.machine, policy)
        wanted = {settings.name: settings for settings in policy.targets}
        troubled = {health.target for health in self.health() if health.failures or health.blocked}
        changed = [s for s in policy.targets if s != self._in_use.get(s.name) or s.name in troubled]
        made = await asyncio.to_thread(make_targets, changed, self._vault)
        fresh = wanted.keys() - self._in_use.keys()
        for name in self._in_use.keys() - wanted.keys():
            log.warning("The policy has this target no more", action="target.removed", target=name)
            self._deliverer.take_out(name)
            self._end(name)
        for name, target in made.items():
            log.info("A target is used as the policy has it now", action="target.changed", target=name)
            self._deliverer.put_in(target, wanted[name].limits)
        self.targets = {name: made.get(name) or self.targets[name] for name in wanted}
        self._in_use = wanted
        self._deliverer.retry()
        if fresh:  # recordings that were blocked because there was no such target
            await self.take_up()

    async def take_up(self) -> None:
        """Hand in every recording of the spool; those that are known already take no harm."""
        for folder in await asyncio.to_thread(lambda: list(self._base.spool.all())):
            self.submit(folder)

    # -- how the targets do -----------------------------------------------------------------------------

    def _heard(self, health: Health) -> None:
        key, blocked = f"target:{health.target}", f"deliveries:{health.target}"
        fault, obstacle = health.fault, health.obstacle
        if fault is None:
            self._conditions.end(key)
        elif health.failures >= PATIENCE_WITH_TARGET or not isinstance(fault, TransientError):
            wanted_so = fault.code in NOT_IN_USE
            self._conditions.begin_with(key, fault, Severity.WARNING if wanted_so else Severity.CRITICAL)
        if obstacle is None:
            self._conditions.end(blocked)
        else:
            count = "1 recording" if health.blocked == 1 else f"{health.blocked} recordings"
            sentence = f'{count} cannot be delivered to target "{health.target}". {obstacle.sentence}'
            self._conditions.begin(blocked, obstacle.code, sentence, obstacle.remedy)

    def _end(self, name: str) -> None:
        for key in (f"target:{name}", f"deliveries:{name}"):
            self._conditions.end(key)

    def _certificate(self, fingerprint: str) -> Path | None:
        """What was sealed before a change of the key goes out with the certificate of its own time."""
        kept = self._base.machine.recorder.state / CERTIFICATES / f"{fingerprint}.crt"
        return kept if kept.exists() else None


def _presence(health: Health) -> TargetPresence:
    return TargetPresence(
        name=health.target,
        waiting=health.waiting,
        running=health.running,
        blocked=health.blocked,
        error=health.error or (str(health.obstacle) if health.obstacle else None),
        next_try_at=health.next_try_at,
        opens_at=health.opens_at,
    )
