"""The two verifiers, as the tests call them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ari_recorder import evidence
from ari_recorder.evidence.findings import Report

SCRIPT = Path(evidence.__file__).with_name("check.sh")


def check(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """check.sh run by dash, the strictest shell of Debian."""
    command = ["dash", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True, timeout=60)


def told(report: Report) -> str:
    return "\n".join(str(finding) for finding in report.findings)
