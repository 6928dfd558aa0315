"""What Prometheus is told. Names and meanings are stable; docs/reference/metrics.md is written from here.

Labels have few values, all from configuration, policy or code: never a number, a name or an id of a call.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    exposition,
)

from ... import __version__
from ...model.delivery import Delivery, DeliveryState
from ...model.recording import Recording, State
from ...spool.lane import Health
from ..conditions import Condition, Severity

T = TypeVar("T", Counter, Gauge)

PREFIX = "ari_recorder"
SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
"""Buckets of the delivery's time."""
FOLLOWED = 5000
"""Recordings under delivery whose attempts are remembered, so that each counts once."""
MOST_VALUES = 200
"""Values that a label may take; what comes on top counts as `other`."""
OTHER = "other"
IN_SPOOL = tuple(s for s in State if s not in (State.EXPIRED, State.ERASED))


@dataclass(frozen=True, slots=True)
class Family:
    """One metric as the reference tells it; `name` is without the prefix and what the type appends."""

    name: str
    kind: type[Counter] | type[Gauge] | type[Histogram]
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The name under which Prometheus finds it."""
        return f"{PREFIX}_{self.name}{'_total' if self.kind is Counter else ''}"


FAMILIES: tuple[Family, ...] = (
    Family("recordings_running", Gauge, "Calls being recorded now.", ("pbx",)),
    Family(
        "recordings",
        Counter,
        "Recordings since the start: `captured`, `failed` or `refused` when their call ends, later "
        "`delivered`.",
        ("pbx", "setting", "state"),
    ),
    Family("recording_gaps", Counter, "Gaps stated in recordings that were delivered.", ("pbx",)),
    Family("refusals", Counter, "Calls that were not recorded, by reason.", ("reason",)),
    Family("spool_recordings", Gauge, "Recordings in the spool, by state; counted every 30 s.", ("state",)),
    Family("spool_free_bytes", Gauge, "Room left on the spool's disk."),
    Family(
        "delivery_seconds",
        Histogram,
        "Time from a recording's seal until a target had confirmed all of it.",
        ("target",),
    ),
    Family(
        "deliveries",
        Counter,
        "Attempts to deliver a recording: `delivered`, `failed` (tried again by itself) or `blocked` (a "
        "person must act).",
        ("target", "outcome"),
    ),
    Family("target_up", Gauge, "1 when a target was well when it was last used, else 0.", ("target",)),
    Family("target_waiting_recordings", Gauge, "Recordings that wait for a target.", ("target",)),
    Family("pbx_up", Gauge, "1 while a PBX is connected, else 0.", ("pbx",)),
    Family("chain_length", Gauge, "Links in the chain."),
    Family(
        "certificate_expiry_timestamp_seconds", Gauge, "When the sealing certificate expires, in Unix time."
    ),
    Family("conditions", Gauge, "Conditions that last now, by severity.", ("severity",)),
    Family("event_loop_lag_seconds", Gauge, "Longest lag of the event loop within the last minute."),
    Family("start_time_seconds", Gauge, "When this recorder started, in Unix time."),
    Family("build_info", Gauge, "Always 1; says which version runs.", ("version",)),
)
"""Every metric, in the order of the reference."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is so now."""

    running: Mapping[str, int]
    """Recordings under way by PBX; a PBX that is not connected is in `connected` only."""
    connected: Mapping[str, bool]
    targets: tuple[Health, ...]
    conditions: tuple[Condition, ...]
    chain_length: int
    lag: float
    spool_states: Mapping[str, int]
    spool_free: int | None


class Metrics:
    """Counted as it happens, set before each scrape. Counting is safe in any thread."""

    def __init__(self, started: datetime, expires: datetime) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series for each counter, which nobody asks for
        self.registry = CollectorRegistry()
        self._values: dict[str, set[str]] = {}
        self._attempts: OrderedDict[str, dict[str, tuple[int, DeliveryState]]] = OrderedDict()
        self._counters = {f.name: self._made(f, Counter) for f in FAMILIES if f.kind is Counter}
        self._gauges = {f.name: self._made(f, Gauge) for f in FAMILIES if f.kind is Gauge}
        (timed,) = (f for f in FAMILIES if f.kind is Histogram)
        self._delivery = Histogram(
            timed.name, timed.meaning, timed.labels, namespace=PREFIX, registry=self.registry, buckets=SECONDS
        )
        self._gauges["build_info"].labels(__version__).set(1)
        self._gauges["start_time_seconds"].set(started.timestamp())
        self._gauges["certificate_expiry_timestamp_seconds"].set(expires.timestamp())

    def rendered(self, accept: str) -> tuple[bytes, str]:
        """All of it in the format that a client accepts, and that format's content type. In any thread."""
        encode, kind = exposition.choose_encoder(accept)
        return encode(self.registry), kind

    # -- as it happens -----------------------------------------------------------------------------

    def reached(self, recording: Recording) -> None:
        """A recording has come to a state that is counted."""
        self._count("recordings", recording.call.pbx, recording.setting.name, recording.state.value)

    def refused(self, reason: str) -> None:
        self._count("refusals", reason)

    def delivery_changed(self, recording: Recording) -> None:
        """To be called with each recording whose deliveries have changed, as journalled."""
        known = self._attempts.setdefault(recording.id, {})
        for delivery in recording.deliveries:
            before = known.get(delivery.target)
            after = (delivery.attempts, delivery.state)
            known[delivery.target] = after
            # Of an earlier life only the last attempt is known, and only when it is this change.
            if after[0] and after != before:
                self._attempted(recording, delivery)
        if recording.state is State.DELIVERED:
            self.reached(recording)
            edits = recording.assembled.edits if recording.assembled else ()
            gaps = sum(edit.what == "gap" for edit in edits)
            self._counters["recording_gaps"].labels(self._bounded("pbx", recording.call.pbx)).inc(gaps)
            del self._attempts[recording.id]
        while len(self._attempts) > FOLLOWED:
            self._attempts.popitem(last=False)

    def _attempted(self, recording: Recording, delivery: Delivery) -> None:
        done = delivery.state is DeliveryState.DELIVERED
        outcome = {DeliveryState.WAITING: "failed"}.get(delivery.state, delivery.state.value)
        self._count("deliveries", delivery.target, outcome)
        if done and recording.sealed is not None and delivery.receipts:
            took = delivery.receipts[-1].confirmed_at - recording.sealed.link.sealed_at
            target = self._bounded("target", delivery.target)
            self._delivery.labels(target).observe(max(0.0, took.total_seconds()))

    # -- before a scrape ---------------------------------------------------------------------------

    def set(self, facts: Facts) -> None:
        self._set("recordings_running", {name: facts.running.get(name, 0) for name in facts.connected})
        self._set("pbx_up", {name: int(up) for name, up in facts.connected.items()})
        self._set("target_up", {one.target: int(not one.failures) for one in facts.targets})
        self._set("target_waiting_recordings", {one.target: one.waiting for one in facts.targets})
        severities = Tally(one.severity.value for one in facts.conditions)
        self._set("conditions", {one.value: severities[one.value] for one in Severity})
        self._set("spool_recordings", {s.value: facts.spool_states.get(s.value, 0) for s in IN_SPOOL})
        self._gauges["chain_length"].set(facts.chain_length)
        self._gauges["event_loop_lag_seconds"].set(facts.lag)
        if facts.spool_free is not None:
            self._gauges["spool_free_bytes"].set(facts.spool_free)

    def _set(self, name: str, values: Mapping[str, float]) -> None:
        gauge = self._gauges[name]
        gauge.clear()
        for label, value in values.items():
            gauge.labels(label).set(value)

    def _count(self, name: str, *labels: str) -> None:
        family = next(f for f in FAMILIES if f.name == name)
        bounded = (self._bounded(label, value) for label, value in zip(family.labels, labels, strict=True))
        self._counters[name].labels(*bounded).inc()

    def _bounded(self, label: str, value: str) -> str:
        """Settings come and go with policies; a reason could one day be a sentence."""
        known = self._values.setdefault(label, set())
        if value in known or len(known) < MOST_VALUES:
            known.add(value)
            return value
        return OTHER

    def _made(self, family: Family, kind: type[T]) -> T:
        return kind(family.name, family.meaning, family.labels, namespace=PREFIX, registry=self.registry)
