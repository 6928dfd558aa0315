"""The locked packages as wheels, for a Python in a container.

A container has neither the machine's package indexes nor its certificates; so pip downloads here.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from .checkout import root
from .programs import follow
from .progress import Progress, silent
from .runfolder import home
from .venv import INSTALL_LIMIT, build_requirement


def wheels(python: str, *, progress: Progress = silent) -> Path:
    """A folder with all that the run-time lock names, and setuptools, for that version (`3.11`).

    Downloaded when the lock has changed. TransientError `lab.failed` when the index does not answer.
    """
    place = home() / "wheelhouse"
    place.mkdir(parents=True, exist_ok=True)
    lock = (root() / "requirements.lock").read_text(encoding="utf-8")
    lock += build_requirement((root() / "requirements-dev.lock").read_text(encoding="utf-8"))
    found = place / f"{python}-{hashlib.sha256(lock.encode()).hexdigest()[:12]}"
    if found.is_dir():
        return found
    for old in place.glob(f"{python}-*"):
        shutil.rmtree(old)
    progress(f"fetching the locked packages for Python {python}")
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        (folder / "locked").write_text(lock, encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--python-version", python]
        command += ["--requirement", str(folder / "locked"), "--dest", str(folder / "wheels")]
        follow(command, limit=INSTALL_LIMIT, progress=silent)
        (folder / "wheels").rename(found)
    return found
