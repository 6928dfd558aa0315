"""Stands beside the recorder and tells how it does: people, Prometheus, load balancers and systemd.

Nothing of it is needed to record. What goes wrong here is logged and begun again, and ends nothing else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from ...disk.space import space
from ...model.errors import RecorderError
from ...spool.lane import Health as TargetHealth
from ...spool.patience import DISK, LateError, in_time
from .. import presence
from ..alerts.message import Identity
from ..alerts.outlets import Alerts
from ..conditions import Conditions
from ..foundations import Foundations
from ..presence import Presence
from .endpoint import Endpoint
from .health import Health
from .metrics import Facts, Metrics
from .standing import Standing
from .systemd import ServiceManager
from .watchdog import Watchdog

LONGEST_START = 20.0
"""Seconds after which the start counts as over, though a PBX has not let itself be tried yet."""
COUNT_EVERY = 30.0
"""Seconds between two counts of the spool."""
STATUS_EVERY = 2.0
AGAIN = 30.0
"""Seconds after which a task that failed by a defect is begun again."""

log = structlog.get_logger()


def _ignore() -> None:
    """A count that comes late is made anew in its time."""


@dataclass(frozen=True, slots=True)
class View:
    """What the recorder shows of itself now."""

    presence: Presence
    running: Mapping[str, int]
    """Recordings under way, by PBX."""
    targets: tuple[TargetHealth, ...]


class Lookout:
    """To be used on the event loop."""

    def __init__(
        self,
        base: Foundations,
        conditions: Conditions,
        view: Callable[[], View],
        manager: ServiceManager | None = None,
    ) -> None:
        machine = base.machine
        state = machine.recorder.state
        self.manager = manager or ServiceManager()
        self._base = base
        self._conditions = conditions
        self._view = view
        self._untried = set(machine.pbx)
        self._began = asyncio.Event()
        self._spool_states: dict[str, int] = {}
        self._spool_free: int | None = None
        self.standing = Standing(conditions, base.keys.certificate_pem, presence.read(state))
        self.metrics = Metrics(datetime.now(UTC), self.standing.expires)
        self.watchdog = Watchdog(conditions, self.manager)
        identity = Identity.here(machine.seal.common_name)
        self._alerts = Alerts(machine.alerts, conditions, state, identity)
        self._endpoint: Endpoint | None = None
        if machine.monitoring is not None:
            self._endpoint = Endpoint(machine.monitoring, conditions, self._scrape, self.health)

    async def run(self) -> None:
        """Until cancelled."""
        duties = {
            "watchdog": self.watchdog.run,
            "standing": self.standing.run,
            "alerts": self._alerts.run,
            "service-manager": self._inform,
        }
        if self._endpoint is not None:
            duties |= {"endpoint": self._endpoint.run, "census": self._count}
        async with asyncio.TaskGroup() as tasks:
            for name, duty in duties.items():
                tasks.create_task(self._kept_up(name, duty), name=f"lookout-{name}")

    def tried(self, pbx: str) -> None:
        """A connection to this PBX has come about, or failed, for the first time or again."""
        self._untried.discard(pbx)
        if not self._untried:
            self._began.set()

    def health(self) -> Health:
        connected = all(pbx.connected for pbx in self._view().presence.pbxs)
        return Health(
            ready=self._began.is_set() and connected,
            conditions=self._conditions.active(),
        )

    async def _kept_up(self, name: str, duty: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await duty()
            except Exception:
                log.exception("A duty of the lookout failed", action="lookout.defect", duty=name)
            await asyncio.sleep(AGAIN)

    async def _inform(self) -> None:
        """systemd: the start is over when every PBX was tried once; from then on one line of status."""
        if not self.manager.listens:
            await self._start_is_over()
            await asyncio.Event().wait()
        self.manager.status("Starting")
        await self._start_is_over()
        self.manager.ready()
        while True:
            self.manager.status(self._sentence())
            await asyncio.sleep(STATUS_EVERY)

    async def _start_is_over(self) -> None:
        try:
            async with asyncio.timeout(LONGEST_START):
                await self._began.wait()
        except TimeoutError:
            self._began.set()

    def _sentence(self) -> str:
        view = self._view()
        pbxs = view.presence.pbxs
        up = sum(pbx.connected for pbx in pbxs)
        waiting = max((target.waiting for target in view.targets), default=0)
        said = f"Recording {sum(view.running.values())} call(s); {up} of {len(pbxs)} PBX(s) connected"
        said += f"; {waiting} recording(s) wait for a target" if waiting else ""
        if active := self._conditions.active():
            said += f"; {len(active)} condition(s): " + ", ".join(one.key for one in active[:5])
        return said

    async def _count(self) -> None:
        """In a thread: a spool may hold 20 000 recordings, or lie on a disk that hangs."""
        while True:
            try:
                self._spool_states, self._spool_free = await in_time(self._counted, "census", DISK, _ignore)
            except (RecorderError, LateError) as error:
                log.warning(str(error) or "The spool does not answer", action="lookout.spool")
                self._spool_states, self._spool_free = {}, None
            await asyncio.sleep(COUNT_EVERY)

    def _counted(self) -> tuple[dict[str, int], int | None]:
        """By what can be reached: a spool folder that hangs is not touched."""
        spool = self._base.spool
        states = Counter(state.value for _, state in spool.states() if state is not None)
        first = spool.places[0]
        return dict(states), None if first.hangs else space(first.root).free

    async def _scrape(self, accept: str) -> tuple[bytes, str]:
        view = self._view()
        self.metrics.set(
            Facts(
                running=view.running,
                connected={pbx.name: pbx.connected for pbx in view.presence.pbxs},
                targets=view.targets,
                conditions=self._conditions.active(),
                chain_length=len(self._base.chain),
                lag=self.watchdog.lag,
                spool_states=self._spool_states,
                spool_free=self._spool_free,
            )
        )
        return await asyncio.to_thread(self.metrics.rendered, accept)
