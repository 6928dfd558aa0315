"""What is to be said of a disk: pure. Measurements go in, a code, a sentence and a severity come out."""

from __future__ import annotations

from dataclasses import dataclass

from ...config.disk import DiskSettings
from ...model.errors import RecorderError
from ..conditions import Severity
from .report import DiskLine

RELIEF = 1.25
"""A warning ends only when so many times its hours are left again: at the brink it would come and go."""
FEW_FILES = 500
"""Inodes: a recording needs about 20 until it is delivered."""

HOWTO = "docs/howto/when-the-disk-fills.md says what can be done."


@dataclass(frozen=True, slots=True)
class Verdict:
    code: str
    sentence: str
    remedy: str
    severity: Severity


def failed(error: RecorderError, name: str, others: bool) -> Verdict:
    """A spool folder that cannot be used. `others`: there is one that can."""
    if others:
        goes_on = " New recordings begin in another spool folder; those in this one wait."
    else:
        goes_on = " No recording can be journalled."
    sentence = f"{name[0].upper()}{name[1:]} cannot be used. {error.sentence}{goes_on}"
    return Verdict(error.code, sentence, error.remedy, Severity.CRITICAL)


def silent(name: str, folder: str, why: str) -> Verdict:
    """A folder that holds whoever touches it, as a mount does whose server is gone, or gives only errors."""
    return Verdict(
        "disk.silent",
        f"The disk of {name} ({folder}) cannot be looked at: {why}.",
        "Look whether that disk, or the server that is mounted there, is alive: dmesg says more.",
        Severity.CRITICAL,
    )


def judge(line: DiskLine, name: str, settings: DiskSettings, before: Severity | None) -> Verdict | None:
    """None when there is room for long enough. `before`: what was said of it last."""
    title = f"The disk of {name} ({line.folder})"
    left = f"{size(line.free)} of {size(line.total)} are free"
    if line.files_free is not None and line.files_free < FEW_FILES:
        sentence = f"{title} can hold only {line.files_free} more files; {left}."
        return Verdict("disk.filling", sentence, "Delete files that nobody needs there.", Severity.CRITICAL)
    if line.stop_at_free and line.free < line.stop_at_free:
        kind = "capture.disk-full" if line.key.startswith("pbx-") else "spool.full"
        sentence = f"{title} is full: {left}. No new recording begins there."
        return Verdict(kind, sentence, f"Free space on it. {HOWTO}", Severity.CRITICAL)
    severity = _severity(line.hours, settings, before)
    if severity is None or line.hours is None:
        return None
    sentence = f"{title} will be full in {span(line.hours)} at the present rate: {left}."
    return Verdict("disk.filling", sentence, f"Free space on it. {HOWTO}", severity)


def _severity(hours: float | None, settings: DiskSettings, before: Severity | None) -> Severity | None:
    if hours is None:
        return None
    if hours < settings.critical_hours * (RELIEF if before is Severity.CRITICAL else 1):
        return Severity.CRITICAL
    return Severity.WARNING if hours < settings.warn_hours * (RELIEF if before else 1) else None


def size(count: float) -> str:
    """Bytes as people read them, in decimal units as disks are sold: "12.3 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 100 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def span(hours: float) -> str:
    """Hours as people read them: "20 minutes", "5 hours", "12 days"."""
    if hours < 2:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:.0f} days"
