"""The measurement: the same calls unrecorded, with MixMonitor and with the recorder, round by round."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.programs import wait_until
from ari_recorder.lab.progress import Progress
from ari_recorder.lab.recorder import Recorder
from ari_recorder.model.errors import TransientError
from ari_recorder.runtime import presence

from .accounting import cpu_seconds, machine_seconds, peak_memory
from .figures import Sample, Way
from .health import Health, ends_of_calls
from .traffic import talking

SETTLE = 1.0
"""Seconds between the last answer and the beginning of the window, and after the last BYE."""
PATIENCE = 120.0

POLICY = """\
country = "DE"

[[trunk]]
name = "berlin"
endpoints = ["PJSIP/trunk-*"]

[[target]]
kind = "local"
name = "archive"
folder = "archive"

[[setting]]
name = "everything"
directions = ["inbound", "outbound", "internal"]
targets = ["archive"]
"""

NUMBERS = {
    Way.UNRECORDED: "+49301007791",
    Way.MIXMONITOR: "+49301007701",
    Way.RECORDER: "+49301007791",
}
"""Numbers of docker/pbx/extensions.conf: they differ in one step of the dialplan, MixMonitor."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    calls: int = 20
    seconds: float = 20.0
    rounds: int = 3
    hours: float = 1.0
    """Length of the call that is assembled."""
    mebibytes: int = 192
    """Size of the file that is delivered: 3½ hours of G.711 stereo."""


QUICK = Plan(calls=2, seconds=2, rounds=1, hours=0.1, mebibytes=2)
"""Says little, but that all of it still works."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """All meters at one moment."""

    at: float
    asterisk: float
    recorder: float
    phones: float
    machine: float


@dataclass(slots=True)
class Bench:
    """Measures on one PBX with one recorder, which runs only while it is measured."""

    pbx: Pbx
    recorder: Recorder
    plan: Plan
    say: Progress
    samples: list[Sample] = field(default_factory=list)
    health: Health = field(default_factory=Health)
    _asterisk: int = 0
    _seen: set[Path] = field(default_factory=set)

    async def run(self) -> None:
        """All rounds; TransientError `lab.failed` when what was to be measured did not happen."""
        self._asterisk = int(
            self.pbx.engine.docker("inspect", "--format", "{{.State.Pid}}", self.pbx.container).out
        )
        (self.recorder.folder / "archive").mkdir(parents=True, exist_ok=True)
        for number in range(1, self.plan.rounds + 1):
            for way in Way:
                self.say(
                    f"round {number} of {self.plan.rounds}: {self.plan.calls} calls, {way}, {self._left()}"
                )
                sample = await (self._recorded() if way is Way.RECORDER else self._sample(way))
                self.samples.append(sample)
                self.say(f"  {_told(sample)}")

    def _left(self) -> str:
        count = self.plan.rounds * len(Way) - len(self.samples)
        seconds = count * (self.plan.seconds + 2 * SETTLE + self.plan.calls * 0.1 + 1)
        return f"about {seconds:.0f} s left"

    async def _recorded(self) -> Sample:
        """With the recorder, ready before the first call and gone after its last delivery."""
        with self.recorder:
            await asyncio.to_thread(self.recorder.wait_for, "the recorder's probe", self._probed)
            await asyncio.sleep(SETTLE)
            sample = await self._sample(Way.RECORDER)
            assert self.recorder.pid is not None
            self.health.peak_bytes = max(self.health.peak_bytes, peak_memory(self.recorder.pid))
        self._read_recordings()
        return sample

    async def _sample(self, way: Way) -> Sample:
        before = self._read()
        async with talking(self.pbx, NUMBERS[way], self.plan.calls) as talk:
            await asyncio.sleep(SETTLE)
            begin = self._read()
            await asyncio.sleep(self.plan.seconds)
            end = self._read()
            self.health.add_polls(self.recorder.spool)
        await asyncio.to_thread(self._await_files, way)
        await asyncio.sleep(SETTLE)
        after = self._read()
        if way is Way.MIXMONITOR:
            self._clear_monitored()
        seconds = end.at - begin.at
        asterisk, recorder = end.asterisk - begin.asterisk, end.recorder - begin.recorder
        phones = end.phones - begin.phones
        # While the calls are set up and end, fewer than all talk: that time counts by the call.
        talks = talk.talked / (self.plan.calls * seconds)
        busy = end.machine - begin.machine
        return Sample(
            way=way,
            calls=self.plan.calls,
            seconds=seconds,
            asterisk=asterisk,
            recorder=recorder,
            asterisk_once=(after.asterisk - before.asterisk - talks * asterisk) / self.plan.calls,
            recorder_once=(after.recorder - before.recorder - talks * recorder) / self.plan.calls,
            others=max(0.0, busy - asterisk - recorder - phones) / seconds,
            phones=phones / seconds,
            late=talk.late,
        )

    def _read(self) -> _Reading:
        pid = self.recorder.pid
        return _Reading(
            at=time.monotonic(),
            asterisk=cpu_seconds(self._asterisk),
            recorder=0.0 if pid is None else cpu_seconds(pid),
            phones=time.process_time(),
            machine=machine_seconds(),
        )

    # -- was it recorded at all? -------------------------------------------------------------------------

    def _await_files(self, way: Way) -> None:
        """The work of the calls is done: files closed, recordings delivered."""
        if way is Way.RECORDER:
            count = len(self._seen) + self.plan.calls
            self.recorder.wait_delivered(count, limit=PATIENCE)
        elif way is Way.MIXMONITOR:
            wait_until("MixMonitor's last file", lambda: len(self._monitored()) == 2 * self.plan.calls,
                       limit=PATIENCE)  # fmt: skip

    def _monitored(self) -> list[Path]:
        """MixMonitor's files that hold at least the window."""
        least = round(self.plan.seconds * 8000) * 2
        return [path for path in self.pbx.monitor_folder.glob("*.sln") if path.stat().st_size >= least]

    def _clear_monitored(self) -> None:
        for path in self.pbx.monitor_folder.glob("*.sln"):
            path.unlink()

    def _read_recordings(self) -> None:
        """The recordings that this round has added to the archive."""
        ends = ends_of_calls(self.recorder.lines())
        for path in sorted((self.recorder.folder / "archive").rglob("*.sig")):
            if path not in self._seen:
                self._seen.add(path)
                metadata = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
                self.health.add_recording(metadata, ends)
        if min(self.health.seconds) < self.plan.seconds:
            raise TransientError("lab.failed", "A recording is shorter than its call: nothing was measured.")

    def _probed(self) -> bool:
        """The recorder has told sound from defective Asterisk, which takes seconds and costs CPU, once."""
        said = presence.read(self.recorder.folder / "state")
        return said is not None and said.pid == self.recorder.pid and said.pbxs[0].translator is not None


def _told(sample: Sample) -> str:
    recorder = f", recorder {sample.recorder_percent:.2f} %" if sample.way is Way.RECORDER else ""
    return (
        f"Asterisk {sample.percent:.2f} % of a core for each call{recorder}"
        f" (others kept {sample.others:.1f} cores busy)"
    )
