"""What 20 000 recordings that wait for a lost target cost: `python -m tests.bench.backlog`.

A whole recorder on a spool that is made for it, whose target's folder is not there. Measured: seconds from
the start of the process until it calls its PBX, its memory when the whole backlog is known, and, once the
target is back, seconds to the first delivery. No figure makes it fail.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ari_recorder.model.call import Direction, Party
from ari_recorder.model.delivery import Delivery, DeliveryState
from ari_recorder.model.evidence import Link, Sealed, SealedFile
from ari_recorder.model.recording import Call, Chosen, Note, Recording, State
from ari_recorder.runtime import presence
from ari_recorder.spool.folders import Spool

AT = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
CONFIG = """\
[recorder]
spool = "spool"
state = "state"
policy = "policy.toml"
log_format = "json"
log_level = "warning"
[pbx.pbx]
url = "http://127.0.0.1:{port}"
user = "bench"
password = "bench"
recordings = "asterisk"
sounds = "sounds"
"""
POLICY = """\
[[target]]
name = "archive"
kind = "local"
folder = "archive"
[[setting]]
name = "All"
targets = ["archive"]
"""
FILES = {suffix: f"x{suffix}".encode() * 40 for suffix in (".wav", "_info.txt", ".json", ".sha256", ".sig")}


@dataclass(frozen=True, slots=True)
class Backlog:
    """One run."""

    recordings: int
    connecting_seconds: float
    """From the start of the process until a PBX was called."""
    rss_at_start: int
    """Kilobytes of resident memory then."""
    known_seconds: float
    """Until the target's lane knew every recording."""
    rss_known: int
    first_delivery_seconds: float
    """From SIGHUP, with the target back, until the first recording was gone from the spool."""

    def lines(self) -> list[str]:
        each = (self.rss_known - self.rss_at_start) * 1024 / self.recordings if self.recordings else 0
        return [
            f"backlog of {self.recordings}",
            f"  until PBXs are called     {self.connecting_seconds:8.2f} s",
            f"  memory then               {self.rss_at_start / 1024:8.1f} MiB",
            f"  until all is known        {self.known_seconds:8.2f} s",
            f"  memory then               {self.rss_known / 1024:8.1f} MiB  ({each:.0f} bytes a recording)",
            f"  first delivery after      {self.first_delivery_seconds:8.2f} s",
        ]


def fill(spool: Path, count: int) -> None:
    """Recordings that were sealed and have been refused by their target ever since, as after three weeks."""
    own = "20261101T080000000-00000000"
    sums = {f"{own}{suffix}": content for suffix, content in FILES.items()}
    sealed = Sealed(
        own,
        tuple(SealedFile(n, len(c), hashlib.sha256(c).hexdigest()) for n, c in sums.items()),
        Link(1, own, own, AT, "00" * 32, None),
        "c0ffee00" * 8,
    )
    call = Call("pbx", "1700000000.1", Direction.INBOUND, Party("+4930123456", "A caller"), Party("1001"))
    delivery = Delivery(
        "archive",
        "2026/11/01",
        DeliveryState.WAITING,
        9,
        AT + timedelta(days=21),
        "target.unreachable",
        "No.",
    )
    recording = Recording(
        own, State.DELIVERING, AT, call, Chosen("All", "r1", targets=("archive",)),
        notes=tuple(Note(AT, "hold", "by PJSIP/1001") for _ in range(6)), sealed=sealed,
        deliveries=(delivery,),
    )  # fmt: skip
    with Spool(spool) as made:
        first = made.create(replace(recording, state=State.DELIVERING))
    text = (first.path / "recording.json").read_bytes()
    for number in range(count):
        name = f"20261101T080000000-{number:08x}"
        folder = spool / name
        folder.mkdir(exist_ok=True)
        (folder / "recording.json").write_bytes(text.replace(own.encode(), name.encode()))
        for suffix, content in FILES.items():
            (folder / f"{name}{suffix}").write_bytes(content)


def run(folder: Path, count: int) -> Backlog:
    """In a folder that is empty. AssertionError when the recorder does not come to it in time."""
    for name in ("asterisk", "sounds", "state"):
        (folder / name).mkdir()
    with socket.create_server(("127.0.0.1", 0)) as pbx:
        pbx.settimeout(120)
        (folder / "config.toml").write_text(CONFIG.format(port=pbx.getsockname()[1]))
        (folder / "policy.toml").write_text(POLICY)
        _started_once(folder, pbx)  # the key is made, which takes a second and is no matter of the backlog
        fill(folder / "spool", count)
        begun = time.monotonic()
        with _recorder(folder) as process:
            try:
                pbx.accept()[0].close()
                connecting, at_start = time.monotonic() - begun, _rss(process.pid)
                _until(lambda: _waiting(folder, process.pid) >= count)
                known, rss = time.monotonic() - begun, _rss(process.pid)
                (folder / "archive").mkdir()
                process.send_signal(signal.SIGHUP)
                asked = time.monotonic()
                _until(lambda: any((folder / "archive").rglob("*.sig")))
                first = time.monotonic() - asked
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
    return Backlog(count, connecting, at_start, known, rss, first)


def _started_once(folder: Path, pbx: socket.socket) -> None:
    with _recorder(folder) as process:
        pbx.accept()[0].close()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    pbx.setblocking(False)
    with suppress(BlockingIOError):
        while True:  # what it tried meanwhile
            pbx.accept()[0].close()
    pbx.settimeout(120)


def _recorder(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ari_recorder", "run", "--config", str(folder / "config.toml")]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)


def _waiting(folder: Path, pid: int) -> int:
    found = presence.read(folder / "state")
    return sum(t.waiting for t in found.targets) if found is not None and found.pid == pid else -1


def _rss(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:"))


def _until(true: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "the recorder did not come to it"
        time.sleep(0.02)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.backlog", description=__doc__)
    parser.add_argument("--recordings", type=int, nargs="*", default=[2_000, 20_000])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    runs = []
    for count in asked.recordings:
        with tempfile.TemporaryDirectory() as folder:
            runs.append(run(Path(folder), count))
    text = json.dumps([asdict(one) for one in runs], indent=2)
    sys.stdout.write((text if asked.json else "\n".join(line for one in runs for line in one.lines())) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
