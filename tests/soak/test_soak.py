"""The short form of the soak, for every run of the tests. ARI_RECORDER_SEED repeats its random choices."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.progress import spoken

from .soak import Plan, soak
from .troubles import KINDS

SEED = os.environ.get("ARI_RECORDER_SEED") or secrets.token_hex(4)
"""One for the whole run: whoever asks again meets the same."""


@pytest.mark.timeout(400)
async def test_nothing_is_lost_whatever_fails(pbx22: Pbx, tmp_path: Path) -> None:
    plan = Plan(60, 6, SEED)
    outcome = await soak(pbx22, tmp_path, plan, spoken)
    assert outcome.ends.total() == plan.calls
    assert outcome.ends["whole"] >= plan.calls // 3, outcome
    assert set(outcome.troubles) == {kind.__name__ for kind in KINDS}, "not every trouble came"
