"""Images are built by the engine once, found afterwards, and built anew when their folder changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ari_recorder.lab import images
from ari_recorder.lab.engine import Engine
from ari_recorder.model.errors import TransientError


@pytest.fixture
def folder(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an image of nothing but one file, under a name of its own."""
    name = f"probe-{os.urandom(4).hex()}"
    place = tmp_path / "docker" / name
    place.mkdir(parents=True)
    (place / "content").write_text(name)
    (place / "Dockerfile").write_text("FROM scratch\nCOPY content /\n")
    monkeypatch.setattr(images, "root", lambda: tmp_path)
    yield place
    listed = engine.docker("image", "ls", "--quiet", f"ari-recorder/{name}").out.split()
    for image in listed:
        engine.docker("image", "rm", "--force", image)


def test_an_image_is_built_once_and_again_after_a_change(engine: Engine, folder: Path) -> None:
    said: list[str] = []
    first = images.ensure(engine, folder.name, progress=said.append)
    assert any("building" in line for line in said)
    said.clear()
    assert images.ensure(engine, folder.name, progress=said.append) == first
    assert said == []
    (folder / "content").write_text("changed")
    second = images.ensure(engine, folder.name)
    assert second != first
    assert len(engine.docker("image", "ls", "--quiet", f"ari-recorder/{folder.name}").out.split()) == 2


def test_a_build_that_fails_says_why(engine: Engine, folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY no-such-file /\n")
    with pytest.raises(TransientError, match="no-such-file") as failed:
        images.ensure(engine, folder.name)
    assert failed.value.code == "lab.failed"
