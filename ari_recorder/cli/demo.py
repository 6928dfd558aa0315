"""`ari-recorder demo`: a real call between two phones becomes a sealed recording, before your eyes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.status import Status

from ..audio.prompts import convert
from ..config.assets import asset
from ..evidence.findings import Report
from ..evidence.verify import verify
from ..lab.phones import SippPhone
from ..lab.rehearsal import CALLED, Rehearsal
from .console import Exit, Json, emit, err, errors_explained, out, shown
from .verify import CHECK_SCRIPT, print_report
from .waveform import draw

TALK, RING = 10.0, 2.0
"""Seconds."""
PATIENCE = 60.0


def demo(json: Json = False) -> None:
    """Set up Asterisk, an SFTP server, the recorder and two phones; record one call; show what became of it.

    Everything runs on this machine's loopback and is gone afterwards, except the folder with the recording,
    which is named at the end. Needs root on Debian for what has to be installed, or Docker and SIPp.
    """
    with errors_explained(json):
        theatre = Theatre(err if json else out, quiet=json)
        with theatre.open(), Rehearsal(theatre.begin, theatre.whisper) as stage:
            theatre.done()
            _perform(stage, theatre)
            theatre.done()
            result = _review(stage)
        if json:
            emit(result.document())
        else:
            _show(result)
    raise typer.Exit(Exit.OK if result.ok else Exit.FINDINGS)


@dataclass
class Theatre:
    """Steps with a spinner while they last and a tick when they are done; plain lines without a terminal."""

    console: Console
    quiet: bool = False
    _status: Status | None = field(default=None, init=False)
    _step: str = field(default="", init=False)
    _since: float = field(default=0.0, init=False)

    @contextmanager
    def open(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._drop()

    def begin(self, step: str) -> None:
        self.done()
        self._step, self._since = step, time.monotonic()
        if self.console.is_terminal:
            self._status = self.console.status(shown(step))
            self._status.start()

    def whisper(self, line: str) -> None:
        """What happens within a step."""
        if self._status is not None:
            self._status.update(f"{shown(self._step)} [dim]{shown(line)[:90]}[/]")

    def done(self) -> None:
        self._drop()
        if self._step and not self.quiet:
            self.console.print(
                f"[green]✓[/] {shown(self._step)} [dim]{time.monotonic() - self._since:.1f} s[/]"
            )
        self._step = ""

    def tell(self, seconds: float, text: str, style: str = "") -> None:
        """One line of the call's story."""
        if not self.quiet:
            mark = f"[{style}]{shown(text)}[/]" if style else shown(text)
            self.console.print(f"  [cyan]{seconds:6.1f} s[/]  {mark}")

    def _drop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


# -- the call ------------------------------------------------------------------------------------------


def _perform(stage: Rehearsal, theatre: Theatre) -> None:
    speech = {who: _speech(stage, who) for who in ("caller", "callee")}
    outside, inside = stage.phones(speech["caller"], speech["callee"])
    inside.answer(ring=RING, hold=TALK + PATIENCE)
    theatre.begin(f"Recording a call: +491701234567 calls {CALLED}, and hears an announcement first")
    outside.call(CALLED, hold=TALK, header="X-Trunk: berlin")
    Story(stage, theatre).follow(outside)
    outside.wait(limit=PATIENCE)
    inside.wait(limit=PATIENCE)
    stage.recorder.wait_delivered(1, limit=PATIENCE)


def _speech(stage: Rehearsal, who: str) -> Path:
    folder = stage.folder / "phones"
    folder.mkdir(exist_ok=True)
    convert(asset("sounds") / "demo" / f"{who}.wav", folder, who, rates=(8000,))
    return folder / f"{who}.alaw"


class Story:
    """Tells what the recorder does while it does it, from its journal and its log."""

    def __init__(self, stage: Rehearsal, theatre: Theatre) -> None:
        self._stage = stage
        self._theatre = theatre
        self._told: set[str] = set()
        self._begun = time.monotonic()

    def follow(self, caller: SippPhone) -> None:
        """Until the recording is delivered everywhere."""
        deadline = self._begun + PATIENCE + TALK
        while time.monotonic() < deadline:
            for recording in self._stage.recorder.journals():
                self._of_journal(recording)
            for line in self._stage.recorder.lines():
                self._of_log(line)
            if "gone" in self._told or (not caller.running and not self._told):
                return
            self._theatre.whisper(f"● {time.monotonic() - self._begun:.0f} s")
            time.sleep(0.1)

    def _once(self, key: str, text: str, style: str = "") -> None:
        if key not in self._told:
            self._told.add(key)
            self._theatre.tell(time.monotonic() - self._begun, text, style)

    def _of_journal(self, recording: dict[str, Any]) -> None:
        call = recording["call"]
        setting = recording["setting"]["name"]
        who = f"{call['caller']['name']} <{call['caller']['number']}>"
        self._once("decided", f'{who} calls: the setting "{setting}" says record; the journal is open')
        if any(leg["started_at"] for s in recording["segments"] for leg in (s["remote"], s["local"])):
            self._once(
                "rolling", "both microphones roll: one for each direction, inside Asterisk", "bold red"
            )
        for announcement in recording["announcements"]:
            self._once("playing", "the caller hears: this call may be recorded …")
            if announcement["heard"]:
                self._once("heard", "… to its end; the call goes on and the phone of Anna Adler rings")
        if call["answered_at"]:
            self._once(
                "answered", f"{call['callee']['name']} <{call['callee']['number']}> answers, both talk"
            )

    def _of_log(self, line: dict[str, Any]) -> None:
        match line.get("action"):
            case "recording.finished":
                # Not from the journal, which may be delivered and gone before it is looked at again.
                self._once("ended", "the call is over")
            case "recording.sealed":
                self._once("sealed", f"assembled and sealed: link {line.get('link')} of the chain", "bold")
            case "delivery.done":
                target = line.get("target")
                self._once(
                    f"delivered {target}", f'delivered to "{target}": read back, hash confirmed', "green"
                )
            case "spool.removed":
                self._once("gone", "every target has confirmed: the copy in the spool is removed")


# -- what became of it ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """The recording in its archive, and what both verifiers say of it."""

    folder: Path
    audio: Path
    info: str
    report: Report
    check: subprocess.CompletedProcess[str]
    copy: Path

    @property
    def ok(self) -> bool:
        return self.report.ok and self.check.returncode == 0

    def document(self) -> dict[str, Any]:
        return {"ok": self.ok, "folder": str(self.folder), "audio": str(self.audio), "copy": str(self.copy),
                "verified": self.report.ok, "checked": self.check.returncode == 0}  # fmt: skip


def _review(stage: Rehearsal) -> Result:
    (audio,) = stage.archive.rglob("*.wav")
    (copy,) = stage.vault.rglob("*.wav")
    certificate = stage.recorder.certificate
    chain = stage.recorder.chain
    report = verify([stage.archive], certificate=certificate, chain_log=chain, target="archive")
    command = ["sh", str(CHECK_SCRIPT), "-c", str(certificate), "-t", "vault", str(stage.vault)]
    check = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    info = audio.with_name(f"{audio.stem}_info.txt").read_text(encoding="utf-8")
    return Result(stage.folder, audio, info, report, check, copy)


def _show(result: Result) -> None:
    here: Callable[[object], str] = shown
    out.rule("What was said")
    for line in draw(result.audio, width=min(out.width - 10, 100)):
        out.print(line)
    out.rule("What is known about it (_info.txt)")
    out.print(here(result.info))
    out.rule("ari-recorder verify, on the archive")
    print_report(result.report)
    out.rule("check.sh (sha256sum and openssl only), on the SFTP server's copy")
    out.print(here((result.check.stdout + result.check.stderr).strip()))
    out.rule("Where it is")
    out.print(f"Recording    {here(result.audio)}")
    out.print(f"SFTP copy    {here(result.copy)}")
    out.print(
        f"Everything   {here(result.folder)}  [dim](keys, chain, policy, log; the next demo replaces it)[/]"
    )
    out.print(
        f"Listen       play {here(result.audio)}   [dim](sox; or any player; left: caller, right: callee)[/]"
    )
    out.print(f"Verify       {here(sys.argv[0])} verify --target archive {here(result.folder / 'archive')}")
