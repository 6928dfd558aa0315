"""The tutorial, typed in as it stands, on a machine as fresh as it asks for.

Only the network is missing: what apt-get gets is in the machine's image, and pip finds wheels beside it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ari_recorder.lab import images
from ari_recorder.lab.engine import Engine
from ari_recorder.lab.pbx import OWNER, RUN
from ari_recorder.lab.processes import Process
from ari_recorder.lab.product import sources
from ari_recorder.lab.progress import spoken
from ari_recorder.lab.wheels import wheels
from tests.unit.docs.pages import Block, page

PAGE = page("docs/tutorial.md")
MACHINE = "ari-recorder/tutorial-machine"
"""Kept: it is made anew when the page asks for other packages, or for another system."""
OLD_LISTS = """echo 'Acquire::Check-Valid-Until "false";' > /etc/apt/apt.conf.d/99lab"""
"""Mirrors may be behind; which is no matter of the page."""


@pytest.fixture(scope="module")
def machine(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of step 1."""
    start, packages = PAGE.examples("sh")[:2]
    (system,) = re.findall(r"debian:\S+", start)
    lines = [f"FROM {system}", f"RUN {OLD_LISTS}", *(f"RUN {line}" for line in packages.splitlines())]
    dockerfile = tmp_path_factory.mktemp("machine") / "Dockerfile"
    dockerfile.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with images.alone("tutorial"):
        images.renew(engine, dockerfile, MACHINE, progress=spoken)
    return MACHINE


@pytest.mark.timeout(1500)
def test_every_step_does_what_the_page_says(
    engine: Engine, machine: str, run_folder: Path, tmp_path: Path
) -> None:
    sources(tmp_path / "src")
    asked = engine.docker("run", "--rm", "--network", "none", machine, "python3", "--version").out
    wheelhouse = wheels(".".join(asked.split()[1].split(".")[:2]), progress=spoken)
    steps = list(_steps())
    script = "".join(f"echo '{_mark(number)}'\n{typed}" for number, (typed, _) in enumerate(steps))
    name = f"ari-recorder-tutorial-{os.urandom(4).hex()}"
    words = ["run", "--rm", "--name", name, "--network", "none", "--init"]
    words += ["--label", f"{RUN}={run_folder.name}", "--label", f"{OWNER}={Process.current()}"]
    words += ["--env", "PIP_NO_INDEX=1", "--env", "PIP_FIND_LINKS=/wheels"]
    words += ["--volume", f"{wheelhouse}:/wheels:ro", "--volume", f"{tmp_path / 'src'}:/src"]
    try:
        done = engine.docker(*words, machine, "sh", "-ec", script, limit=600, check=False)
    finally:
        engine.docker("rm", "--force", name, check=False)
    assert done.status == 0, done.out[-3000:] + done.err[-3000:]
    rest = done.out
    for number, (_, shown) in enumerate(steps):
        said = rest.partition(_mark(number))[2].partition(_mark(number + 1))[0]
        for text in shown:
            _assert_shown(text, said)


def _mark(number: int) -> str:
    return f"=== step {number}"


def _steps() -> Iterator[tuple[str, list[str]]]:
    """What is typed after the packages are there, and what the page shows of the answers."""
    blocks = PAGE.blocks
    (packages,) = (n for n, block in enumerate(blocks) if block.text.startswith("apt-get"))
    rest: list[Block] = blocks[packages + 1 :]
    typed = [n for n, block in enumerate(rest) if block.language == "sh"]
    for here, following in zip(typed, [*typed[1:], len(rest)], strict=True):
        yield rest[here].text, [block.text for block in rest[here + 1 : following]]


def _assert_shown(text: str, said: str) -> None:
    """Every line that the page shows was said, in that order; `…` stands for what it leaves out."""
    at, answer = 0, _plain(said)
    for piece in (piece.strip() for line in text.splitlines() for piece in line.split("…")):
        found = answer.find(_plain(piece), at)
        assert found >= 0, f"{piece!r} is not said, or not there:\n{said}"
        at = found


def _plain(text: str) -> str:
    """Without what differs from machine to machine and from day to day."""
    text = re.sub(r"[\d.]+ [KMGT]i?B", "SIZE", text)
    text = re.sub(r"Asterisk \d\S+", "Asterisk VERSION", text)
    text = re.sub(r"[█░]+", "BAR", text)
    text = re.sub(r"(?<![0-9a-z])[0-9a-f]{10,}(?![0-9a-z])|\d+", "#", text)
    return re.sub(r" +", " ", text)
