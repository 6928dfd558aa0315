"""The documentation as the tests read it: pages, links, headings, examples."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

OUTSIDE = "<!-- outside -->"
"""Stands before a block that cannot be run in a test: it needs another machine."""

_FENCE = re.compile(
    r"^(?P<before>[^\n]*)\n(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """One fenced block, without the indentation of the list it may stand in."""

    language: str
    text: str
    outside: bool


@dataclass(frozen=True)
class Page:
    path: Path

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> list[Block]:
        found = []
        for match in _FENCE.finditer(self.text):
            indent = match["indent"]
            text = re.sub(f"^{indent}", "", match["text"], flags=re.M)
            found.append(Block(match["language"], text, match["before"].strip() == OUTSIDE))
        return found

    def examples(self, language: str) -> list[str]:
        """The texts of the blocks in one language."""
        return [block.text for block in self.blocks if block.language == language]

    @cached_property
    def prose(self) -> str:
        """Without blocks."""
        return _FENCE.sub(r"\g<before>\n", self.text)

    @cached_property
    def links(self) -> list[str]:
        """Where links and pictures lead to, other sites left out."""
        found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", self.prose))
        return [link for link in found if not re.match(r"[a-z]+:", link)]

    @cached_property
    def anchors(self) -> set[str]:
        """What `#…` may name, made of the headings as GitHub does it."""
        found: set[str] = set()
        for heading in re.findall(r"^#{1,6} +(.*?) *$", self.prose, re.M):
            shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
            kept = (c for c in shown if c in " -_" or unicodedata.category(c)[0] in "LNM")
            slug = base = "".join(kept).replace(" ", "-")
            number = 0
            while slug in found:
                number += 1
                slug = f"{base}-{number}"
            found.add(slug)
        return found


def page(name: str) -> Page:
    """A page by its path from the top of the source tree."""
    return Page(ROOT / name)


def pages() -> list[Page]:
    """Every page that people read."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "asterisk_conf").glob("*.md")]
    return [Page(path) for path in sorted(found)]


_BEFORE = ("until", "--", "recorder", "||", "&&")
"""What may stand before a command that does not begin its line: `runuser … --`, `exec recorder`, …"""


def commands(text: str) -> list[list[str]]:
    """The calls of `ari-recorder` in a shell example, as words, without what the shell does with them."""
    found = []
    for line in text.splitlines():
        words = re.split(r"\s+#\s", line)[0].split()
        for start, word in enumerate(words):
            if word == "ari-recorder" and (start == 0 or words[start - 1] in _BEFORE):
                rest = words[start + 1 :]
                ends = (n for n, each in enumerate(rest) if re.match(r"\d?[>|&]|;", each))
                found.append([each.rstrip(";") for each in rest[: next(ends, len(rest))]])
    return found
