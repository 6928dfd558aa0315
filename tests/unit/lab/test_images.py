from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from ari_recorder.lab import checkout, images
from ari_recorder.model.errors import ConfigError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the images' folders, free to be changed."""
    shutil.copytree(checkout.root() / "docker", tmp_path / "docker")
    monkeypatch.setattr(images, "root", lambda: tmp_path)
    return tmp_path / "docker"


@pytest.mark.parametrize("name", images.NAMES)
def test_a_tag_names_the_content(tree: Path, name: str) -> None:
    before = images.tag(name)
    assert re.fullmatch(rf"ari-recorder/{name}:[0-9a-f]{{12}}", before)
    assert images.tag(name) == before
    with (tree / name / "Dockerfile").open("a") as file:
        file.write("# changed\n")
    assert images.tag(name) != before


def test_a_new_file_and_a_moved_one_change_the_tag(tree: Path) -> None:
    tags = [images.tag("asterisk16")]
    (tree / "asterisk16" / "a").write_text("same")
    tags.append(images.tag("asterisk16"))
    (tree / "asterisk16" / "a").rename(tree / "asterisk16" / "b")
    tags.append(images.tag("asterisk16"))
    assert len(set(tags)) == 3


def test_bases_are_those_that_are_no_stage_of_the_build() -> None:
    assert images.bases("asterisk22") == ("debian:sid-slim",)
    assert images.bases("asterisk16") == ("debian:bullseye-slim",)


def test_an_image_that_is_not_there_is_said() -> None:
    with pytest.raises(ConfigError, match="docker/nothing") as refusal:
        images.tag("nothing")
    assert refusal.value.code == "lab.missing"
