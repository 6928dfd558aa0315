"""No fault point is forgotten: each stands in the matrix, and the matrix in the documentation."""

from __future__ import annotations

from pathlib import Path

from ari_recorder.disk.faults import FAULT_POINTS, SEAMS, TOOLS
from tests.crash.test_fault_points import POINTS

from .scenes import SCENES
from .table import KILLED_ELSEWHERE, KILLED_IN, rows

ROOT = Path(__file__).parents[2]


def test_every_fault_point_is_met_somewhere_and_nothing_else_is() -> None:
    met = frozenset().union(*KILLED_IN.values(), *KILLED_ELSEWHERE.values())
    listed = FAULT_POINTS.keys() | SEAMS.keys() | TOOLS.keys()
    assert listed - met == set(), "put them into tests/matrix/table.py"
    assert met - listed == set()


def test_every_row_is_run() -> None:
    assert {row.partition(":")[0] for row in KILLED_IN} == SCENES.keys()
    whole = {point.partition(":")[0] for point in POINTS}
    for path, points in KILLED_ELSEWHERE.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        for point in points:
            assert point in text or (path == "tests/crash/test_fault_points.py" and point in whole)


def test_the_documentation_shows_the_matrix() -> None:
    lines = (ROOT / "docs/explanation/crash-safety.md").read_text(encoding="utf-8").splitlines()
    missing = [row for row in rows() if row not in lines]
    assert not missing, "\n".join(missing)
