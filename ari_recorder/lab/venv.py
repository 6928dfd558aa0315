"""The checkout's virtual environment: locked, hash-checked, made anew when the lock changes."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..model.errors import ConfigError, TransientError
from . import debian
from .checkout import root
from .programs import follow
from .progress import Progress, silent

INSTALL_LIMIT = 900.0


def ensure(*, dev: bool, progress: Progress = silent) -> Path:
    """The environment's Python, with the run-time lock's packages, or with `dev` those of the tests too.

    Errors: ConfigError `lab.missing` when Python cannot make environments, TransientError `lab.failed` when
    a package cannot be had.
    """
    place = root() / ".venv"
    with _alone():
        if not _stands(place, dev=dev):
            _make(place, progress)
            _install(place, dev=dev, progress=progress)
    return place / "bin" / "python"


def makeable() -> bool:
    """This Python can make environments; Debian's can with python3-venv only."""
    return importlib.util.find_spec("ensurepip") is not None


def digest(*, dev: bool) -> str:
    """What the environment depends on, as one line."""
    content = hashlib.sha256()
    for name in ("requirements-dev.lock" if dev else "requirements.lock", "pyproject.toml", "setup.cfg"):
        content.update((root() / name).read_bytes())
    return f"{sys.version_info.major}.{sys.version_info.minor} {content.hexdigest()}"


def build_requirement(lock: str) -> str:
    """The lines of a lock that pin setuptools, which builds the package, with their hashes."""
    found = re.search(r"^setuptools==.*(?:\n[ \t]+.*)*", lock, re.MULTILINE)
    if found is None:
        raise ConfigError("lab.missing", "requirements-dev.lock does not pin setuptools.")
    return found[0] + "\n"


def _stands(place: Path, *, dev: bool) -> bool:
    if not (place / "bin" / "ari-recorder").exists():
        return False
    stamps = [_stamp(place, dev=True)] if dev else [_stamp(place, dev=True), _stamp(place, dev=False)]
    wanted = [digest(dev=True)] if dev else [digest(dev=True), digest(dev=False)]
    return any(
        stamp.exists() and stamp.read_text(encoding="ascii").strip() == line
        for stamp, line in zip(stamps, wanted, strict=True)
    )


def _stamp(place: Path, *, dev: bool) -> Path:
    return place / ("ari-recorder.dev" if dev else "ari-recorder.runtime")


def _make(place: Path, progress: Progress) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # Without a stamp it was never finished: what an interrupted pip leaves behind may look installed.
    finished = any(_stamp(place, dev=dev).exists() for dev in (True, False))
    if finished and (place / "lib" / version).is_dir() and (place / "bin" / "pip").exists():
        return
    if not makeable():
        debian.install(["python3-venv"], progress=progress)
    progress(f"making {place.name} with Python {sys.version.split()[0]}")
    shutil.rmtree(place, ignore_errors=True)
    follow([sys.executable, "-m", "venv", str(place)], limit=180, progress=silent)


def _install(place: Path, *, dev: bool, progress: Progress) -> None:
    try:
        _pip(place, dev=dev, progress=progress)
    except TransientError as error:
        for line in error.sentence.splitlines()[-8:]:
            progress(line)
        raise TransientError(
            "lab.failed",
            "The Python packages of the lock could not be installed.",
            remedy="Does pip reach a package index from here (`pip config list` says which)? Then try again.",
        ) from error


def _pip(place: Path, *, dev: bool, progress: Progress) -> None:
    for stamp in (_stamp(place, dev=True), _stamp(place, dev=False)):
        stamp.unlink(missing_ok=True)
    progress("installing the locked packages, hashes checked")
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    build = place / "build-requirement.lock"
    build.write_text(build_requirement((root() / "requirements-dev.lock").read_text(encoding="utf-8")))
    lock = root() / ("requirements-dev.lock" if dev else "requirements.lock")
    locks = ["-r", str(lock)] + ([] if dev else ["-r", str(build)])
    follow([*pip, "--require-hashes", *locks], limit=INSTALL_LIMIT, progress=silent)
    follow(
        [*pip, "--no-deps", "--no-build-isolation", "--editable", str(root())],
        limit=INSTALL_LIMIT,
        progress=silent,
    )
    _stamp(place, dev=dev).write_text(f"{digest(dev=dev)}\n", encoding="ascii")


@contextmanager
def _alone() -> Iterator[None]:
    """Two runs in one checkout: one makes the environment, the other waits and finds it."""
    folder = root() / ".run"
    folder.mkdir(exist_ok=True)
    lock = os.open(folder / "venv.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
