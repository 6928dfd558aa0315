"""The product's own image, as docker/product/Dockerfile makes it, with the packages fetched outside.

A container has neither the machine's package indexes nor its certificates; so pip downloads the locked wheels
here, and they lie beside the build. What changes seldom keeps a name, so that the next build finds it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tempfile
from pathlib import Path

from . import images
from .checkout import root
from .engine import Engine
from .programs import follow
from .progress import Progress, silent
from .runfolder import home
from .venv import INSTALL_LIMIT, build_requirement

KEPT = "ari-recorder/product-stage"
"""Name of the stages that are kept, with the stage as tag."""
STAGES = ("base", "packages", "build")

PYTHON = "3.11"
"""That of Debian bookworm, which the image is made of."""


def build(engine: Engine, tag: str, *, progress: Progress = silent) -> None:
    """Build the source tree's product as `tag`.

    TransientError `lab.failed` when packages cannot be fetched or the build fails; ConfigError `lab.missing`
    when the base image can come from nowhere.
    """
    with images.alone("product"), tempfile.TemporaryDirectory(prefix="ari-recorder-product-") as name:
        context = Path(name)
        _fill(context)
        shutil.copytree(_wheelhouse(progress), context / "wheelhouse")
        for stage in STAGES:
            _keep(engine, stage, context, progress)
        images.build(engine, "product", tag, context=context, progress=progress)


def _fill(context: Path) -> None:
    """What .dockerignore lets through, and nothing else that lies in the source tree."""
    ignore = (root() / ".dockerignore").read_text(encoding="utf-8")
    for name in re.findall(r"^!(\S+)$", ignore, re.M):
        source = root() / name
        if name == "wheelhouse" or not source.exists():
            continue
        if source.is_dir():
            shutil.copytree(source, context / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, context)


def _keep(engine: Engine, stage: str, context: Path, progress: Progress) -> None:
    """Build one stage under its name; what had the name before is removed, if nothing uses it any more."""
    tag = f"{KEPT}:{stage}"
    before = _id(engine, tag)
    images.build(engine, "product", tag, "--target", stage, context=context, progress=progress)
    if before and before != _id(engine, tag):
        engine.docker("image", "rm", before, check=False)


def _id(engine: Engine, tag: str) -> str:
    return engine.docker("image", "inspect", "--format", "{{.Id}}", tag, check=False).out.strip()


def _wheelhouse(progress: Progress) -> Path:
    """The locked packages as wheels for the image's Python; downloaded when the lock has changed."""
    place = home() / "wheelhouse"
    lock = (root() / "requirements.lock").read_text(encoding="utf-8")
    setuptools = build_requirement((root() / "requirements-dev.lock").read_text(encoding="utf-8"))
    digest = hashlib.sha256(f"{PYTHON}\n{lock}\n{setuptools}".encode()).hexdigest()
    found = place / digest[:12]
    if found.is_dir():
        return found
    shutil.rmtree(place, ignore_errors=True)
    progress("fetching the locked packages for the product's image")
    with tempfile.TemporaryDirectory(dir=_made(place)) as name:
        folder = Path(name)
        (folder / "locked").write_text(f"{lock}\n{setuptools}", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--python-version", PYTHON]
        command += ["--requirement", str(folder / "locked"), "--dest", str(folder / "wheels")]
        follow(command, limit=INSTALL_LIMIT, progress=silent)
        (folder / "wheels").rename(found)
    return found


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
