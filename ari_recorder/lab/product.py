"""The product's own image, as docker/product/Dockerfile makes it, with the packages fetched outside.

What changes seldom keeps a name, so that the next build finds it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from . import images
from .checkout import root
from .engine import Engine
from .progress import Progress, silent
from .wheels import wheels

STAGES = ("base", "packages", "build")
"""Kept as tags of `ari-recorder/product-stage`."""

PYTHON = "3.11"
"""That of Debian bookworm, which the image is made of."""


def build(engine: Engine, tag: str, *, progress: Progress = silent) -> None:
    """Build the source tree's product as `tag`.

    TransientError `lab.failed` when packages cannot be fetched or the build fails; ConfigError `lab.missing`
    when the base image can come from nowhere.
    """
    dockerfile = root() / "docker" / "product" / "Dockerfile"
    with images.alone("product"), tempfile.TemporaryDirectory(prefix="ari-recorder-product-") as name:
        context = Path(name)
        sources(context)
        shutil.copytree(wheels(PYTHON, progress=progress), context / "wheelhouse")
        for stage in STAGES:
            kept = f"ari-recorder/product-stage:{stage}"
            images.renew(engine, dockerfile, kept, "--target", stage, context=context, progress=progress)
        images.build(engine, dockerfile, tag, context=context, progress=progress)


def sources(into: Path) -> None:
    """Copy what .dockerignore lets through, and nothing else that lies in the source tree."""
    into.mkdir(exist_ok=True)
    ignore = (root() / ".dockerignore").read_text(encoding="utf-8")
    for name in re.findall(r"^!(\S+)$", ignore, re.M):
        source = root() / name
        if name == "wheelhouse" or not source.exists():
            continue
        if source.is_dir():
            shutil.copytree(source, into / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, into)
