"""The page on testing a target lists the faults that the code knows, in its words."""

from __future__ import annotations

import re
from pathlib import Path

from ari_recorder.targets.symptoms import SYMPTOMS

from .pages import ROOT, page

PAGE = page("docs/howto/test-a-target.md")


def test_the_table_is_the_codes() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \| (.+) \|$", PAGE.text, re.M)
    assert rows == [(one.name, one.says, one.remedy) for one in SYMPTOMS.values()]
    assert len(rows) >= 20


def test_every_symptom_is_provoked_by_a_test() -> None:
    """Some belong to kinds with tests of their own."""
    elsewhere = {"certificate", "insecure", "locked", "torn"}
    text = Path(ROOT / "tests/conformance/test_trial.py").read_text(encoding="utf-8")
    assert {name for name in SYMPTOMS if f'"{name}"' not in text} <= elsewhere
