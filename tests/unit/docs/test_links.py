"""Every link leads somewhere, every page is reached from the README, every picture can be read."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from .pages import ROOT, Page, page, pages

ALL = pages()


@pytest.mark.parametrize("it", ALL, ids=str)
def test_links_lead_somewhere(it: Page) -> None:
    for link in it.links:
        name, _, anchor = link.partition("#")
        target = (it.path.parent / name).resolve() if name else it.path
        assert target.is_relative_to(ROOT), f"{link} leads out of the source tree"
        assert target.exists(), f"{link} leads nowhere"
        if anchor and target.suffix == ".md":
            assert anchor in Page(target).anchors, f"{link}: there is no such heading"


@pytest.mark.parametrize("it", ALL, ids=str)
def test_places_in_the_source_tree_exist(it: Page) -> None:
    for name in re.findall(
        r"`((?:ari_recorder|asterisk_conf|docker|docs|sounds|tests)/[^`\s*…]*)`", it.prose
    ):
        made_later = name.startswith("docker/etc")
        assert made_later or (ROOT / name).exists(), f"{name} does not exist"


def test_every_page_is_linked_from_the_readme() -> None:
    readme = page("README.md")
    reached = {(ROOT / link.partition("#")[0]).resolve() for link in readme.links}
    missing = [str(it) for it in ALL if it.path not in reached | {readme.path}]
    assert missing == []


def test_what_links_lead_to_is_in_the_repository() -> None:
    """A file that only lies here would be missing for everybody else."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    known = {ROOT / name for name in listed.stdout.splitlines()}
    for it in ALL:
        for link in it.links:
            target = (it.path.parent / link.partition("#")[0]).resolve()
            assert target in known or any(path.is_relative_to(target) for path in known), f"{it}: {link}"


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.svg")), ids=lambda p: p.name)
def test_pictures_are_well_formed_named_and_shown(path: Path) -> None:
    root = ElementTree.parse(path).getroot()  # noqa: S314 - our own file
    tags = {re.sub(r"\{.*\}", "", element.tag) for element in root.iter()}
    assert {"title", "desc", "style"} <= tags
    assert "prefers-color-scheme: dark" in path.read_text(encoding="utf-8")
    assert not tags & {"script", "image", "foreignObject"}
    assert any((it.path.parent / link).resolve() == path for it in ALL for link in it.links)


def test_anchors_are_made_as_on_github() -> None:
    assert "target-kind--sftp" in page("docs/reference/policy.md").anchors
    assert "info-text-ari-recorderinfo1" in page("docs/reference/evidence.md").anchors
