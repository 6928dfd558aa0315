"""The page on testing a target lists the faults that the code knows, in its words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType

import pytest

from ari_recorder.targets.symptoms import SYMPTOMS
from tests.conformance import test_trial, test_trial_wire

from .pages import page

PAGE = page("docs/howto/test-a-target.md")


def test_the_table_is_the_codes() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \| (.+) \|$", PAGE.text, re.M)
    assert rows == [(one.name, one.says, one.remedy) for one in SYMPTOMS.values()]
    assert len(rows) >= 20


def test_every_symptom_is_provoked_by_a_test() -> None:
    """By their marks; that those are what was really seen is seen to in tests/conformance/conftest.py."""
    assert set(provoked_by(test_trial)) | set(provoked_by(test_trial_wire)) == set(SYMPTOMS)


def provoked_by(module: ModuleType) -> Iterator[str]:
    for name, test in vars(module).items():
        marks: list[pytest.Mark] = getattr(test, "pytestmark", []) if name.startswith("test_") else []
        for mark in marks:
            if mark.name == "provokes":
                yield from mark.args or parameters(marks, "symptom")


def parameters(marks: list[pytest.Mark], wanted: str) -> Iterator[str]:
    (mark,) = (one for one in marks if one.name == "parametrize" and wanted in one.args[0])
    place = mark.args[0].index(wanted)
    return (row[place] for row in mark.args[1])
