"""A host with a configuration, a spool, a key and a chain, for the commands of `ari-recorder spool`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from ari_recorder.audio.legs import leg_file
from ari_recorder.cli.app import app
from ari_recorder.config.machine import Machine, load_machine
from ari_recorder.disk.faults import FAULT_VARIABLE
from ari_recorder.evidence.chain import Chain
from ari_recorder.evidence.keys import Keys, ensure_keys
from ari_recorder.model.call import Direction, Party, Side
from ari_recorder.model.recording import Call, Chosen, Leg, Recording, Segment, State
from ari_recorder.pipeline import Pipeline
from ari_recorder.runtime import presence
from ari_recorder.spool.folders import RecordingFolder, Spool

ROOT = Path(__file__).parents[3]
AT = datetime(2026, 11, 21, 22, 50, 46, tzinfo=UTC)
LEG = b"\x08\x00" * 8000

CONFIG = """\
[recorder]
spool = "spool"
state = "state"
policy = "policy.toml"
log_format = "json"

[pbx.{pbx}]
url = "http://127.0.0.1:{port}"
user = "ari-recorder"
password = "nobody listens there"
recordings = "asterisk"
sounds = "sounds"

[seal]
passphrase_file = "seal.passphrase"
"""
TARGET = """
[[target]]
name = "{name}"
kind = "local"
folder = "{folder}"
path = "$Y"
{more}
"""
SETTING = '[[setting]]\nname = "All"\ntargets = {targets}\n'


class Host:
    def __init__(self, folder: Path, *, pbx: str = "pbx", bits: int = 3072) -> None:
        self.folder = folder
        self.pbx = pbx
        for name in ("state/seal", "asterisk", "sounds"):
            (folder / name).mkdir(parents=True)
        self.config = folder / "config.toml"
        # Port 1 is privileged and served by nothing: no PBX ever answers.
        self.config.write_text(CONFIG.format(pbx=pbx, port=1), encoding="utf-8")
        self.policy("archive")
        self.machine: Machine = load_machine(self.config)
        self.spool = Spool(folder / "spool")
        self.archive = folder / "archive"

    def policy(self, *targets: str, more: str = "") -> None:
        """A policy with folder targets, each called like its folder."""
        text = "".join(TARGET.format(name=n, folder=self.folder / n, more=more) for n in targets)
        setting = SETTING.format(targets=json.dumps(list(targets)))
        (self.folder / "policy.toml").write_text(text + setting, encoding="utf-8")

    @property
    def keys(self) -> Keys:
        seal = self.machine.seal
        keys = ensure_keys(seal.key, seal.certificate, seal.passphrase_file, "test")
        kept = self.folder / "state/certificates"
        kept.mkdir(exist_ok=True)
        (kept / f"{keys.fingerprint}.crt").write_bytes(keys.certificate_pem)
        return keys

    def use_keys_of(self, other: Host) -> None:
        """Making a key takes a second: hosts whose key does not matter share one."""
        _ = other.keys
        shutil.copytree(other.folder / "state/seal", self.folder / "state/seal", dirs_exist_ok=True)
        shutil.copy(other.folder / "seal.passphrase", self.folder / "seal.passphrase")

    def captured(
        self, own: str, *targets: str, state: State = State.CAPTURED, legs: bool = True
    ) -> RecordingFolder:
        """A recording whose legs lie in its folder, or (not `legs`) still in Asterisk's."""
        pair = [self._leg(own, side, fetched=legs) for side in Side]
        segment = Segment(1, 8000, "alaw", "start", *pair)
        call = Call(self.pbx, "c", Direction.INBOUND, Party("+4930123456"), Party("1001"), created_at=AT)
        setting = Chosen("All", "r1", targets=targets or ("archive",))
        with self.spool:
            folder = self.spool.create(Recording(own, state, AT, call, setting, (segment,)))
        for side in Side:
            name = leg_file(1, side)
            path = folder.legs / name if legs else self.folder / f"asterisk/ari-recorder/{own}/1-{side}.sln"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(LEG)
        return folder

    def _leg(self, own: str, side: Side, *, fetched: bool) -> Leg:
        name = f"ari-recorder/{own}/1-{side}"
        end = AT + timedelta(seconds=1)
        return Leg(name, f"{own}.1-{side}", AT, AT, end, bytes=len(LEG) if fetched else None)

    def sealed(self, own: str, *targets: str) -> RecordingFolder:
        """A recording that was really sealed."""
        folder = self.captured(own, *targets)
        with self.spool, Chain(self.folder / "state/chain.jsonl") as chain:
            pipeline = Pipeline(self.keys, chain, {self.pbx: self.folder / "asterisk"})
            assert pipeline.advance(folder).state is State.SEALED
        return folder

    def changed(self, folder: RecordingFolder, **changes: object) -> None:
        with self.spool:
            folder.update(lambda now: replace(now, **changes))  # type: ignore[arg-type]

    def ids(self) -> list[str]:
        return [folder.id for folder in self.spool.all()]

    # -- commands --------------------------------------------------------------------------------------

    def ask(self, *words: str) -> Result:
        return CliRunner().invoke(app, [*words, "--config", str(self.config)])

    def told(self, *words: str, status: int = 0) -> Any:
        result = self.ask(*words, "--json")
        assert result.exit_code == status, result.output
        return json.loads(result.output)

    def run_command(self, *words: str, fault: str | None = None) -> subprocess.CompletedProcess[str]:
        """In a process of its own, which may kill itself at a fault point."""
        return subprocess.run(
            [sys.executable, "-m", "ari_recorder", *words, "--config", str(self.config)],
            cwd=ROOT, env=_environment(fault), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    # -- the recorder ----------------------------------------------------------------------------------

    @contextmanager
    def recorder(self, fault: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """A whole recorder, whose PBX does not answer."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ari_recorder", "run", "--config", str(self.config)],
                cwd=ROOT, env=_environment(fault), stderr=log, stdout=log,
            )  # fmt: skip
            try:
                until(lambda: self._alive(process), self.log)
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                finally:
                    process.kill()

    def _alive(self, process: subprocess.Popen[bytes]) -> bool:
        found = presence.read(self.folder / "state")
        return (
            found is not None and found.pid == process.pid and found.alive(presence.now())
        ) or process.poll() is not None

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def actions(self) -> list[str]:
        lines = (json.loads(line) for line in self.log().splitlines() if line.startswith("{"))
        return [str(line.get("action")) for line in lines]

    def delivered(self, name: str = "archive") -> set[str]:
        """The ids of the recordings that an archive holds, from their metadata."""
        found = set()
        for path in (self.folder / name).rglob("*.json"):
            found.add(json.loads(path.read_bytes())["recording"]["id"])
        return found


def _environment(fault: str | None) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if k != FAULT_VARIABLE}
    return environment if fault is None else environment | {FAULT_VARIABLE: fault}


def until(true: Callable[[], object], explain: Callable[[], str] = str, limit: float = 30) -> None:
    deadline = time.monotonic() + limit
    while not true():
        assert time.monotonic() < deadline, explain()[-3000:]
        time.sleep(0.02)
