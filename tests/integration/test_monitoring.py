"""The whole recorder while its PBX and its target go away and come back: who is told, how often, and what
Prometheus, a load balancer and systemd see of it."""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.ports import HOST, Ports
from ari_recorder.lab.programs import wait_until
from ari_recorder.lab.recorder import Recorder
from ari_recorder.lab.sftpd import SftpServer
from tests.unit.runtime.alerts.receivers import Inbox, Mailbox, http_receiver, mail_server

from .cable import Cable, NoPbx
from .scene import assert_clean, policy
from .test_delivery import prepare
from .vault import vault_policy

SETTINGS = """
[monitoring]
listen = "{host}:{port}"

[alerts]
hold_off = 1
settle = 2

[[alerts.mail]]
name = "ops"
server = "{host}"
port = {mail}
security = "none"
sender = "recorder@example.org"
recipients = ["admin@example.org"]
severity = "critical"

[[alerts.webhook]]
name = "tickets"
url = "http://{host}:{hook}/"
"""


@dataclass
class Watched:
    """A recorder and all who watch it."""

    recorder: Recorder
    mails: Mailbox
    hooks: Inbox
    port: int
    notices: socket.socket
    said: list[str] = field(default_factory=list)
    """What systemd was told since `forget`."""

    @property
    def told(self) -> list[str]:
        """What the mails said, in short."""
        return [subject.partition("] ")[2] for subject in self.mails.subjects]

    @property
    def events(self) -> list[tuple[str, str]]:
        """What the webhook got: what, and of which condition."""
        events = (event for *_, body in list(self.hooks.requests) for event in json.loads(body)["events"])
        return [(event["what"], event["key"]) for event in events]

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def health(self) -> dict[str, Any]:
        status, body = self.get("/health")
        return {"http": status, **(json.loads(body) if body else {})}

    def metric(self, name: str, **labels: str) -> float | None:
        families = text_string_to_metric_families(self.get("/metrics")[1])
        samples = (sample for family in families for sample in family.samples)
        found = (
            s.value
            for s in samples
            if s.name == f"ari_recorder_{name}" and labels.items() <= s.labels.items()
        )
        return next(found, None)

    def notified(self, message: str) -> bool:
        """Whether systemd was told so since `forget`; only how the message begins counts."""
        with suppress(BlockingIOError):
            while True:
                self.said.append(self.notices.recv(65536).decode())
        return any(one.startswith(message) for one in self.said)

    def forget(self) -> None:
        self.notified("")
        self.said.clear()

    def wait(self, what: str, ask: Any, limit: float = 30) -> None:
        self.recorder.wait_for(what, ask, limit=limit)


@contextmanager
def watched(recorder: Recorder, folder: Path) -> Iterator[Watched]:
    """Mail server, webhook, port for the metrics and a $NOTIFY_SOCKET around a recorder not started yet."""
    address = str(folder / "notify")
    recorder.environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "4000000"}
    with (
        Ports(1) as ports,
        mail_server(Mailbox()) as mails,
        http_receiver(Inbox()) as hooks,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices,
    ):
        notices.bind(address)
        notices.setblocking(False)
        port = ports.one()
        with recorder.config.open("a", encoding="utf-8") as config:
            config.write(SETTINGS.format(host=HOST, port=port, mail=mails.port, hook=hooks.port))
        try:
            yield Watched(recorder, mails, hooks, port, notices)
        finally:
            recorder.close()
    assert_clean(recorder)


def test_a_pbx_goes_away_and_comes_back_over_a_kill(pbx22: Pbx, tmp_path: Path) -> None:
    """One alert and one recovery, although the recorder is killed in between."""
    (tmp_path / "archive").mkdir()
    recorder = Recorder(tmp_path, pbx22, policy())
    recorder.configure()
    with Cable(pbx22.host, pbx22.http_port) as cable, watched(recorder, tmp_path) as all_of_it:
        text = recorder.config.read_text(encoding="utf-8")
        recorder.config.write_text(text.replace(f":{pbx22.http_port}", f":{cable.port}"), encoding="utf-8")
        recorder.start()
        all_of_it.wait("READY=1", lambda: all_of_it.notified("READY=1"))
        all_of_it.wait("a sign of life", lambda: all_of_it.notified("WATCHDOG=1"))
        all_of_it.wait("health", lambda: all_of_it.health()["http"] == 200)
        assert all_of_it.get("/health/ready")[0] == 200
        assert all_of_it.metric("pbx_up", pbx="lab") == 1

        cable.cut()
        all_of_it.wait("the alert", lambda: all_of_it.told)
        assert all_of_it.metric("pbx_up", pbx="lab") == 0
        health = all_of_it.health()
        assert (health["http"], health["status"], health["ready"]) == (503, "critical", False)
        assert "pbx:lab" in [one["key"] for one in health["conditions"]]
        assert "pbx:lab" in [one["key"] for one in recorder.status()["conditions"]]
        assert "✗" in recorder.command("status").stdout

        recorder.kill()
        recorder.start(connected=False)
        all_of_it.wait("the next life", lambda: ("began", "recorder:interrupted") in all_of_it.events)
        assert len(all_of_it.told) == 1

        cable.mend()
        all_of_it.wait("the recovery", lambda: len(all_of_it.told) == 2)
        all_of_it.wait("the same at the webhook", lambda: ("ended", "pbx:lab") in all_of_it.events)
        first, second = all_of_it.told
        assert first.startswith("CRITICAL: ")
        assert second.startswith("OVER: ")
        assert all_of_it.events.count(("began", "pbx:lab")) == 1
        assert all_of_it.events.count(("ended", "pbx:lab")) == 1

        all_of_it.wait("the start", lambda: all_of_it.notified("STATUS=Recording 0 call(s); 1 of 1"))
        all_of_it.forget()
        recorder.send(signal.SIGHUP)
        all_of_it.wait("the reload", lambda: all_of_it.notified("READY=1"))
        assert all_of_it.notified("RELOADING=1\nMONOTONIC_USEC=")
        assert recorder.stop() == 0
        assert all_of_it.notified("STOPPING=1")
        assert recorder.status()["recorder"]["running"] is False
        assert len(all_of_it.told) == 2


def test_a_target_goes_away_and_comes_back(tmp_path: Path, sftp_server: SftpServer) -> None:
    for name in ("archive", "recording", "sounds"):
        (tmp_path / name).mkdir()
    nothing = NoPbx(tmp_path / "recording", tmp_path / "sounds" / "ari-recorder")
    rules = policy(more=vault_policy(sftp_server), targets='["archive", "vault"]')
    recorder = Recorder(tmp_path, nothing, rules)  # type: ignore[arg-type]
    recorder.configure()
    prepare(recorder, 32000, 64000)
    sftp_server.stop()
    with watched(recorder, tmp_path) as all_of_it:
        recorder.start(connected=False)
        all_of_it.wait("the alert", lambda: ("began", "target:vault") in all_of_it.events)
        assert all_of_it.metric("target_up", target="vault") == 0
        assert all_of_it.metric("target_up", target="archive") == 1
        assert all_of_it.metric("target_waiting_recordings", target="vault") == 2
        all_of_it.wait(
            "the archive",
            lambda: all_of_it.metric("deliveries_total", target="archive", outcome="delivered") == 2,
        )
        assert all_of_it.metric("chain_length") == 2
        sftp_server.start()
        recorder.wait_delivered(2, limit=60)
        all_of_it.wait("the recovery", lambda: ("ended", "target:vault") in all_of_it.events)
        for what in ("began", "ended"):
            assert all_of_it.events.count((what, "target:vault")) == 1
        assert all_of_it.metric("target_up", target="vault") == 1
        assert all_of_it.metric("delivery_seconds_count", target="vault") == 2
        assert all_of_it.metric("recordings_total", state="delivered", setting="everything") == 2
        assert "+4930123" not in all_of_it.get("/metrics")[1] + all_of_it.get("/health")[1]


def test_a_hang_up_signal_before_the_recorder_listens_does_not_end_it(tmp_path: Path) -> None:
    """What is asked for before it can be done is done as soon as it can."""
    for name in ("archive", "recording", "sounds"):
        (tmp_path / name).mkdir()
    nothing = NoPbx(tmp_path / "recording", tmp_path / "sounds" / "ari-recorder")
    recorder = Recorder(tmp_path, nothing, policy())  # type: ignore[arg-type]
    recorder.configure()
    try:
        recorder.start(connected=False)
        wait_until("its signal handler", lambda: catches(recorder.pid, signal.SIGHUP), limit=30)
        for _ in range(20):
            recorder.send(signal.SIGHUP)
        recorder.wait_for(
            "the start", lambda: any(line.get("action") == "recorder.start" for line in recorder.lines())
        )
        recorder.wait_for(
            "the policy", lambda: any(line.get("action") == "policy.reloaded" for line in recorder.lines())
        )
        assert recorder.running
    finally:
        recorder.close()


def catches(pid: int | None, number: signal.Signals) -> bool:
    """Whether the process has a handler of its own for the signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(caught >> (number - 1) & 1)
