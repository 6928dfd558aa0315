"""The recorder itself as a process of its own, so that it can be killed like any other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..model.errors import TransientError
from .pbx import Pbx
from .processes import Process
from .programs import wait_until

_CONFIGURATION = """\
[recorder]
spool = "spool"
state = "state"
policy = "policy.toml"
log_format = "json"

[pbx.{name}]
url = "{url}"
user = "{user}"
password_file = "ari.password"
recordings = "{recordings}"
sounds = "{sounds}"
{more}
"""


@dataclass(slots=True)
class Recorder:
    """`ari-recorder run` in `folder`, from `start` to `close`; between them it may be killed.

    `policy` is the text of policy.toml; relative paths in it count from `folder`.
    """

    folder: Path
    pbx: Pbx
    policy: str
    name: str = "lab"
    shared: bool = True
    """The recorder sees Asterisk's folders; else legs come through ARI."""
    more: str = ""
    """Lines added to the PBX's section of the configuration, and further sections."""
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def chain(self) -> Path:
        """The chain's log."""
        return self.folder / "state" / "chain.jsonl"

    @property
    def certificate(self) -> Path:
        return self.folder / "state" / "seal" / "certificate.pem"

    @property
    def log(self) -> Path:
        return self.folder / "recorder.log"

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def configure(self) -> None:
        """Write configuration, password and policy."""
        self.folder.mkdir(parents=True, exist_ok=True)
        password = self.folder / "ari.password"
        password.touch(mode=0o600)
        password.write_text(self.pbx.ari_password + "\n", encoding="ascii")
        text = _CONFIGURATION.format(
            name=self.name,
            url=self.pbx.ari_url,
            user=self.pbx.ari_user,
            recordings=self.pbx.recording_folder.resolve() if self.shared else "ari",
            sounds=self.pbx.sounds_folder.resolve() if self.shared else "ari",
            more=self.more,
        )
        self.config.write_text(text, encoding="utf-8")
        (self.folder / "policy.toml").write_text(self.policy, encoding="utf-8")

    def start(self, *, connected: bool = True) -> Self:
        """Start, or start again after a kill; returns when the PBX is connected."""
        if not self.config.exists():
            self.configure()
        command = [sys.executable, "-m", "ari_recorder", "run", "--config", str(self.config)]
        with self.log.open("ab") as said:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        if connected:
            wait_until("the recorder's connection", self._connected_or_gone, limit=30)
            if not self.running:
                raise TransientError("lab.failed", f"The recorder ended: {self.end_of_log()}")
        return self

    def kill(self) -> None:
        """SIGKILL, as the kernel would when memory runs out."""
        self._signal(signal.SIGKILL)

    def stop(self) -> int | None:
        """SIGTERM; the exit status."""
        return self._signal(signal.SIGTERM)

    def close(self) -> None:
        self._signal(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        """A signal to the recorder's own process; nothing when it has ended."""
        if self._process is not None and (process := Process.of(self._process.pid)) is not None:
            process.send(number)

    def wait(self, *, limit: float) -> int:
        """Until the process has ended by itself; its exit status."""
        assert self._process is not None  # noqa: S101 - after start
        return self._process.wait(timeout=limit)

    def command(self, *words: str, limit: float = 60) -> subprocess.CompletedProcess[str]:
        """Run another `ari-recorder` command with this recorder's configuration."""
        argv = [sys.executable, "-m", "ari_recorder", *words]
        env = {**os.environ, "ARI_RECORDER_CONFIG": str(self.config)}
        return subprocess.run(argv, capture_output=True, text=True, timeout=limit, check=False, env=env,
                              stdin=subprocess.DEVNULL)  # fmt: skip

    def status(self) -> dict[str, Any]:
        """What `ari-recorder status --json` says."""
        said = self.command("status", "--json")
        document: dict[str, Any] = json.loads(said.stdout)
        return document

    def journals(self) -> list[dict[str, Any]]:
        """The recordings in the spool, as journalled, read straight from their files."""
        found = []
        for path in sorted(self.spool.glob("[!.]*/recording.json")):
            try:
                found.append(json.loads(path.read_text(encoding="utf-8"))["recording"])
            except FileNotFoundError:
                continue  # delivered and removed between the listing and the reading
        return found

    def states(self) -> list[str]:
        return [recording["state"] for recording in self.journals()]

    def lines(self) -> list[dict[str, Any]]:
        """Every line of the log that is JSON."""
        found = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def links(self) -> list[dict[str, Any]]:
        """The chain's links that are recordings, and no statements."""
        return [link for link in self.chain_links() if not _is_statement(link["recording"])]

    def statements(self) -> list[dict[str, Any]]:
        """The chain's links that state a gap."""
        return [link for link in self.chain_links() if _is_statement(link["recording"])]

    def chain_links(self) -> list[dict[str, Any]]:
        """All links of the chain; a line still being written does not count."""
        if not self.chain.exists():
            return []
        whole = self.chain.read_text(encoding="utf-8").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line]

    def wait_for(self, what: str, ask: Callable[[], Any], *, limit: float = 30) -> Any:
        """The first truthy answer; TransientError with the end of the recorder's log when none comes."""
        try:
            return wait_until(what, ask, limit=limit)
        except TransientError as error:
            said = f"{error.sentence} States: {self.states()}. The recorder's log ends: {self.end_of_log()}"
            raise TransientError("lab.failed", said) from error

    def wait_delivered(self, count: int, *, limit: float = 60) -> None:
        """Until so many links are in the chain and nothing waits in the spool."""
        self.wait_for(
            f"the delivery of {count} recording(s)",
            lambda: len(self.links()) >= count and not self.states(),
            limit=limit,
        )

    def end_of_log(self, lines: int = 15) -> str:
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def _connected_or_gone(self) -> bool:
        return not self.running or self.connected

    @property
    def connected(self) -> bool:
        """This life of the recorder has said that its PBX is connected, and not that it was lost since."""
        try:
            presence = json.loads((self.folder / "state" / "presence.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return presence["pid"] == self.pid and all(pbx["connected"] for pbx in presence["pbxs"])

    def _signal(self, number: signal.Signals) -> int | None:
        if self._process is None:
            return None
        if (process := Process.of(self._process.pid)) is not None:
            process.send(number)
        try:
            status = self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait(timeout=10)
        self._process = None
        return status

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_statement(recording_id: str) -> bool:
    return recording_id.endswith("-gap")
