"""The contest of deliveries: real servers, a small file, and figures that belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import upload


def test_each_kind_is_measured_beside_its_client(tmp_path: Path) -> None:
    found = upload.run(tmp_path, mebibytes=2, runs=1)
    assert [one.kind for one in found] == ["local", "smb", "sftp"]
    for one in found:
        assert min(one.ours, one.theirs, one.theirs_back) > 0
        assert one.theirs_back < one.theirs
    said = upload.lines(found, 2)
    assert len(said) == 2 + len(found)
    assert max(map(len, said)) <= 110


def test_the_ratios() -> None:
    one = upload.Upload("smb", "smbclient", 100.0, 200.0, 80.0)
    assert one.ratio == pytest.approx(0.5)
    assert one.ratio_back == pytest.approx(1.25)
