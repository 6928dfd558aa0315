"""A run in which something was skipped is no proof, and does not end as one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import ALLOWED

ROOT = Path(__file__).parents[2]


ALLOWED_ONE = f"""
def test_allowed(): pytest.skip("{ALLOWED[1]}")
def test_well(): pass
"""
IN_A_TEST = """
def test_skipped(): pytest.skip("no Samba here")
"""


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [(ALLOWED_ONE, 0, 0), (ALLOWED_ONE + IN_A_TEST, 1, 2)],
    ids=["allowed", "not allowed"],
)
def test_what_is_skipped_fails_the_run(tmp_path: Path, body: str, status: int, named: int) -> None:
    (tmp_path / "test_it.py").write_text(f"import pytest\n{body}", encoding="utf-8")
    if named:
        (tmp_path / "test_file.py").write_text('import pytest\npytest.importorskip("no_such_module")\n')
    words = [sys.executable, "-m", "pytest", "-q", "-p", "tests.skips", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*words, "--rootdir", tmp_path, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.count("counts as failed")) == (status, named), done.stdout
    assert ("no Samba here" in done.stdout) is bool(named)
