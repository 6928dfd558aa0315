"""Metrics and health: what is counted, and a small HTTP server that hostile clients cannot hold."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from ari_recorder.config.monitoring import MonitoringSettings
from ari_recorder.lab.ports import HOST, Ports
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.delivery import Delivery, DeliveryState, Receipt
from ari_recorder.model.errors import TransientError
from ari_recorder.model.evidence import Link, Sealed
from ari_recorder.model.recording import Assembled, Call, Chosen, Note, Recording, State
from ari_recorder.runtime.conditions import Conditions, Severity
from ari_recorder.runtime.monitoring.endpoint import KEY, LONGEST_LINE, MOST, Endpoint
from ari_recorder.runtime.monitoring.health import Health
from ari_recorder.runtime.monitoring.metrics import FAMILIES, MOST_VALUES, OTHER, Facts, Metrics
from ari_recorder.spool.lane import Health as TargetHealth

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CALLER = "+491701234567"


def recording(number: int = 1, *deliveries: Delivery, state: State = State.DELIVERING) -> Recording:
    link = Link(1, f"r{number}", "name", NOON, "", None, (), "chain")
    gap = Note(NOON, "gap", "missing")
    return Recording(
        f"r{number}", state, NOON, Call("main", "c", Direction.INBOUND, Party(CALLER), Party("1001")),
        Chosen("Sales", "1", targets=("archive", "vault")), deliveries=deliveries,
        assembled=Assembled((), NOON, 1.0, True, (gap, gap)), sealed=Sealed("name", (), link, "00"),
    )  # fmt: skip


def delivery(target: str, state: DeliveryState, attempts: int, seconds: float = 0) -> Delivery:
    receipt = Receipt("x", 1, "00", NOON + timedelta(seconds=seconds), "read-back")
    receipts = (receipt,) if state is DeliveryState.DELIVERED else ()
    return Delivery(target, state=state, attempts=attempts, receipts=receipts)


def samples(metrics: Metrics) -> dict[str, float]:
    body, kind = metrics.rendered("")
    assert kind.startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            labels = ",".join(sample.labels[name] for name in sorted(sample.labels))
            found[f"{sample.name.removeprefix('ari_recorder_')}{{{labels}}}"] = sample.value
    return found


def test_attempts_and_times_are_counted_once_each() -> None:
    metrics = Metrics(NOON, NOON)
    waiting = delivery("vault", DeliveryState.WAITING, 1)
    steps = [
        (delivery("archive", DeliveryState.DELIVERED, 1, 4), Delivery("vault")),
        (delivery("archive", DeliveryState.DELIVERED, 1, 4), waiting),
        (delivery("archive", DeliveryState.DELIVERED, 1, 4), waiting),  # told twice
        (delivery("archive", DeliveryState.DELIVERED, 1, 4), delivery("vault", DeliveryState.BLOCKED, 2)),
        (
            delivery("archive", DeliveryState.DELIVERED, 1, 4),
            delivery("vault", DeliveryState.DELIVERED, 3, 70),
        ),
    ]
    for step in steps[:-1]:
        metrics.delivery_changed(recording(1, *step))
    metrics.delivery_changed(recording(1, *steps[-1], state=State.DELIVERED))
    metrics.reached(replace(recording(), state=State.CAPTURED))
    metrics.refused("exception")
    found = samples(metrics)
    assert found["deliveries_total{delivered,archive}"] == 1
    assert found["deliveries_total{failed,vault}"] == 1
    assert found["deliveries_total{blocked,vault}"] == 1
    assert found["deliveries_total{delivered,vault}"] == 1
    assert found["delivery_seconds_sum{archive}"] == 4
    assert found["delivery_seconds_sum{vault}"] == 70
    assert found["recordings_total{main,Sales,delivered}"] == 1
    assert found["recordings_total{main,Sales,captured}"] == 1
    assert found["recording_gaps_total{main}"] == 2
    assert found["refusals_total{exception}"] == 1
    assert CALLER not in metrics.rendered("")[0].decode()


def test_what_is_so_now() -> None:
    metrics = Metrics(NOON, NOON + timedelta(days=1))
    conditions = Conditions()
    conditions.begin("pbx:main", "ari.unreachable", "Away.")
    conditions.begin("recorder:clock", "recorder.clock", "Off.", "", Severity.WARNING)
    error = TransientError("target.unreachable", "Away.")
    targets = (TargetHealth("archive", 0, 0, 0), TargetHealth("vault", 7, 1, 3, error))
    facts = Facts({"main": 2}, {"main": True, "other": False}, targets, conditions.active(), 42, 0.25,
                  {"sealed": 5}, 1000)  # fmt: skip
    metrics.set(facts)
    metrics.set(replace(facts, targets=targets[1:]))  # a target that is gone leaves nothing behind
    found = samples(metrics)
    expected = {
        "recordings_running{main}": 2, "recordings_running{other}": 0, "pbx_up{main}": 1, "pbx_up{other}": 0,
        "target_up{vault}": 0, "target_waiting_recordings{vault}": 7, "conditions{critical}": 1,
        "conditions{warning}": 1, "chain_length{}": 42, "event_loop_lag_seconds{}": 0.25,
        "spool_recordings{sealed}": 5, "spool_recordings{failed}": 0, "spool_free_bytes{}": 1000,
        "certificate_expiry_timestamp_seconds{}": (NOON + timedelta(days=1)).timestamp(),
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert "target_up{archive}" not in found


def test_names_are_those_of_the_field_and_labels_are_bounded() -> None:
    metrics = Metrics(NOON, NOON)
    for number in range(MOST_VALUES + 50):
        metrics.refused(f"reason {number}")
    found = samples(metrics)
    assert found[f"refusals_total{{{OTHER}}}"] == 50
    assert sum(name.startswith("refusals_total") for name in found) == MOST_VALUES + 1
    for family in FAMILIES:
        assert not set(family.labels) & {"caller", "callee", "recording", "channel", "number"}
        assert family.meaning.endswith(".")
    told = {f.name for f in text_string_to_metric_families(metrics.rendered("")[0].decode())}
    assert told == {f"ari_recorder_{family.name}" for family in FAMILIES}


# -- health ----------------------------------------------------------------------------------------------


def test_health_is_as_bad_as_the_worst_condition_and_names_nobody() -> None:
    conditions = Conditions()
    assert Health(ready=True).status == "ok"
    conditions.begin("recorder:clock", "recorder.clock", f"{CALLER} geheim", "geheim", Severity.WARNING)
    warned = Health(ready=True, conditions=conditions.active())
    assert (warned.status, warned.well) == ("warning", True)
    for number in range(3000):
        conditions.begin(f"recording:{number}", "target.conflict", f"{CALLER} geheim")
    critical = Health(ready=True, conditions=conditions.active())
    assert (critical.status, critical.well) == ("critical", False)
    text = json.dumps(critical.document())
    assert len(text) < 2000
    assert CALLER not in text
    assert "geheim" not in text
    assert critical.document()["conditions"][1]["count"] == 3000
    assert not Health(ready=False).well


# -- over HTTP -------------------------------------------------------------------------------------------


class Served:
    def __init__(self, port: int) -> None:
        self.port = port

    async def raw(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer

    async def get(self, path: str, *headers: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]
        head, _, body = (await self.raw("\r\n".join(lines).encode())).decode().partition("\r\n\r\n")
        status, *rest = head.split("\r\n")
        return int(status.split()[1]), dict(line.split(": ", 1) for line in rest), body


@asynccontextmanager
async def served(health: Health, lifetime: float = 20.0, **settings: Any) -> AsyncIterator[Served]:
    metrics = Metrics(NOON, NOON)

    async def scrape(accept: str) -> tuple[bytes, str]:
        return metrics.rendered(accept)

    conditions = Conditions()
    with Ports(1) as ports:
        port = ports.one()
        given = MonitoringSettings(listen=f"{HOST}:{port}", **settings)
        endpoint = Endpoint(given, conditions, scrape, lambda: health, lifetime=lifetime)
        task = asyncio.create_task(endpoint.run())
        try:
            await listening(port)
            assert conditions.active() == ()
            yield Served(port)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def listening(port: int) -> None:
    deadline = asyncio.get_running_loop().time() + 10
    while True:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


async def test_four_paths_and_nothing_else() -> None:
    async with served(Health(ready=False)) as server:
        status, headers, body = await server.get("/metrics")
        assert status == 200
        assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "ari_recorder_build_info" in body
        assert "aiohttp" not in str(headers)
        status, _, body = await server.get("/health")
        assert status == 503
        assert json.loads(body)["status"] == "critical"
        assert (await server.get("/health/live"))[0] == 200
        assert (await server.get("/health/ready"))[0] == 503
        for path in ("/", "/metrics/", "/../etc/passwd", "/health/x", "/%2e%2e", "//metrics"):
            status, _, body = await server.get(path)
            assert (status, body) == (404, ""), path
        assert (await server.get("/metrics", method="POST"))[0] == 405


async def test_a_token_is_asked_for_everywhere_but_for_life() -> None:
    async with served(Health(ready=True), token=SecretStr("geheim")) as server:
        for headers in ([], ["Authorization: Bearer wrong"], ["Authorization: geheim"],
                        ["Authorization: Bearer geheim\xff"]):  # fmt: skip
            status, _, body = await server.get("/metrics", *headers)
            assert (status, body) == (401, "")
        assert (await server.get("/nothing"))[0] == 401
        assert (await server.get("/metrics", "Authorization: Bearer geheim"))[0] == 200
        assert (await server.get("/health/live"))[0] == 200


async def test_hostile_requests_are_refused_and_connections_end() -> None:
    async with served(Health(ready=True), lifetime=0.5) as server:
        long = "x" * (LONGEST_LINE * 2)
        assert (await server.get(f"/{long}"))[0] == 400
        assert (await server.get("/metrics", f"X: {long}"))[0] == 400
        assert b" 400 " in await server.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        assert await server.raw(b"GET /metrics HTTP/1.1\r\nHost: x\r\n") == b""  # says no more: cut


async def test_a_crowd_of_silent_connections_keeps_nobody_from_asking() -> None:
    async with served(Health(ready=True)) as server:
        crowd = [await asyncio.open_connection(HOST, server.port) for _ in range(MOST + 20)]
        try:
            for _ in range(5):
                assert (await server.get("/health/live"))[0] == 200
            oldest, newest = crowd[0][0], crowd[-1][0]
            assert await asyncio.wait_for(oldest.read(), 10) == b"", "the oldest is cut"
            assert not newest.at_eof()
        finally:
            for _, writer in crowd:
                writer.close()


async def test_an_address_that_is_taken_is_a_condition() -> None:
    conditions = Conditions()
    with socket.create_server((HOST, 0)) as taken:
        given = MonitoringSettings(listen=f"{HOST}:{taken.getsockname()[1]}")

        async def scrape(_accept: str) -> tuple[bytes, str]:
            raise AssertionError

        endpoint = Endpoint(given, conditions, scrape, lambda: Health(ready=True))
        task = asyncio.create_task(endpoint.run())
        deadline = asyncio.get_running_loop().time() + 10
        while (found := conditions.get(KEY)) is None:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert found.code == "monitoring.listen"
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize("address", ["127.0.0.1:9310", "[::1]:9310", "localhost:1"])
def test_addresses_of_this_machine_need_no_token(address: str) -> None:
    assert MonitoringSettings(listen=address).read_token() is None
