"""Two phones for the demo, made of SIPp (Debian: sip-tester): each plays a raw A-law file into its call.

What SIPp 3.6 is like, found out by trying and in its source, and designed around here:
- Its keywords are replaced neither in `rtp_stream` nor in time-outs: the scenarios of docker/phones/ are
  filled in before each start. A path in `rtp_stream` ends at the first comma and is refused from 256 bytes
  on: the audio lies beside the scenario and is named without its folder.
- Without `-nostdin` it reads the terminal. `-bg` takes it away from its parent.
- Media goes to and from one pair of ports, bound at start: `-mp` and the second above it.
- After `-timeout` it still waits for its calls to end, unless `-timeout_error` is given.
- SIGTERM ends it at once, without BYE and with status 0; its softer signals do nothing once the last call
  of `-m` has begun. A scenario or audio file that it cannot read is status 1, as a failed call is.
- A caller's first call comes one period of its rate (`-r` a second) after the start.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from ..model.errors import ConfigError, TransientError
from .checkout import root
from .ports import HOST, Ports
from .programs import call, need, wait_until
from .progress import Progress, silent

MEANING = {
    0: "every call went as planned",
    1: "its call went otherwise than planned, or it could not read its scenario",
    97: "no call came in time",
    99: "no call came",
    254: "a port was taken",
    255: "it ran out of time, or could not go on",
}
"""SIPp's exit statuses; -1 and -2 of its manual page arrive as 255 and 254."""

PATIENCE = 60.0
"""Seconds a caller waits for an answer, and all that SIPp may take beyond the call itself."""

_SAFE = re.compile(r"[\w+*#. -]*")
"""Names and numbers of the demo: nothing that means something to SIP, XML or SIPp."""

_ANSWERED = {
    "caller": re.compile(r"message received \[\d+\] bytes :\s+SIP/2\.0 200 [^\0]*?\nCSeq: 1 INVITE"),
    "callee": re.compile(r"message received \[\d+\] bytes :\s+ACK "),
}


@dataclass(slots=True)
class SippPhone:
    """One phone, for one call: `answer` or `call`, then `wait`, at last `close`.

    `folder` is its own, for scenario, logs and a copy of `audio`: raw A-law, 8000 samples a second, played
    from the answer on, over and over. `pbx` is where Asterisk listens. `number` is the phone's own, `name`
    what a caller shows. Errors everywhere: ConfigError `lab.missing` without SIPp, TransientError
    `lab.failed` with what SIPp wrote.
    """

    folder: Path
    pbx: tuple[str, int]
    number: str
    audio: Path
    name: str = ""
    progress: Progress = silent
    port: int = field(default=0, init=False)
    """Where it listens for SIP, once started."""
    role: str = field(default="", init=False)
    """`callee` or `caller`, once started; also the name of its scenario and logs."""
    _ports: Ports | None = field(default=None, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def answer(self, *, ring: float = 2.0, hold: float = 600.0, wait: float = 600.0) -> Self:
        """Register; then let one call ring for `ring` seconds, answer it and talk until hung up on.

        It hangs up itself `hold` seconds after the answer, and gives up when no call comes in `wait`
        seconds. Returns as soon as it can be called.
        """
        values = {"RING": _milliseconds(ring), "HOLD": _milliseconds(hold)}
        self._start("callee", values, limit=wait + ring + hold + PATIENCE)
        wait_until(f"phone {self.number}", lambda: not self.running or _listens(self.port), limit=15)
        self._must_run()
        self._register()
        self.progress(f"phone {self.number} is ready")
        return self

    def call(self, number: str, *, hold: float, header: str = "") -> Self:
        """Call `number`, talk for `hold` seconds from the answer on, hang up. Returns at once.

        `header`: one more header of the INVITE, such as `X-Trunk: berlin` for the laboratory's trunk.
        """
        values = {"CALLED": _safe(number), "HOLD": _milliseconds(hold), "PATIENCE": _milliseconds(PATIENCE)}
        values["HEADER"] = header or "X-Phone: caller"
        self._start("caller", values, limit=hold + 2 * PATIENCE)
        self.progress(f"{self.number} calls {number}")
        return self

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def answered(self) -> bool:
        """The call is up, or was: the caller has seen the answer, the callee its acknowledgement."""
        messages = self.folder / f"{self.role}.messages"
        if not messages.exists():
            return False
        text = messages.read_text(encoding="utf-8", errors="replace")
        return _ANSWERED[self.role].search(text) is not None

    def wait_answered(self, *, limit: float = PATIENCE) -> None:
        """Return when the call is up; an error when SIPp ends or `limit` seconds pass before."""
        wait_until(f"an answer for {self.number}", lambda: self.answered or not self.running, limit=limit)
        if not self.answered:
            raise self._failure()

    def wait(self, *, limit: float) -> None:
        """Return when the call has come to its planned end; an error when it went otherwise."""
        wait_until(f"the end of the call of {self.number}", lambda: not self.running, limit=limit)
        if self._process is None or self._process.returncode != 0:
            raise self._failure()

    def close(self) -> None:
        """End SIPp, where it still runs without a BYE, and give the ports back; the folder stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
        if self._ports is not None:
            self._ports.close()
            self._ports = None

    def _start(self, role: str, values: Mapping[str, str], *, limit: float) -> None:
        if self._ports is not None:
            raise ValueError("a SippPhone makes one call; make another one")
        self.role = role
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.audio, self.folder / "speech.alaw")
        self._ports = Ports()
        self.port = self._ports.one()
        argv = self._argv(role, values, self.port, limit)
        with (self.folder / f"{role}.console").open("wb") as said:
            self._process = subprocess.Popen(
                argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )

    def _register(self) -> None:
        assert self._ports is not None  # noqa: S101 - the phone listens by now
        port = self._ports.one()
        argv = self._argv("register", {"PORT": str(self.port)}, port, 15)
        done = call(argv, limit=20, check=False)
        if done.status != 0:
            raise TransientError(
                "lab.failed", f"Phone {self.number} could not register: {self._told('register', done.status)}"
            )

    def _argv(self, role: str, values: Mapping[str, str], port: int, limit: float) -> list[str]:
        """Fill in the scenario; the command that runs it."""
        assert self._ports is not None  # noqa: S101 - the caller took them
        known = {"NUMBER": _safe(self.number), "NAME": _safe(self.name), "AUDIO": "speech.alaw", **values}
        template = (root() / "docker" / "phones" / f"{role}.xml").read_text(encoding="utf-8")
        scenario = re.sub(r"@([A-Z]+)@", lambda found: known[found[1]], template)
        place = self.folder.resolve()
        (place / f"{role}.xml").write_text(scenario, encoding="utf-8")
        media, _ = self._ports.range(4)
        argv = [need("sipp", "sip-tester"), f"{self.pbx[0]}:{self.pbx[1]}", "-sf", str(place / f"{role}.xml")]
        argv += [
            "-i",
            HOST,
            "-p",
            str(port),
            "-mi",
            HOST,
            "-mp",
            str(media),
            "-m",
            "1",
            "-l",
            "1",
            "-r",
            "20",
        ]
        argv += ["-nostdin", "-aa", "-skip_rlimit", "-deadcall_wait", "0"]
        argv += ["-timeout", str(math.ceil(limit)), "-timeout_error"]
        argv += ["-trace_err", "-error_file", str(place / f"{role}.errors")]
        return [*argv, "-trace_msg", "-message_file", str(place / f"{role}.messages")]

    def _must_run(self) -> None:
        if not self.running:
            raise self._failure()

    def _failure(self) -> TransientError:
        status = None if self._process is None else self._process.poll()
        return TransientError("lab.failed", f"Phone {self.number} failed: {self._told(self.role, status)}")

    def _told(self, role: str, status: int | None) -> str:
        """What an exit status means, and the end of what SIPp wrote about it."""
        meaning = "it still runs" if status is None else MEANING.get(status, f"it ended with {status}")
        for name in (f"{role}.errors", f"{role}.console"):
            path = self.folder / name
            if path.exists() and path.stat().st_size:
                lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                return f"{meaning}. {path.name} ends: " + "\n".join(lines[-12:])
        return f"{meaning}."

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))


def _safe(text: str) -> str:
    if not _SAFE.fullmatch(text):
        raise ConfigError("lab.failed", f"A phone of the demo cannot be called {text!r}.")
    return text


def _listens(port: int) -> bool:
    """Somebody has bound the UDP port on loopback (proc(5); binding it for a try would get in the way)."""
    table = Path("/proc/net/udp").read_text(encoding="ascii")
    return f" 0100007F:{port:04X} " in table
